"""What another process wrote is read as hostile: links to this service's keys lead nowhere."""

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from container_server.errors import RefusedInputError
from container_server.foreign import DEEPEST, MOST_FILES, ForeignFileError, ForeignFolder

from tests.unit.support.workloads_world import World, give
from tests.unit.workloads.container_server.centre.test_agent import CODE, leave

HIDDEN = "what only this service may read"

Make = Callable[[Path, Path], None]
"""(place, a file with a secret): put something hostile at the place."""


def socket_at(place: Path, secret: Path) -> None:
    """A socket by its short relative name: absolute paths in a test's folder are too long for one."""
    here = Path.cwd()
    os.chdir(place.parent)
    try:
        socket.socket(socket.AF_UNIX).bind(place.name)
    finally:
        os.chdir(here)


NO_FILES: dict[str, Make] = {
    "a link": lambda place, secret: place.symlink_to(secret),
    "a relative link": lambda place, secret: place.symlink_to(os.path.relpath(secret, place.parent)),
    "a link to a link": lambda place, secret: (
        place.with_suffix(".2").symlink_to(secret),
        place.symlink_to(place.with_suffix(".2")),
    )[0],
    "a hard link": lambda place, secret: os.link(secret, place),
    "a named pipe": lambda place, secret: os.mkfifo(place),
    "a socket": socket_at,
    "a folder": lambda place, secret: place.mkdir(),
    "a link to a device": lambda place, secret: place.symlink_to("/dev/zero"),
}


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "agent" / "key" / "file.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(HIDDEN))
    return file


@pytest.fixture
def work(tmp_path: Path) -> Path:
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


class TestReading:
    @pytest.mark.parametrize("made", NO_FILES)
    def test_only_a_regular_file_with_one_name_is_read(self, work: Path, secret: Path, made: str) -> None:
        (work / "a").mkdir()
        NO_FILES[made](work / "a" / "file.json", secret)
        for read in (ForeignFolder(work).read, ForeignFolder(work).json):
            with pytest.raises(ForeignFileError, match=r"a/file\.json"):
                read("a/file.json")

    def test_a_device_is_not_read(self) -> None:
        with pytest.raises(ForeignFileError, match="no regular file"):
            ForeignFolder(Path("/dev")).read("zero")

    @pytest.mark.parametrize("level", ["a", "a/b"])
    def test_no_link_is_followed_at_any_level(self, work: Path, secret: Path, level: str) -> None:
        (work / level).parent.mkdir(parents=True, exist_ok=True)
        (work / level).symlink_to(secret.parent if level == "a/b" else secret.parent.parent)
        name = f"{level}/file.json" if level == "a/b" else f"{level}/key/file.json"
        assert (work / name).read_text() == json.dumps(HIDDEN)
        for action in (
            lambda: ForeignFolder(work).read(name),
            lambda: ForeignFolder(work).files(level),
            lambda: ForeignFolder(work).write(f"{level}/new", b""),
            lambda: ForeignFolder(work).make(f"{level}/new"),
            lambda: ForeignFolder(work).remove(f"{level}/key"),
            lambda: ForeignFolder(work).remove(level),
        ):
            with pytest.raises(ForeignFileError):
                action()
        assert secret.read_text() == json.dumps(HIDDEN)
        assert not (secret.parent / "new").exists()

    @pytest.mark.parametrize("name", ["../agent/key/file.json", "a/../../agent/key/file.json", "/etc/passwd"])
    def test_names_that_lead_out_are_refused(self, work: Path, secret: Path, name: str) -> None:
        (work / "a").mkdir()
        with pytest.raises(ForeignFileError, match="leads out"):
            ForeignFolder(work).read(name)

    def test_size_and_number_and_depth_are_bounded(self, work: Path) -> None:
        (work / "large").write_bytes(b"x" * 11)
        with pytest.raises(ForeignFileError, match="more than 10 bytes"):
            ForeignFolder(work).read("large", limit=10)
        assert ForeignFolder(work).read("large", limit=11) == b"x" * 11
        deep = work / "deep" / "/".join("d" * (DEEPEST + 1))
        deep.mkdir(parents=True)
        with pytest.raises(ForeignFileError, match="deeper"):
            ForeignFolder(work).files("deep")
        (work / "many").mkdir()
        for number in range(MOST_FILES + 1):
            (work / "many" / str(number)).touch()
        with pytest.raises(ForeignFileError, match="more than"):
            ForeignFolder(work).files("many")

    @pytest.mark.parametrize(
        "content", ["NaN", "[Infinity]", "1e999", "9" * 5000, "[" * 100_000, "\xff", "", '{"a": -Infinity}']
    )
    def test_json_holds_finite_numbers_of_bounded_size(self, work: Path, content: str) -> None:
        (work / "x.json").write_bytes(content.encode("latin-1"))
        with pytest.raises(ForeignFileError, match=r"x\.json is not JSON"):
            ForeignFolder(work).json("x.json")

    def test_what_is_not_there_is_none(self, work: Path) -> None:
        shared = ForeignFolder(work)
        assert (shared.read("a/b"), shared.json("a"), shared.files("a")) == (None, None, [])
        shared.remove("a/b")

    def test_plain_files_are_written_listed_read_and_removed(self, work: Path) -> None:
        shared = ForeignFolder(work)
        shared.write("a/b/c.json", b"1")
        shared.write("a/d", b"2")
        assert shared.files("a") == ["a/b/c.json", "a/d"]
        assert shared.json("a/b/c.json") == 1
        shared.remove("a")
        assert shared.files("") == []


def keys_in(world: World) -> list[Path]:
    """Blobs of any party that hold a private key."""
    return [
        path
        for path in (world.folder / "blobs").rglob("*")
        if path.is_file() and b"PRIVATE KEY" in path.read_bytes()
    ]


class TestAtTheCentre:
    """Links in results/global once handed the root's key and the administrator's to every hospital."""

    @pytest.fixture
    def world(self, tmp_path: Path) -> World:
        world = World(tmp_path)
        world.answer(approved=[CODE])
        world.turn(10)
        give(world)
        agent = world.centre_config.agent
        assert "PRIVATE KEY" in (agent / "ca/rootCA.key").read_text()
        assert "PRIVATE KEY" in (agent / "lead/startup/client.key").read_text()
        return world

    @pytest.mark.parametrize("made", ["a link", "a relative link", "a hard link", "a named pipe", "a socket"])
    @pytest.mark.parametrize("place", ["results/global/model.json", "results/hospitals/cleveland.json"])
    def test_results_with_anything_but_plain_files_reach_nobody(
        self, world: World, made: str, place: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        job_id = world.centre.commands.submit({"job": "heart"})["id"]
        here = world.centre_config.work / "jobs" / job_id / place
        here.parent.mkdir(parents=True)
        NO_FILES[made](here, world.centre_config.agent / "ca/rootCA.key")
        leave(world, job_id, "FINISHED:COMPLETED", state="finished", history=[])
        world.turn(10)
        assert keys_in(world) == []
        shown = world.centre.commands.job({"id": job_id})
        assert shown["state"] == "failed"
        assert f"withheld from everybody: jobs/{job_id}/{place}" in shown["reason"]
        assert capsys.readouterr().out.count("results withheld from everybody") == 1

    @pytest.mark.parametrize(
        ("place", "target"),
        [("results/global", "lead/startup"), ("results", "lead"), ("results/hospitals", "lead/startup")],
    )
    def test_a_folder_that_is_a_link_reaches_nobody(self, world: World, place: str, target: str) -> None:
        job_id = world.centre.commands.submit({"job": "heart"})["id"]
        agent = world.centre_config.agent
        (agent / "lead/startup/cleveland.json").write_text((agent / "ca/rootCA.key").read_text())
        (agent / "lead/global").mkdir()
        (agent / "lead/global/model.json").write_text((agent / "ca/rootCA.key").read_text())
        here = world.centre_config.work / "jobs" / job_id / place
        here.parent.mkdir(parents=True, exist_ok=True)
        here.symlink_to(agent / target)
        leave(world, job_id, "FINISHED:COMPLETED", state="finished", history=[])
        world.turn(10)
        assert keys_in(world) == []
        assert world.centre.commands.job({"id": job_id})["state"] == "failed"

    @pytest.mark.parametrize("made", ["a link", "a named pipe", "a folder", "a link to a device"])
    @pytest.mark.parametrize("place", ["jobs/{}/status.json", "jobs/{}/progress.json", "clients.json"])
    def test_nothing_in_the_servers_volume_stops_the_service(
        self, world: World, made: str, place: str
    ) -> None:
        job_id = world.centre.commands.submit({"job": "heart"})["id"]
        here = world.centre_config.work / place.format(job_id)
        NO_FILES[made](here, world.centre_config.agent / "members.json")
        world.turn(5)
        assert world.centre.commands.status({})["registered"] == 0
        assert world.centre.commands.job({"id": job_id})["state"] in ("queued", "failed")

    @pytest.mark.parametrize(
        "progress",
        [
            {"rounds_done": 1e300},
            {"rounds_done": "many"},
            {"history": [{"round": 0, "seconds": 1, "sites": {"a": {"auc": "x"}}, "global": {}}]},
            {"history": [{}]},
            {"gates": {"passed": "yes"}},
            {"seconds": -1e99},
            [],
        ],
    )
    def test_progress_that_no_tracker_writes_is_named_and_not_shown(
        self, world: World, progress: object
    ) -> None:
        job_id = world.centre.commands.submit({"job": "heart"})["id"]
        leave(world, job_id, "RUNNING")
        (world.centre_config.work / "jobs" / job_id / "progress.json").write_text(json.dumps(progress))
        shown = world.centre.commands.job({"id": job_id})
        assert shown["hospitals"] == {}
        leave(world, job_id, "FINISHED:COMPLETED")
        assert "progress" in world.centre.commands.job({"id": job_id})["reason"]

    def test_a_job_cannot_say_that_another_was_submitted(self, world: World) -> None:
        other = "11111111-0000-4000-8000-000000000000"
        (world.centre_config.work / "jobs" / other).mkdir(parents=True)
        (world.centre_config.work / "jobs" / other / "submission.json").write_text(
            json.dumps({"job": "heart"})
        )
        leave(world, other, "FINISHED:COMPLETED", state="finished", history=[])
        assert world.centre.commands.jobs({})["jobs"] == []


def test_refusals_are_answers_and_not_faults() -> None:
    assert issubclass(ForeignFileError, RefusedInputError)
