"""A job waits for the hospitals' answers, and runs where its code is approved."""

import json
import threading
from pathlib import Path
from typing import Any, ClassVar

import pytest
from container_server import fedctl
from container_server.centre.jobs import DAY, SETTLE_SECONDS, JobRefusedError
from container_server.centre.standing import Standing
from container_server.messages import ASKED, InvalidMessageError, decode, encode
from container_server.nvflare_cli import NvflareError
from container_server.storage import StorageUnreachableError
from fed_site import consent
from fed_site.job_code import checksum
from nvflare.apis.fl_context import FLContextManager
from nvflare.private.fed.utils.app_deployer import AppDeployer

from automation.operate import training
from tests.unit.support.job_archives import job, packed
from tests.unit.support.workloads_world import World, give
from tests.unit.workloads.container_server.centre.test_agent import CODE, leave

SOON = 40
"""Seconds within which an answer is heard: the hospital looks every 20, reports, the centre looks every 2."""


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.turn(10)
    give(world)
    return world


def submit(world: World) -> str:
    return str(world.centre.commands.submit({"job": "heart"})["id"])


def row(world: World, job_id: str) -> dict[str, Any]:
    return world.centre.commands.job({"id": job_id})


def member(world: World, name: str, **answers: Any) -> None:
    """A hospital more, with these answers in its report; without any, no report of it was read."""
    world.members = sorted({*world.members, name})
    world.turn(6)
    world.centre._members.change(name, status="approved", serial="ab")
    if answers:
        said = {"approved": [], "refused": {}, "asked": {}, **answers}
        world.centre._enrolments.channel(name).report = {"jobs": said}


class AwaitedLock:
    """A lock that says when somebody waits for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.awaited = threading.Event()

    def acquire(self, *, blocking: bool = True) -> bool:
        if blocking and self._lock.locked():
            self.awaited.set()
        return self._lock.acquire(blocking=blocking)

    def release(self) -> None:
        self._lock.release()

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


class TestStanding:
    REPORTS: ClassVar[dict[str, dict[str, Any]]] = {
        "a": {"jobs": {"approved": ["x"], "refused": {}, "asked": {}}},
        "b": {"jobs": {"approved": [], "refused": {"x": "no purpose"}, "asked": {}}},
        "c": {"jobs": {"approved": [], "refused": {}, "asked": {"x": 1_800_000_000.0}}},
        "d": {},
    }

    def test_each_hospital_is_named_with_what_it_says(self) -> None:
        standing = Standing.of("x", self.REPORTS)
        assert standing.approved == ("a",)
        assert standing.refused == {"b": "no purpose"}
        assert standing.waits == {"c": 1_800_000_000.0, "d": None}
        assert standing.silent == ("d",)
        assert standing.words(2) == (
            "1 of 2 hospitals needed have approved its code;"
            " it waits for c (asked since 2027-01-15 08:00 UTC), d (not asked yet); b has refused: no purpose"
        )

    @pytest.mark.parametrize(("minimum", "possible"), [(3, True), (4, False)])
    def test_it_is_known_when_too_few_are_left(self, minimum: int, possible: bool) -> None:
        assert Standing.of("x", self.REPORTS).possible(minimum) == possible


class TestWaiting:
    def test_a_job_is_put_before_the_hospital_and_starts_when_that_approves(self, world: World) -> None:
        job_id = submit(world)
        assert row(world, job_id)["state"] == "waiting"
        world.turn(SOON)
        asked = row(world, job_id)
        assert "it waits for cleveland (asked since" in asked["reason"]
        assert (world.record.folder / f"requests/{CODE}.zip").is_file()
        assert world.nvflare.submitted == []
        world.answer(approved=[CODE])
        world.turn(SOON)
        assert row(world, job_id)["state"] == "queued"
        (meta,) = world.nvflare.submitted
        assert meta["job_id"] == job_id
        assert meta["deploy_map"] == {"app_server": ["server"], "app_hospital": ["cleveland"]}

    def test_one_that_is_approved_starts_at_once(self, world: World) -> None:
        world.answer(approved=[CODE])
        world.turn(SOON)
        assert row(world, submit(world))["state"] == "queued"

    def test_it_runs_at_those_that_approved_alone(self, world: World) -> None:
        member(world, "hungary", approved=[CODE])
        member(world, "zurich", refused={CODE: "no"})
        submit(world)
        (meta,) = world.nvflare.submitted
        assert meta["deploy_map"] == {"app_server": ["server"], "app_hospital": ["hungary"]}

    def test_a_hospital_that_was_not_heard_yet_is_waited_for_a_moment(self, world: World) -> None:
        member(world, "hungary")
        world.answer(approved=[CODE])
        world.turn(SOON)
        job_id = submit(world)
        assert row(world, job_id)["state"] == "waiting"
        world.turn(SETTLE_SECONDS + 2)
        assert world.nvflare.submitted[0]["deploy_map"]["app_hospital"] == ["cleveland"]

    def test_too_many_refusals_end_it_with_their_reasons(self, world: World) -> None:
        world.answer(refused={CODE: "it has no purpose"})
        world.turn(SOON)
        job_id = submit(world)
        assert row(world, job_id)["state"] == "failed"
        assert "cleveland has refused: it has no purpose" in row(world, job_id)["reason"]

    def test_it_ends_after_a_time_and_is_asked_for_no_more(self, world: World) -> None:
        job_id = submit(world)
        world.turn(SOON)
        world.clock.time += world.centre_config.request_days * DAY
        world.turn(SOON)
        assert row(world, job_id)["state"] == "failed"
        assert row(world, job_id)["reason"].startswith("it waited for 14 days: 0 of 1 hospitals")
        assert decode("asked", (world.channel.folder / ASKED).read_bytes())["jobs"] == []
        assert not list((world.channel.folder / "asked").iterdir())
        assert not list((world.centre_config.agent / "built").glob("*/*"))

    def test_it_can_be_stopped(self, world: World) -> None:
        job_id = submit(world)
        world.centre.commands.abort({"id": job_id, "by": "ada"})
        assert (row(world, job_id)["state"], row(world, job_id)["reason"]) == ("aborted", "aborted by ada")
        world.answer(approved=[CODE])
        world.turn(SOON)
        assert world.nvflare.jobs == []

    def test_one_that_is_stopped_while_it_is_sent_is_stopped_at_nvflare(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The note that it was sent once replaced the one that it was stopped: it ran."""
        job_id = submit(world)
        lock, ask = AwaitedLock(), world.nvflare.as_administrator
        stopping = threading.Thread(target=world.centre.commands.abort, args=({"id": job_id},))

        def stopped_meanwhile(kit: Path, user: str, action: str, argument: str) -> dict[str, Any]:
            if action == "submit":
                stopping.start()
                assert lock.awaited.wait(5)
            return ask(kit, user, action, argument)

        monkeypatch.setattr(world.centre._jobs, "_one_at_a_time", lock)
        monkeypatch.setattr(world.nvflare, "as_administrator", stopped_meanwhile)
        world.answer(approved=[CODE])
        world.turn(SOON)
        stopping.join(5)
        assert world.nvflare.jobs == ["submit heart", f"abort {job_id}"]

    def test_one_that_cannot_be_sent_holds_up_no_other(self, world: World) -> None:
        first = submit(world)
        world.turn(2)
        second = submit(world)  # the newer one is looked at first
        world.centre._jobs.built.drop(second)
        world.answer(approved=[CODE])
        world.turn(SOON)
        assert row(world, first)["state"] == "queued"
        assert row(world, second)["state"] == "waiting"

    def test_one_that_can_never_be_sent_ends_after_the_same_time(self, world: World) -> None:
        job_id = submit(world)
        world.centre._jobs.built.drop(job_id)
        world.answer(approved=[CODE])
        world.turn(SOON)
        assert row(world, job_id)["state"] == "waiting"
        world.clock.time += world.centre_config.request_days * DAY
        world.turn(SOON)
        assert row(world, job_id)["reason"] == "it waited for 14 days: NVFlare did not take it"

    def test_a_restart_of_either_side_forgets_nothing_and_asks_once(self, world: World) -> None:
        job_id = submit(world)
        world.turn(SOON)
        world.centre, world.hospital = world.new_centre(), world.new_hospital()
        world.turn(SOON)
        assert world.channel.calls.count(f"write asked/{CODE}.zip") == 1
        assert len([entry for entry in world.record.list("audit/") if "asked-" in entry.name]) == 1
        world.answer(approved=[CODE])
        world.turn(SOON)
        assert row(world, job_id)["state"] == "queued"

    def test_one_that_nvflare_has_already_is_not_sent_twice(self, world: World) -> None:
        """Killed between the submission and its note."""
        job_id = submit(world)
        world.centre._jobs.shared.make(f"jobs/{job_id}")
        leave(world, job_id, "RUNNING")
        world.answer(approved=[CODE])
        world.turn(SOON)
        assert row(world, job_id)["state"] == "running"
        assert world.nvflare.submitted == []

    def test_a_server_that_does_not_answer_is_tried_again(self, world: World) -> None:
        job_id = submit(world)
        world.answer(approved=[CODE])
        world.nvflare.refuse = NvflareError("submit", "ConnectionError", "no server")
        world.turn(SOON)
        assert row(world, job_id)["state"] == "waiting"
        assert "no server" in str(world.centre.commands.status({})["troubles"])
        world.nvflare.refuse = None
        world.turn(70)
        assert row(world, job_id)["state"] == "queued"

    def test_one_container_that_takes_no_question_holds_up_no_other(self, world: World) -> None:
        member(world, "austin", asked={})
        world.store("client-austin").failure = StorageUnreachableError("no route")
        submit(world)
        world.turn(SOON)
        assert (world.channel.folder / ASKED).is_file()

    def test_an_id_of_another_is_not_taken(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        world.answer(approved=[CODE])
        world.turn(SOON)
        monkeypatch.setattr(world.nvflare, "as_administrator", lambda *_: {"job_id": "other"})
        with pytest.raises(JobRefusedError, match="another id"):
            submit(world)

    def test_nothing_is_asked_again_in_a_steady_state(self, world: World) -> None:
        submit(world)
        world.turn(SOON)
        before = len([call for call in world.channel.calls if "asked" in call and call.startswith("write")])
        world.turn(100)
        after = [call for call in world.channel.calls if "asked" in call and call.startswith("write")]
        assert len(after) == before


class TestHouse:
    """What the centre shows of a hospital's answers."""

    def test_a_job_waits_until_the_house_is_open(self, world: World) -> None:
        member(world, "austin", closed="lets jobs run from 18:00 to 06:00 UTC alone")
        job_id = submit(world)
        assert "austin (lets jobs run from 18:00 to 06:00 UTC alone)" in row(world, job_id)["reason"]

    def test_status_says_how_many_jobs_wait_and_since_when(self, world: World) -> None:
        submit(world)
        world.turn(70)
        waits = world.centre.commands.status({})["hospitals"]["cleveland"]["jobs_wait"]
        assert waits["jobs"] == 1
        assert world.clock.now() - waits["since"] < 100
        world.answer(approved=[CODE])
        world.turn(70)
        assert "jobs_wait" not in world.centre.commands.status({})["hospitals"]["cleveland"]

    def test_status_says_that_the_officers_file_is_wrong(self, world: World) -> None:
        world.store("policy").write("jobs.json", b"{}")
        world.turn(70)
        hospital = world.centre.commands.status({})["hospitals"]["cleveland"]
        assert "policy/jobs.json" in hospital["jobs_fault"]
        assert hospital["state"] == "running"


class TestWithdrawal:
    def test_who_takes_an_approval_back_is_named_while_the_job_runs(self, world: World) -> None:
        world.answer(approved=[CODE])
        world.turn(SOON)
        job_id = submit(world)
        leave(world, job_id, "RUNNING")
        assert "withdrawn" not in row(world, job_id)
        world.answer(refused={CODE: "its approval was withdrawn"})
        world.turn(SOON)
        shown = row(world, job_id)
        assert shown["withdrawn"] == {"cleveland": "its approval was withdrawn"}
        assert "cleveland ends it there: its approval was withdrawn" in training.sentence(shown)


class TestShow:
    def test_it_says_what_is_asked_and_what_each_hospital_says(self, world: World) -> None:
        member(world, "austin", refused={CODE: "no purpose"})
        job_id = submit(world)
        shown = "\n".join(training.request(world.centre.commands.show({"id": job_id})))
        for said in (
            "waiting: waits:",
            "for        to see",
            CODE,
            "refuses it: no purpose",
            "it waits until",
        ):
            assert said in shown
        assert "cleveland            has not answered, and has not read the question yet" in shown
        world.answer(approved=[CODE])
        world.turn(SOON)
        assert "it was started at cleveland" in "\n".join(
            training.request(world.centre.commands.show({"id": job_id}))
        )

    def test_long_lists_fit_into_azures_answer(self, world: World) -> None:
        job_id = submit(world)
        known = world.centre_config.agent / f"jobs/{job_id}.json"
        submission = json.loads(known.read_text())
        submission["manifest"]["data"] = {"heart.csv": [f"column{number}" for number in range(400)]}
        known.write_text(json.dumps(submission))
        text = fedctl.fit(world.centre.commands.show({"id": job_id}))
        assert "cut" not in text
        assert "and 370 more" in "\n".join(training.request(json.loads(text)))

    def test_a_manifest_without_room_is_said_and_not_taken_for_an_old_jobs(self, world: World) -> None:
        shown = world.centre.commands.show({"id": submit(world)})
        shown["manifest"]["data"] = {f"file{number}.csv": ["c" * 100] for number in range(100)}
        lines = "\n".join(training.request(json.loads(fedctl.fit(shown))))
        assert "too long to be shown here" in lines
        assert f"code       {CODE}" in lines


class TestAtTheHospital:
    """What the centre asks is hostile until checked."""

    def ask(self, world: World, archive: bytes, code: str = CODE) -> str:
        jobs = [{"code": code, "job_id": "00000000-0000-4000-8000-000000000001"}]
        world.channel.write(ASKED, encode("asked", {"jobs": jobs}))
        world.channel.write(f"asked/{code}.zip", archive)
        world.turn(SOON, centre=False)
        return world.reason

    def test_code_that_is_not_what_the_centre_calls_it_is_not_put_before_the_officers(
        self, world: World
    ) -> None:
        said = self.ask(world, job(b"other()"))
        assert "the centre asks for a job that cannot be read: it calls the code" in said
        assert not world.record.list("requests/")

    @pytest.mark.parametrize("archive", [b"", b"PK", packed({"custom/x.py": b""}), packed({"../x": b""})])
    def test_an_archive_that_is_no_job_is_named(self, world: World, archive: bytes) -> None:
        assert "the centre asks for a job that cannot be read" in self.ask(world, archive)
        assert world.report()["jobs"]["asked"] == {}

    @pytest.mark.parametrize("content", [b"", b"[]", b'{"schema": "fed/asked/1"}', b"x" * 300_000])
    def test_a_question_that_is_none_is_named_and_stops_nothing(self, world: World, content: bytes) -> None:
        world.channel.write(ASKED, content)
        world.turn(70)
        assert "the centre asks for a job that cannot be read" in world.report()["reason"]
        assert world.report()["state"] == "running"

    def test_the_report_says_what_was_answered(self, world: World) -> None:
        world.answer(approved=["a" * 64], refused={"b" * 64: "no"})
        submit(world)
        world.turn(70)
        said = world.report()["jobs"]
        assert "a" * 64 in said["approved"]
        assert said["refused"] == {"b" * 64: "no"}
        assert list(said["asked"]) == [CODE]

    def test_a_report_with_other_answers_is_not_taken(self) -> None:
        with pytest.raises(InvalidMessageError):
            encode("report", {"jobs": {"approved": ["x"], "refused": {}, "asked": {}}})


class TestSabotage:
    """A centre that was changed holds the administrator's key, and may write all that is at the centre."""

    def arrives(self, world: World, archive: bytes, monkeypatch: pytest.MonkeyPatch) -> str:
        """What the hospital's client says to a job that the centre deploys there."""
        monkeypatch.setattr(consent, "ANSWERS", world.hospital_config.answers / "answers.json")
        monkeypatch.setattr(consent, "REQUESTS", world.hospital_config.work / "requests")
        monkeypatch.setattr(consent, "RUNS", world.hospital_config.work / "runs.json")
        monkeypatch.setattr(AppDeployer, "deploy", lambda *_: pytest.fail("it was unpacked"))
        context = FLContextManager(identity_name="cleveland").new_context()
        workspace: Any = None
        job = "00000000-0000-4000-8000-000000000001"
        meta = {"submitter_name": "lead@centre.local", "name": "cohort", "job_id": job}
        return consent.ConsentingDeployer().deploy(workspace, job, meta, "app", archive, context)

    def test_a_forged_report_has_the_centre_submit_and_the_hospital_refuse(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world.turn(70)
        forged = {key: value for key, value in world.report().items() if key != "schema"}
        forged["jobs"] = {"approved": [CODE], "refused": {}, "asked": {}}
        world.channel.write("report.json", encode("report", forged))
        world.centre._enrolments.channel("cleveland").reading.attempt()
        job_id = submit(world)
        assert row(world, job_id)["state"] == "queued", "the changed centre takes its own word"
        assert "has not approved this job's code" in self.arrives(world, job(), monkeypatch)

    def test_answers_put_where_the_centre_may_write_are_not_read(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        policy = {"schema": "fed/jobs/1", "platform": True, "refused": []}
        policy["approved"] = [{"code": checksum(job()), "name": "x", "by": "the centre"}]
        for name in ("jobs.json", "policy/jobs.json", "answers.json"):
            world.channel.write(name, json.dumps(policy).encode())
        world.turn(70)
        assert "has not approved this job's code" in self.arrives(world, job(), monkeypatch)

    def test_code_under_an_approved_name_and_purpose_is_other_code(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world.answer(approved=[checksum(job())])
        world.turn(SOON)
        changed = job(b"send(rows)")
        assert "has not approved this job's code" in self.arrives(world, changed, monkeypatch)
