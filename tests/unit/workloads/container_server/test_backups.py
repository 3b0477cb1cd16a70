"""What cannot be made again is kept, encrypted to its organisation, and comes back onto a new disk."""

import base64
import contextlib
import io
import json
import os
import shutil
import sqlite3
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from container_server import age, archive
from container_server.age import AgeError
from container_server.archive import ArchiveError, Content
from container_server.errors import RefusedInputError, TransientError
from container_server.hospital.state import State
from container_server.metadata import UserDataError, backup_recipient
from container_server.notices import Notice
from container_server.recovery import Recovery

from tests.unit.support.workloads_federation import Federation
from tests.unit.support.workloads_world import World, config_of
from workloads.mlflow.tracking import start as mlflow

DAY = 86_400.0
WHOSE = {"role": "hospital", "party": "cleveland", "environment": "dev"}
KEY = age.new_identity()

# Written by pyrage 1.4.0 (the library of the tool rage) on 2026-12-01; it also opened what age.py wrote.
OTHER_TOOLS_KEY = (
    "AGE-SECRET-KEY-1NN2NFZ9QWSFY9TMHG493ZAJHRNL34SJV3XTXZLA0XKD5PVG86C5QGFNGCM"  # pragma: allowlist secret
)
OTHER_TOOLS_FILE = Path(__file__).with_name("written_by_pyrage.age").read_bytes()


def encrypted(plain: bytes, recipient: str) -> bytes:
    stream = io.BytesIO()
    writer = age.Writer(stream, recipient)
    for at in range(0, len(plain), 50_000):
        writer.write(plain[at : at + 50_000])
    writer.close()
    return stream.getvalue()


def decrypted(content: bytes, identity: str) -> bytes:
    stream = io.BytesIO(content)
    reader = age.Reader(stream, age.header_of(stream), identity)
    return b"".join(iter(lambda: reader.read(10_000), b""))


class TestAge:
    def test_what_another_tool_wrote_is_opened(self) -> None:
        assert decrypted(OTHER_TOOLS_FILE, OTHER_TOOLS_KEY) == b"what pyrage 1.4.0 wrote"

    @pytest.mark.parametrize("size", [0, 1, age.CHUNK - 1, age.CHUNK, age.CHUNK + 1, 2 * age.CHUNK, 200_000])
    def test_what_is_written_is_read(self, size: int) -> None:
        plain = os.urandom(size)
        assert decrypted(encrypted(plain, age.recipient_of(KEY)), KEY) == plain

    @pytest.mark.parametrize("place", ["header", "body", "end", "another key"])
    def test_what_was_changed_is_refused(self, place: str) -> None:
        content = bytearray(encrypted(bytes(150_000), age.recipient_of(KEY)))
        if place == "header":
            content[60] ^= 1
        elif place == "body":
            content[100_000] ^= 1
        elif place == "end":
            del content[-(150_000 - 2 * age.CHUNK + 16) :]  # exactly the last chunk
        with pytest.raises(AgeError):
            decrypted(bytes(content), age.new_identity() if place == "another key" else KEY)

    def test_a_key_with_a_typing_mistake_is_none(self) -> None:
        recipient = age.recipient_of(KEY)
        wrong = recipient[:20] + ("q" if recipient[20] != "q" else "p") + recipient[21:]
        with pytest.raises(AgeError, match="typing mistake"):
            age.check_recipient(wrong)
        age.check_recipient(recipient)

    def test_a_header_for_another_key_opens_the_same_body(self) -> None:
        content, other = encrypted(b"state", age.recipient_of(KEY)), age.new_identity()
        stream = io.BytesIO(content)
        header = age.rewrap(age.header_of(stream), KEY, age.recipient_of(other))
        assert decrypted(header + stream.read(), other) == b"state"


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.key = age.recipient_of(KEY)
    copy_of_mlflow(world)
    world.hospital, world.centre = world.new_hospital(), world.new_centre()
    world.turn(20)
    assert world.state() is State.RUNNING
    world.centre._backups.step()
    for agent in (world.hospital, world.centre):
        agent._backups.command({"now": True})
        agent._backups.step()
    return world


def pass_time(world: World, seconds: float) -> None:
    """Let nearly all of it pass while nothing turns."""
    world.clock.sleep(seconds - 10)
    world.turn(10)


def copy_of_mlflow(world: World) -> None:
    def execute(name: str, command: list[str]) -> tuple[int, str]:
        assert (name, command[:4]) == ("mlflow", ["python3", "-m", "tracking.start", "copy"])
        Path(command[4]).parent.mkdir(parents=True, exist_ok=True)
        Path(command[4]).write_bytes(b"experiments")
        return 0, ""

    world.server.execution = execute


def recovery_of(world: World, role: str = "hospital", **changes: Any) -> Recovery:
    hospital = role == "hospital"
    return Recovery(
        config=world.hospital_config if hospital else world.centre_config,
        clock=world.clock,
        store=world.kept if hospital else world.store("backup-centre"),
        engine=world.client if hospital else world.server,
        channel=world.channel if hospital else None,
        **changes,
    )


def lose_disk(world: World, role: str = "hospital") -> None:
    config = world.hospital_config if role == "hospital" else world.centre_config
    shutil.rmtree(config.agent.parent)


def put_back(recovery: Recovery, key: str = KEY) -> None:
    """What `fed restore` does (automation/operate/recover.py)."""
    newest = recovery.command({})["archives"][0]
    answer = recovery.command({"header": newest})
    opened = age.rewrap(base64.b64decode(answer["header"]), key, answer["recipient"])
    recovery.command({"take": newest, "opened": base64.b64encode(opened).decode()})


class TestMaking:
    def test_is_by_day_and_again_when_something_changed(self, world: World) -> None:
        (first,) = world.kept.list()
        pass_time(world, 1000)
        assert world.kept.list() == [first], "nothing changed"
        (world.hospital_config.work / "budget.json").write_text("{}")
        pass_time(world, 100)
        (second,) = world.kept.list()
        assert (second.name, second.etag == first.etag) == (first.name, False)

    def test_unordered_is_at_most_every_quarter_of_an_hour(self, world: World) -> None:
        (first,) = world.kept.list()
        (world.hospital_config.work / "budget.json").write_text("{}")
        pass_time(world, 600)
        assert world.kept.list() == [first]

    @pytest.mark.parametrize(
        ("command", "arguments"),
        [("revoke", {"hospital": "cleveland"}), ("rotate", {"what": "lead", "yes": True})],
    )
    def test_who_was_cut_off_is_in_no_newest_archive_for_long(
        self, world: World, command: str, arguments: dict[str, Any]
    ) -> None:
        """A centre put back from an older one would admit them again."""
        copy_of_mlflow(world)
        (before,) = world.store("backup-centre").list()
        getattr(world.centre.commands, command)(arguments)
        world.turn(10)
        (after,) = world.store("backup-centre").list()
        assert after.etag != before.etag

    def test_daily_ones_are_kept_for_a_month(self, world: World) -> None:
        for _ in range(40):
            world.clock.sleep(DAY)
            world.hospital._backups.step()
        assert len(world.kept.list()) == 31

    def test_after_one_for_another_key_the_organisation_gets_its_own_again(self, world: World) -> None:
        """That of the day is replaced: a rehearsal left none that anybody opens."""
        other = age.new_identity()
        world.clock.sleep(1)
        world.hospital._backups.command({"now": True, "to": age.recipient_of(other)})
        world.hospital._backups.step()
        (kept,) = world.kept.list()
        assert decrypted((world.kept.folder / kept.name).read_bytes(), other)
        world.clock.sleep(1000)
        world.hospital._backups.step()
        assert decrypted((world.kept.folder / kept.name).read_bytes(), KEY)

    def test_only_the_organisation_can_open_one(self, world: World) -> None:
        (kept,) = world.kept.list()
        content = (world.kept.folder / kept.name).read_bytes()
        assert b"PRIVATE KEY" not in content
        with tarfile.open(fileobj=io.BytesIO(decrypted(content, KEY))) as tar:
            names = tar.getnames()
        assert {"agent/manifest.json", "kit/startup/client.key"} <= set(names)
        assert not [name for name in names if "heart.csv" in name], "patients' data stay where they are"

    def test_the_centres_root_and_experiments_are_in_it(self, world: World) -> None:
        (kept,) = world.store("backup-centre").list()
        plain = decrypted((world.store("backup-centre").folder / kept.name).read_bytes(), KEY)
        with tarfile.open(fileobj=io.BytesIO(plain)) as tar:
            names = tar.getnames()
        assert {"agent/ca/rootCA.key", "agent/members.json", "mlflow/mlflow.db"} <= set(names)

    def test_a_link_that_a_job_made_leads_nowhere(self, tmp_path: Path) -> None:
        """As with results (foreign.py): the container server would read its own keys for it."""
        config = config_of("hospital", tmp_path)
        key, releases = config.data / "key", config.work / "releases"
        for folder in (config.data, releases):
            folder.mkdir(parents=True)
        key.write_text("private")
        (releases / "link").symlink_to(key)
        os.link(key, releases / "second-name")
        (config.work / "released.json").write_text("{}")
        assert archive.content(archive.parts_of(config)).files == 1

    def test_what_changes_while_it_is_read_is_read_again(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        packed: list[Content] = []
        pack = archive.pack

        def disturbed(*arguments: Any) -> Any:
            if not packed:
                (world.hospital_config.agent / "root.json").touch()
            packed.append(content := pack(*arguments))
            return content

        monkeypatch.setattr(archive, "pack", disturbed)
        world.hospital._backups.command({"now": True})
        world.hospital._backups.step()
        assert len(packed) == 2

    def test_an_order_stands_until_it_is_followed(self, world: World) -> None:
        """`./fed backup now` waits for its archive for a quarter of an hour."""
        (first,) = world.store("backup-centre").list()
        world.centre._backups.command({"now": True})
        world.server.stop("mlflow")
        with pytest.raises(TransientError, match="does not run"):
            world.centre._backups.step()
        world.server.start("mlflow")
        world.centre._backups.step()
        (second,) = world.store("backup-centre").list()
        assert second.etag != first.etag
        world.centre._backups.step()
        assert world.store("backup-centre").list() == [second], "followed once"

    def test_an_order_that_comes_while_an_archive_is_made_is_followed_after_it(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """That archive may be of before: a hospital that was cut off meanwhile would be in it as a member."""
        backups, uploads = world.centre._backups, []
        upload = world.store("backup-centre").upload

        def cut_off_meanwhile(name: str, source: Any) -> None:
            uploads.append(name)
            if len(uploads) == 1:
                backups.soon()
            upload(name, source)

        monkeypatch.setattr(world.store("backup-centre"), "upload", cut_off_meanwhile)
        backups.soon()
        for _ in range(3):
            backups.step()
        assert len(uploads) == 2

    def test_without_a_key_nothing_is_made_and_prod_says_so(self, tmp_path: Path) -> None:
        world = World(tmp_path)
        world.turn(20)
        assert world.kept.list() == []
        assert world.hospital._backups.notices() == []
        with pytest.raises(RefusedInputError, match="no key"):
            world.hospital._backups.command({"now": True})
        prod = world.new_hospital(environment="prod")
        prod._backups.step()
        assert "fed backup key" in only(prod._backups.notices()).text

    def test_an_archive_that_cannot_be_made_is_said(self, world: World) -> None:
        world.kept.failure = TransientError("no way to storage")
        (world.hospital_config.work / "budget.json").write_text("{}")
        pass_time(world, 1200)
        assert "no way to storage" in world.reason
        assert world.hospital._backups.notices() == []
        world.clock.sleep(1.5 * DAY)
        assert only(world.hospital._backups.notices()).code == "backup-missing"


def only(notices: list[Notice]) -> Notice:
    (notice,) = notices
    return notice


class TestPuttingBack:
    def test_a_hospital_with_a_new_disk_waits_and_gets_its_own_back(self, world: World) -> None:
        (world.hospital_config.work / "budget.json").write_text('{"spent": 3}')
        pass_time(world, 1000)
        serial = world.hospital.report()["certificate"]["serial"]
        made = world.hospital._backups.command({})["last"]
        lose_disk(world)
        recovery = recovery_of(world)
        assert recovery.needed
        assert recovery.tick() is not None
        said = world.report()
        assert said["state"] == "unenrolled"
        assert "./fed restore --party cleveland --key FILE" in said["reason"]
        put_back(recovery)
        assert recovery.tick() is None
        assert recovery.replace({})["restored"]["digest"] == made["digest"]
        assert not recovery_of(world).needed
        world.hospital = world.new_hospital()
        world.turn(20)
        assert world.state() is State.RUNNING
        assert world.hospital.report()["certificate"]["serial"] == serial, "it did not enrol again"
        assert json.loads((world.hospital_config.work / "budget.json").read_text()) == {"spent": 3}

    def test_no_approval_of_then_comes_back(self, world: World) -> None:
        """Officers may have taken it back since: the client asks what their container says now."""
        answers = world.hospital_config.answers
        assert json.loads((answers / "answers.json").read_text())["approved"]
        lose_disk(world)
        recovery = recovery_of(world)
        recovery.tick()
        put_back(recovery)
        assert recovery.tick() is None
        assert not list(answers.glob("*.json"))
        parts = archive.parts_of(world.hospital_config)
        for older in ("answers/answers.json", "answers/airlock.json"):
            archive.put_back(parts, hand_made(WHOSE, older), WHOSE)
        assert not list(answers.glob("*.json"))

    def test_a_centre_with_a_new_disk_keeps_its_root_and_members(self, world: World) -> None:
        root = (world.centre_config.agent / "ca" / "rootCA.pem").read_bytes()
        lose_disk(world, "centre")
        recovery = recovery_of(world, "centre")
        assert recovery.needed
        recovery.tick()
        put_back(recovery)
        assert recovery.tick() is None
        assert (world.centre_config.agent / "ca" / "rootCA.pem").read_bytes() == root
        restored = world.centre_config.curation / "mlflow-restored" / "mlflow.db"
        assert restored.read_bytes() == b"experiments"
        assert world.server.actions[-2:] == ["stop mlflow", "start mlflow"]
        world.centre = world.new_centre()
        world.turn(60)
        assert world.state() is State.RUNNING

    @pytest.mark.parametrize("approval", ["auto", "manual"])
    def test_a_hospital_that_renewed_since_is_back_once_it_is_asked_to(
        self, tmp_path: Path, approval: str
    ) -> None:
        """As the runbook says: the centre of then does not know its certificate of now."""
        federation = Federation(tmp_path, ["cleveland"], approval)
        approve(federation, 60)
        known = federation.allowed
        shutil.copytree(federation.config.agent.parent, tmp_path / "archive")
        federation.centre.commands.renew({"hospital": "cleveland"})
        approve(federation, 60)
        assert federation.allowed != known
        assert federation.status()["registered"] == 1
        shutil.rmtree(federation.config.agent.parent)
        shutil.copytree(tmp_path / "archive", federation.config.agent.parent)
        federation.boot()
        federation.houses["cleveland"].engine.stop("fl-client")  # the server was new, so it registers again
        federation.turn(120)
        assert federation.status()["registered"] == 0
        federation.centre.commands.renew({"hospital": "cleveland"})
        approve(federation, 120)
        assert federation.status()["registered"] == 1

    def test_a_new_vm_without_a_backup_waits_for_nobody(self, tmp_path: Path) -> None:
        world = World(tmp_path)
        recovery = recovery_of(world)
        assert recovery.needed
        assert recovery.tick() is None

    def test_while_storage_cannot_be_reached_nothing_is_begun(self, tmp_path: Path) -> None:
        """A role takes minutes to arrive on Azure: that is no reason to enrol again."""
        world = World(tmp_path)
        world.kept.failure = TransientError("403")
        recovery = recovery_of(world)
        assert recovery.tick() is not None
        world.kept.failure = None
        world.clock.sleep(120)
        assert recovery.tick() is None

    def test_a_person_may_go_on_without(self, world: World) -> None:
        lose_disk(world)
        recovery = recovery_of(world)
        recovery.tick()
        recovery.command({"without": True})
        assert recovery.tick() is None
        assert not recovery_of(world).needed

    def test_a_vm_that_works_gives_up_its_state_only_for_an_archive_that_opens(self, world: World) -> None:
        ended: list[str] = []
        running = recovery_of(world, leave=lambda: ended.append("left"))
        assert not running.needed
        with pytest.raises(RefusedInputError, match="--replace"):
            running.replace({"take": "20270115.age"})
        running.replace({"replace": True})
        assert ended == ["left"]
        waiting = recovery_of(world)
        assert waiting.needed
        waiting.tick()
        assert world.client.actions[-1] == "stop fl-client"
        newest = waiting.command({})["archives"][0]
        wrong = age.Writer(stream := io.BytesIO(), age.recipient_of(KEY))
        wrong.close()
        stream.seek(0)
        header = age.header_of(stream)
        waiting.command({"take": newest, "opened": base64.b64encode(header).decode()})
        assert waiting.tick() is not None
        assert "another key" in waiting.command({})["failed"]
        assert (world.hospital_config.agent / "manifest.json").exists(), "nothing was given up"
        waiting.command({"without": True})
        assert waiting.tick() is None

    @pytest.mark.parametrize(
        ("name", "then", "now", "after"),
        [
            ("budget.json", '{"spent": 3}', '{"spent": 5}', '{"spent": 5}'),
            ("budget.json", '{"spent": 3}', '{"spent": 0}', '{"spent": 3}'),
            ("budget.json", '{"spent": 3}', "damaged", '{"spent": 3}'),
            ("released.json", '{"versions": []}', '{"versions": [1]}', '{"versions": [1]}'),
            ("runs.json", '{"a": [1]}', '{"a": [1, 2]}', '{"a": [1, 2]}'),
        ],
    )
    def test_no_ledger_goes_back_with_an_older_archive(
        self, world: World, name: str, then: str, now: str, after: str
    ) -> None:
        ledger = world.hospital_config.work / name
        ledger.write_text(then)
        world.hospital._backups.command({"now": True})
        world.hospital._backups.step()
        ledger.write_text(now)
        recovery_of(world, leave=lambda: None).replace({"replace": True})
        waiting = recovery_of(world)
        waiting.tick()
        put_back(waiting)
        assert waiting.tick() is None
        assert ledger.read_text() == after
        assert not (world.hospital_config.agent / archive.OWN / "ledgers").exists()

    def test_one_that_was_killed_in_between_waits_for_an_archive_again(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lose_disk(world)
        recovery = recovery_of(world)
        recovery.tick()
        put_back(recovery)
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(os, "sync", interrupted)
            recovery.tick()
        again = recovery_of(world)
        assert again.needed
        again.tick()
        with pytest.raises(RefusedInputError, match="put one back"):
            again.command({"without": True})
        put_back(again)
        assert again.tick() is None

    @pytest.mark.parametrize(
        "entry", ["../outside", "/outside", "agent/../../outside", "data/heart.csv", "kit"]
    )
    def test_an_archive_writes_nowhere_else(self, tmp_path: Path, entry: str) -> None:
        parts = archive.parts_of(config_of("hospital", tmp_path / "disk"))
        with pytest.raises(ArchiveError):
            archive.put_back(parts, hand_made(WHOSE, entry), WHOSE)
        assert not list(tmp_path.rglob("outside"))

    @pytest.mark.parametrize("key", ["role", "party", "environment"])
    def test_anothers_archive_is_refused(self, key: str) -> None:
        with pytest.raises(ArchiveError, match=key):
            archive.read(hand_made({**WHOSE, key: "other"}, "kit/a"), WHOSE, lambda *taken: None)

    def test_a_version_that_is_not_known_is_refused(self) -> None:
        with pytest.raises(ArchiveError, match="fed/archive/1 is read here"):
            archive.read(hand_made({"schema": "fed/archive/2"}, "kit/a"), {}, lambda *taken: None)

    @pytest.mark.parametrize("said", [b"{", b"[]", b"\xff"])
    def test_one_that_says_nothing_of_itself_is_refused(self, said: bytes) -> None:
        """Else the service that waits for an archive would end, and its key with it."""
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w") as tar:
            entry = tarfile.TarInfo(archive.ABOUT)
            entry.size = len(said)
            tar.addfile(entry, io.BytesIO(said))
        stream.seek(0)
        with pytest.raises(ArchiveError):
            archive.read(stream, WHOSE, lambda *taken: None)


def approve(federation: Federation, seconds: float) -> None:
    """Let time pass in which a person says yes to what waits."""
    federation.turn(seconds / 2)
    for name, row in federation.status()["hospitals"].items():
        if "waits" in row:
            federation.centre.commands.approve({"hospital": name})
    federation.turn(seconds / 2)


def interrupted() -> None:
    raise KeyboardInterrupt


def hand_made(about: dict[str, str], entry: str) -> io.BytesIO:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w|") as tar:
        for name, content in ((archive.ABOUT, json.dumps({"schema": archive.SCHEMA, **about})), (entry, "x")):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content.encode()))
    stream.seek(0)
    return stream


class TestMlflowsDatabase:
    def test_is_copied_whole_while_it_is_written(self, tmp_path: Path) -> None:
        database = tmp_path / "mlflow.db"
        with contextlib.closing(sqlite3.connect(database)) as open_:
            open_.execute("create table runs (name text)")
            open_.execute("insert into runs values ('first')")
            open_.commit()
            open_.execute("insert into runs values ('not committed')")
            mlflow.copy(database, tmp_path / "copy" / "mlflow.db")
        assert runs(tmp_path / "copy" / "mlflow.db") == ["first"]

    def test_of_a_backup_takes_the_place_of_the_one_there_once(self, tmp_path: Path) -> None:
        database, restored = tmp_path / "mlflow.db", tmp_path / "restored.db"
        database.write_bytes(b"new and empty")
        (tmp_path / "mlflow.db-journal").write_bytes(b"of the other")
        restored.write_bytes(b"old and full")
        mlflow.take_restored(restored, database)
        assert database.read_bytes() == b"old and full"
        assert not restored.exists()
        assert not (tmp_path / "mlflow.db-journal").exists()
        database.write_bytes(b"went on")
        mlflow.take_restored(restored, database)
        assert database.read_bytes() == b"went on"


def runs(database: Path) -> list[str]:
    with contextlib.closing(sqlite3.connect(database)) as open_:
        return [name for (name,) in open_.execute("select name from runs")]


class TestTheKey:
    @pytest.mark.parametrize(
        ("said", "expected"),
        [("", None), ('{"hospitals": []}', None), ('{"backup": "age1x"}', "age1x")],
    )
    def test_comes_from_user_data(self, said: str, expected: str | None) -> None:
        assert backup_recipient(as_user_data(said)) == expected

    @pytest.mark.parametrize("said", ["[]", "{", '{"backup": 1}'])
    def test_that_is_none_is_refused(self, said: str) -> None:
        with pytest.raises(UserDataError):
            backup_recipient(as_user_data(said))


def as_user_data(text: str) -> Callable[[], str]:
    return lambda: base64.b64encode(text.encode()).decode()
