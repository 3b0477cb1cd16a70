"""The centre's container server: members, certificates, jobs, results, and what fedctl answers."""

import hashlib
import io
import json
import shutil
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from container_server.centre import inbox
from container_server.centre.agent import CentreAgent
from container_server.centre.curation import Curation
from container_server.centre.enrolments import Enrolments
from container_server.centre.inbox import ArchiveRefusedError, unpack
from container_server.centre.jobs import SETTLED_SECONDS, JobRefusedError, Jobs, UnknownJobError, state_of
from container_server.centre.members import Members, UnknownHospitalError
from container_server.centre.workflows import CLASSES
from container_server.engine import ContainerState, Running
from container_server.errors import TransientError
from container_server.hospital.state import State
from container_server.messages import DECISION, REQUEST, ROOT, decode, encode
from container_server.metadata import UserDataError, members
from container_server.nvflare_cli import NvflareError
from container_server.storage import StorageUnreachableError
from hypothesis import given, settings
from hypothesis import strategies as st

from automation.operate import training
from tests.unit.support.workloads_pki import request_archive, zipped
from tests.unit.support.workloads_world import World, code_of, give, job_files
from workloads.data import heart_data


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def allowed(world: World) -> dict[str, str]:
    sites: dict[str, str] = json.loads((world.centre_config.work / "allowed.json").read_text())["sites"]
    return sites


def decision(world: World) -> dict[str, Any]:
    return decode("decision", (world.channel.folder / DECISION).read_bytes())


class TestServer:
    def test_it_is_started_once_its_kit_is_verified(self, world: World) -> None:
        world.turn(3)
        assert "start fl-server" in world.server.actions

    def test_not_with_a_damaged_kit(self, world: World) -> None:
        world.turn(3)
        world.server.stop("fl-server")
        (world.centre_config.kit / "startup/server.key").chmod(0o644)
        before = len(world.server.actions)
        world.turn(10)
        assert world.server.actions[before:] == []

    def test_one_that_keeps_ending_is_started_ever_more_slowly(self, world: World) -> None:
        world.turn(200)
        world.server.on_start = world.server.crash
        world.server.crash("fl-server")
        before = len(world.server.actions)
        world.turn(300)
        assert 6 <= len(world.server.actions) - before <= 12  # 1, 2, 4 ... 60 seconds apart

    def test_its_job_history_lies_on_the_data_disk(self, world: World) -> None:
        world.turn(3)
        resources = json.loads((world.centre_config.kit / "local/resources.json").read_text())
        manager = next(part for part in resources["components"] if part["id"] == "job_manager")
        assert manager["args"]["uri_root"] == "/var/lib/fl/nvflare/jobs-storage"

    def test_it_loads_no_code_of_a_jobs_and_no_class_but_those_of_composed_jobs(self, world: World) -> None:
        world.turn(3)
        local = world.centre_config.kit / "local"
        assert json.loads((local / "resources.json").read_text())["class_allow_list"] == list(CLASSES)
        allowed = json.loads((local / "authorization.json").read_text())["permissions"]
        assert {rights.get("byoc", "none") for rights in allowed.values()} == {"none"}

    def test_a_kit_of_an_older_image_gets_this_ones_policy_and_the_server_restarts_once(
        self, world: World
    ) -> None:
        world.turn(3)
        local = world.centre_config.kit / "local"
        now = {path.name: path.read_bytes() for path in local.iterdir()}
        older = json.loads(now["resources.json"])
        del older["class_allow_list"]
        (local / "resources.json").write_text(json.dumps(older))
        world.centre._authority._save_manifest()
        world.turn(20)
        assert {path.name: path.read_bytes() for path in local.iterdir()} == now
        assert world.server.actions.count("restart fl-server") == 1

    def test_root_and_kits_survive_a_restart_of_the_service(self, world: World) -> None:
        world.turn(10)
        before = allowed(world)
        calls = len(world.nvflare.calls)
        world.centre = world.new_centre()
        world.turn(10)
        assert allowed(world) == before
        assert world.nvflare.calls[calls:] == []

    @pytest.mark.parametrize(
        ("day", "training", "restarts"), [(340, False, 1), (340, True, 0), (359, True, 1)]
    )
    def test_its_certificate_is_renewed_and_the_server_restarted_between_jobs_if_it_can(
        self, world: World, day: int, training: bool, restarts: int
    ) -> None:
        world.answer(approved=[CODE])
        world.turn(10)
        if training:
            give(world)
            world.centre.commands.submit({"job": "heart"})
        world.clock.time += day * 86_400
        for _ in range(10):
            world.centre.tick()
            world.clock.sleep(1)
        assert world.server.actions.count("restart fl-server") == restarts


class TestMembership:
    def test_a_hospital_that_leaves_is_no_longer_allowed(self, world: World) -> None:
        world.turn(10)
        assert list(allowed(world)) == ["cleveland"]
        world.members = []
        world.turn(10)
        assert allowed(world) == {}

    def test_one_that_comes_back_is_allowed_again_with_the_certificate_it_has(self, world: World) -> None:
        world.turn(10)
        before = allowed(world)
        world.members = []
        world.turn(10)
        world.members = ["cleveland"]
        world.turn(10)
        assert allowed(world) == before

    def test_one_that_was_revoked_as_it_left_enrols_anew_with_a_new_certificate(self, world: World) -> None:
        world.turn(10)
        before = allowed(world)
        world.centre.commands.revoke(
            {"hospital": "cleveland", "reason": "the hospital leaves the federation"}
        )
        world.members = []
        world.turn(10)
        shutil.rmtree(world.channel.folder)
        shutil.rmtree(world.hospital_config.agent.parent)
        world.stores.clear()
        world.hospital = world.new_hospital()
        world.members = ["cleveland"]
        world.turn(20)
        assert list(allowed(world)) == ["cleveland"]
        assert world.state() is State.RUNNING
        assert allowed(world) != before

    def test_where_approval_is_manual_a_person_must_say_so_again(self, tmp_path: Path) -> None:
        world = World(tmp_path, approval="manual")
        world.turn(5)
        world.centre.commands.approve({"hospital": "cleveland"})
        world.turn(10)
        world.members = []
        world.turn(10)
        world.members = ["cleveland"]
        world.turn(10)
        assert allowed(world) == {}
        world.centre.commands.approve({"hospital": "cleveland"})
        assert list(allowed(world)) == ["cleveland"]

    @pytest.mark.parametrize(
        "before", [(Enrolments, "reopen"), (Curation, "forget"), (Members, "take_in")], ids=lambda it: it[1]
    )
    def test_one_that_comes_back_is_greeted_though_the_service_was_killed_meanwhile(
        self, world: World, monkeypatch: pytest.MonkeyPatch, before: tuple[type, str]
    ) -> None:
        world.turn(10)
        world.members = []
        world.turn(10)
        shutil.rmtree(world.channel.folder)
        world.stores.clear()
        world.members = ["cleveland"]
        with monkeypatch.context() as killed:
            killed.setattr(*before, lambda *_, **__: sys.exit("killed"))
            with pytest.raises(SystemExit):
                world.turn(10)
        world.centre = world.new_centre()
        world.turn(10)
        assert (world.channel.folder / "desired.json").is_file()

    def test_metadata_that_fails_or_lies_removes_nobody(self, world: World) -> None:
        world.turn(10)
        before = allowed(world)
        for text in ("", "bm90IGpzb24=", "{}", "eyJob3NwaXRhbHMiOiAiYSJ9"):
            world.centre._user_data = lambda text=text: text  # type: ignore[misc]
            world.turn(30)
            assert allowed(world) == before

    @pytest.mark.parametrize(
        "text", ["", "!!", "e30=", "W10=", "eyJob3NwaXRhbHMiOiBbIi4uL3giXX0=", "eyJob3NwaXRhbHMiOiBbMV19"]
    )
    def test_user_data_that_is_no_list_of_hospitals_is_refused(self, text: str) -> None:
        with pytest.raises(UserDataError):
            members(lambda: text)

    def test_an_empty_list_is_a_list(self) -> None:
        assert members(lambda: "eyJob3NwaXRhbHMiOiBbXX0=") == frozenset()


class TestPatients:
    """The server takes no answer for more patients than a hospital's container server counted."""

    def rows(self, world: World) -> dict[str, dict[str, int]]:
        content = json.loads((world.centre_config.work / "allowed.json").read_text())
        return dict(content["rows"])

    def test_the_server_is_told_how_many_each_hospital_counted(self, world: World) -> None:
        world.turn(20)
        assert self.rows(world) == {"cleveland": {"heart.csv": 310}}, "to the next ten"
        world.data.write("more.csv", b"a,b\n" + b"1,2\n" * 401)
        world.data.write("notes.txt", b"one\ntwo\n")
        world.turn(200)
        assert self.rows(world) == {"cleveland": {"heart.csv": 310, "more.csv": 410}}


class TestCertificates:
    def test_a_request_for_another_name_is_refused_with_the_reason(self, world: World) -> None:
        world.channel.write(REQUEST, request_archive("hungary"))
        for _ in range(20):
            world.centre.tick()
            world.clock.sleep(0.5)
        assert decision(world)["decision"] == "refused"
        assert "hungary" in decision(world)["reason"]
        assert allowed(world) == {}

    def test_a_later_foreign_request_does_not_take_the_certificate_away(self, world: World) -> None:
        world.turn(10)
        before = allowed(world)
        world.channel.write(REQUEST, request_archive("cleveland", cert_type="lead", cert_role="lead"))
        world.turn(20)
        assert decision(world)["decision"] == "refused"
        assert allowed(world) == before

    def test_the_serial_is_allowed_before_the_hospital_is_told(self, world: World) -> None:
        write = world.channel.write
        seen: list[dict[str, str]] = []

        def watched(name: str, content: bytes) -> None:
            if name == DECISION:
                seen.append(allowed(world))
            write(name, content)

        world.channel.write = watched  # type: ignore[method-assign]
        world.turn(10)
        assert list(seen[0]) == ["cleveland"]

    def test_a_request_is_signed_once(self, world: World) -> None:
        world.turn(10)
        before = allowed(world)
        world.turn(60)
        assert allowed(world) == before

    def test_revoked_means_out_and_approved_means_in_with_the_same_certificate(self, world: World) -> None:
        world.turn(10)
        before = allowed(world)
        world.centre.commands.revoke({"hospital": "cleveland", "reason": "key lost"})
        assert allowed(world) == {}
        world.turn(20)
        assert world.state() is State.STOPPED
        assert "key lost" in world.reason
        world.centre.commands.approve({"hospital": "cleveland"})
        world.turn(30)
        assert allowed(world) == before
        assert world.state() is State.RUNNING

    def test_a_revoked_hospital_that_asks_again_is_refused(self, world: World) -> None:
        world.turn(10)
        world.centre.commands.revoke({"hospital": "cleveland", "reason": "key lost"})
        world.channel.write(REQUEST, request_archive("cleveland", request_id="again"))
        world.turn(20)
        assert decision(world) | {"reason": ""} == {
            "schema": "fed/decision/1",
            "request_id": "again",
            "decision": "refused",
            "reason": "",
        }
        assert allowed(world) == {}

    def test_storage_trouble_of_one_hospital_does_not_hold_up_another(self, world: World) -> None:
        world.members = ["cleveland", "hungary"]
        world.store("client-hungary").failure = StorageUnreachableError("no route")
        world.turn(20)
        assert world.state() is State.RUNNING

    def test_steady_state_asks_about_once_a_second(self, world: World) -> None:
        world.turn(60)
        for store in world.stores.values():
            store.calls.clear()
        for _ in range(1200):
            world.centre.work()
            world.clock.sleep(world.centre.tick())
        asked = sum(len(store.calls) for store in world.stores.values())
        assert asked < 1.3 * 600

    def test_members_are_named_when_one_is_unknown(self, world: World) -> None:
        world.turn(6)
        with pytest.raises(UnknownHospitalError, match="there are: cleveland"):
            world.centre.commands.approve({"hospital": "zurich"})

    def test_a_state_file_survives(self, tmp_path: Path) -> None:
        first = Members(tmp_path / "members.json", tmp_path / "allowed.json")
        first.take_in("cleveland", manual=False, now=0.0)
        first.change("cleveland", status="approved", serial="ab")
        again = Members(tmp_path / "members.json", tmp_path / "allowed.json")
        assert again.get("cleveland").admitted


CODE = code_of()
"""Of the small job that `give` puts among those of the image."""


def leave(world: World, job_id: str, nvflare: str, **progress: Any) -> None:
    """What the server's components leave of a job."""
    folder = world.centre_config.work / "jobs" / job_id
    (folder / "status.json").write_text(json.dumps({"nvflare": nvflare, "reason": ""}))
    if progress:
        (folder / "progress.json").write_text(json.dumps({"job": "heart", **progress}))


def jobs_of(world: World) -> Jobs:
    """The centre's jobs, next to the agent."""
    return Jobs(
        config=world.centre_config,
        clock=world.clock,
        nvflare=world.centre._jobs._nvflare,
        authority=world.centre._authority,
        reports=world.centre._enrolments.reports,
    )


def evaluate(world: World, trained: str) -> dict[str, Any]:
    """The plan of a measurement of version 3, which this job left."""
    job_id = jobs_of(world).evaluate(trained, "3", author="Dr Meier")
    plan: dict[str, Any] = json.loads((world.centre_config.work / "jobs" / job_id / "plan.json").read_text())
    return plan


class TestJobs:
    @pytest.fixture
    def centre(self, world: World) -> CentreAgent:
        world.answer(approved=[CODE])
        world.turn(10)
        give(world)
        return world.centre

    def test_a_job_is_composed_and_submitted_and_its_plan_is_where_the_server_reads_it(
        self, world: World, centre: CentreAgent
    ) -> None:
        row = centre.commands.submit({"job": "heart", "rounds": 9, "param": {"steps": "4"}})
        assert (row["job"], row["state"], row["rounds"]) == ("heart", "queued", 9)
        assert world.nvflare.jobs == ["submit heart"]
        plan = json.loads((world.centre_config.work / "jobs" / row["id"] / "plan.json").read_text())
        assert (plan["job"], plan["rounds"], plan["parameters"]) == ("heart", 9, {"steps": 4})

    def test_nothing_is_executed_for_it(self, world: World, centre: CentreAgent) -> None:
        asked: list[list[str]] = []
        world.server.execution = lambda name, command: (asked.append(command), (0, ""))[1]
        centre.commands.submit({"job": "heart"})
        assert asked == []

    def test_who_asks_goes_into_the_job(self, centre: CentreAgent) -> None:
        job_id = centre.commands.submit({"job": "heart", "by": "ada@example.org"})["id"]
        assert centre._jobs.get(job_id).submission["manifest"]["author"] == "ada@example.org"

    def test_a_job_that_is_not_there_is_refused_with_those_that_are(self, centre: CentreAgent) -> None:
        with pytest.raises(JobRefusedError, match="there are: heart"):
            centre.commands.submit({"job": "x"})

    def test_its_progress_is_shown_by_hospital(self, world: World, centre: CentreAgent) -> None:
        job_id = centre.commands.submit({"job": "heart"})["id"]
        history = [
            {"round": 0, "seconds": 2.0, "sites": {"a": {"auc": 0.5}, "b": {"auc": 0.6}}, "global": {}},
            {"round": 1, "seconds": 7.0, "sites": {"a": {"auc": 0.7}}, "global": {"mean_site_auc": 0.7}},
        ]
        leave(world, job_id, "RUNNING", state="running", history=history, rounds_done=1)
        shown = centre.commands.job({"id": job_id[:9]})
        assert (shown["state"], shown["round"]) == ("running", 1)
        assert shown["hospitals"] == {"a": {"auc": 0.7}, "b": {"auc": 0.6, "missed": [1]}}
        assert shown["seconds"] == [2.0, 7.0]

    def test_an_aborted_job_is_never_finished(self, world: World, centre: CentreAgent) -> None:
        """NVFlare's statistics write their file also when they are aborted, and that was called complete."""
        job_id = centre.commands.submit({"job": "heart"})["id"]
        results = world.centre_config.work / "jobs" / job_id / "results"
        (results / "global").mkdir(parents=True)
        (results / "global/scaling.json").write_text("{}")
        centre.commands.abort({"id": job_id})
        leave(world, job_id, "FINISHED:COMPLETED", state="finished", history=[])
        world.turn(5)
        assert centre.commands.job({"id": job_id})["state"] == "aborted"
        assert not (world.channel.folder / "results").exists()
        stored = world.store("results").folder / job_id
        assert {path.name for path in stored.iterdir()} == {"progress.json", "status.json"}
        assert centre._jobs.newest_finished() == {}

    def test_later_jobs_take_results_of_the_newest_job_that_did_finish(
        self, world: World, centre: CentreAgent
    ) -> None:
        first = centre.commands.submit({"job": "heart"})["id"]
        world.clock.sleep(1)
        second = centre.commands.submit({"job": "heart"})["id"]
        for job_id in (first, second):
            leave(world, job_id, "FINISHED:COMPLETED", state="finished", history=[])
        need = {"scale": {"result": "heart/scale.json", "otherwise": {"age": [54, 9], "chol": [240, 60]}}}
        give(world, "risk", needs=need)
        with pytest.raises(JobRefusedError, match=r"risk needs scale\.json of a finished job 'heart'"):
            centre.commands.submit({"job": "risk"})
        for job_id, mean in ((first, 1.0), (second, 2.0)):
            results = world.centre_config.work / "jobs" / job_id / "results/global"
            results.mkdir(parents=True)
            (results / "scale.json").write_text(json.dumps({"age": [mean, 1.0], "weight": [7.0, 1.0]}))
        submission = centre._jobs.get(centre.commands.submit({"job": "risk"})["id"]).submission
        assert submission["input_jobs"] == {"scale": second}

    def test_statistics_run_again_only_for_other_code_members_or_data(
        self, world: World, centre: CentreAgent
    ) -> None:
        need = {"scale": {"result": "statistics/scale.json", "otherwise": {"age": [54, 9]}}}
        give(world, needs=need)
        reads = {"heart.csv": ["age"]}
        give(world, "statistics", data=reads)
        world.answer(approved=[code_of("statistics", data=reads)])
        world.turn(40)

        def run_first() -> list[str]:
            found: list[str] = centre.commands.check({"job": "heart"})["run_first"]
            return found

        assert run_first() == ["statistics"]
        job_id = centre.commands.submit({"job": "statistics"})["id"]
        leave(world, job_id, "FINISHED:COMPLETED", state="finished", history=[])
        assert run_first() == []
        give(world, "statistics", data=reads, purpose="to see more")
        assert run_first() == ["statistics"]
        give(world, "statistics", data=reads)
        assert run_first() == []
        world.data.write("more.csv", b"a,b\n1,2\n")
        world.turn(200)
        assert run_first() == [], "it does not read that file"
        world.data.write("heart.csv", heart_data.seed("cleveland").replace(b"63,", b"64,", 1))
        world.turn(200)
        assert run_first() == ["statistics"]

    def test_a_mistake_is_named_before_anything_runs(self, world: World, centre: CentreAgent) -> None:
        for wrong, named in (
            ({"param": {"foo": "1"}}, "it has: steps"),
            ({"rounds": 0}, "--rounds is 0"),
            ({"rounds": 1001}, "--rounds is 1001"),
        ):
            with pytest.raises(JobRefusedError, match=named):
                centre.commands.check({"job": "heart", **wrong})
        assert world.nvflare.jobs == []

    def test_a_job_that_needs_more_hospitals_than_there_are_is_refused(
        self, world: World, centre: CentreAgent
    ) -> None:
        give(world, minimum_sites=2)
        with pytest.raises(JobRefusedError, match=r"needs answers of 2 hospitals.*1 may register: cleveland"):
            centre.commands.submit({"job": "heart"})
        assert world.nvflare.jobs == []

    def test_a_job_that_waits_says_for_whom(self, world: World, centre: CentreAgent) -> None:
        job_id = centre.commands.submit({"job": "heart"})["id"]
        clients, now = world.centre_config.work / "clients.json", world.clock.now()
        for heard, waits in (
            ({}, "waits: 0 of 1 hospitals needed are connected; missing: cleveland"),
            ({"cleveland": now - 600}, "missing: cleveland since 00:50 UTC"),
            ({"cleveland": now}, ""),
        ):
            clients.write_text(json.dumps({"heard": heard}))
            row = centre.commands.job({"id": job_id})
            assert waits in row.get("reason", "")
            assert bool(waits) == ("reason" in row)

    def test_a_hospital_whose_answers_do_not_count_is_named(self, world: World, centre: CentreAgent) -> None:
        job_id = centre.commands.submit({"job": "heart"})["id"]
        history = [
            {"round": 0, "seconds": 2.0, "sites": {"a": {"auc": 0.5}}, "global": {}, "dropped": {"b": "NaN"}}
        ]
        dropped = {"b": {"rounds": [0], "reason": "round 0: NaN"}}
        blank = {"a": {"brier": "could not be computed there"}}
        leave(world, job_id, "RUNNING", state="running", history=history, dropped=dropped, blank=blank)
        shown = centre.commands.job({"id": job_id})
        assert shown["hospitals"]["b"] == {"missed": [0], "dropped": dropped["b"]}
        assert shown["hospitals"]["a"] == {"auc": 0.5, "blank": blank["a"]}
        assert centre.commands.jobs({})["jobs"][0]["dropped"] == ["b"]
        assert list(training.remarks(shown)) == [
            "a: no brier: could not be computed there",
            "b: its answer was dropped in round 0; round 0: NaN",
        ]

    def test_only_a_job_that_ended_can_be_resumed(self, world: World, centre: CentreAgent) -> None:
        job_id = centre.commands.submit({"job": "heart"})["id"]
        with pytest.raises(JobRefusedError, match="queued"):
            centre.commands.resume({"id": job_id})
        ended = {"state": "failed", "history": [], "reason": "server stopped", "rounds_done": 4}
        leave(world, job_id, "FINISHED:ABNORMAL", **ended)
        with pytest.raises(JobRefusedError, match="left no model to go on from"):
            centre.commands.resume({"id": job_id})
        (world.centre_config.work / "jobs" / job_id / "checkpoint.npz").touch()
        again = centre.commands.resume({"id": job_id, "by": "bob"})
        assert again["round"] == 4
        assert jobs_of(world).get(again["id"]).submission["author"] == "bob", "who asks now"
        plan = json.loads((world.centre_config.work / "jobs" / again["id"] / "plan.json").read_text())
        assert (plan["first_round"], plan["resumed_from"]) == (4, job_id)

    def test_who_asked_for_what_and_whose_answers_counted_is_told(
        self, world: World, centre: CentreAgent
    ) -> None:
        job_id = jobs_of(world).submit("heart", author="ada")
        history = [{"round": 0, "seconds": 2.0, "sites": {"cleveland": {}}, "global": {}}]
        dropped = {"hungary": {"rounds": [0], "reason": "round 0: NaN"}}
        leave(world, job_id, "RUNNING", state="running", history=history, dropped=dropped)
        (row,) = centre.commands.handlers()["counted"]({})["jobs"]
        assert row["id"] == job_id
        assert (row["job"], row["author"], row["code"]) == ("heart", "ada", CODE[:16])
        assert (row["ran"], row["answered"]) == (["cleveland"], ["cleveland"])
        assert centre.commands.handlers()["counted"]({"skip": 1})["jobs"] == []

    def test_one_whose_code_is_another_now_is_not_resumed(self, world: World, centre: CentreAgent) -> None:
        """It went on with the folder as it was then: a model of two programs."""
        job_id = centre.commands.submit({"job": "heart"})["id"]
        ended = {"state": "failed", "history": [], "reason": "server stopped", "rounds_done": 4}
        leave(world, job_id, "FINISHED:ABNORMAL", **ended)
        (world.centre_config.work / "jobs" / job_id / "checkpoint.npz").touch()
        give(world, title="another one")
        with pytest.raises(JobRefusedError, match=r"is not the one that job .* ran with"):
            centre.commands.resume({"id": job_id})

    def test_files_of_jobs_that_ended_long_ago_are_not_read_each_second(
        self, world: World, centre: CentreAgent, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        jobs = jobs_of(world)
        old, new = jobs.submit("heart"), jobs.submit("heart")
        for job_id in (old, new):
            leave(world, job_id, "FINISHED:COMPLETED", state="finished", history=[], rounds_done=10)
        submission = world.centre_config.agent / "jobs" / f"{old}.json"
        known = json.loads(submission.read_text())
        submission.write_text(json.dumps({**known, "submitted": known["submitted"] - SETTLED_SECONDS - 1}))
        assert [job.job_id for job in jobs.all()] == [new, old]
        read: list[str] = []
        read_again = jobs._read_anew
        monkeypatch.setattr(jobs, "_read_anew", lambda job_id: (read.append(job_id), read_again(job_id))[1])
        assert [job.state for job in jobs.all()] == ["finished", "finished"]
        assert read == [new]
        jobs.withhold(jobs.get(old), "a link")
        assert jobs.get(old).state == "failed", "what this service itself notes is seen"

    def test_a_model_is_measured_by_its_jobs_last_round_alone(
        self, world: World, centre: CentreAgent
    ) -> None:
        give(world, measuring_round=True)
        trained = centre.commands.submit({"job": "heart", "rounds": 7})["id"]
        leave(world, trained, "FINISHED:COMPLETED", state="finished", history=[], rounds_done=7)
        with pytest.raises(JobRefusedError, match="is not here"):
            evaluate(world, trained)
        (world.centre_config.work / "jobs" / trained / "checkpoint.npz").touch()
        world.clock.sleep(60)
        plan = evaluate(world, trained)
        assert (plan["rounds"], plan["first_round"]) == (7, 7)
        assert (plan["resumed_from"], plan["evaluates"]) == (trained, "3")
        submitted = centre.commands.jobs({})["jobs"][0]
        assert submitted["evaluates"] == "3"
        assert submitted["state"] == "queued"  # approved already: it is the code that the training ran
        leave(world, submitted["id"], "FINISHED:COMPLETED", state="failed", history=[], rounds_done=7)
        (world.centre_config.work / "jobs" / submitted["id"] / "checkpoint.npz").touch()
        with pytest.raises(JobRefusedError, match="measures a model"):
            centre.commands.resume({"id": submitted["id"]})

    def test_a_measurement_counts_neither_as_its_jobs_newest_run_nor_in_the_tables(
        self, world: World, centre: CentreAgent
    ) -> None:
        give(world, measuring_round=True)
        jobs = jobs_of(world)
        trained = jobs.submit("heart")
        leave(world, trained, "FINISHED:COMPLETED", state="finished", history=[], rounds_done=10)
        (world.centre_config.work / "jobs" / trained / "checkpoint.npz").touch()
        world.clock.sleep(60)
        measured = jobs.evaluate(trained, "1", author="Dr Meier")
        leave(world, measured, "FINISHED:COMPLETED", state="finished", history=[], rounds_done=10)
        assert jobs.newest_finished() == {"heart": trained}
        world.turn(20)
        asked = json.loads((world.centre_config.curation / "request.json").read_text())
        assert [run["id"] for run in asked["runs"]] == [trained]

    def test_what_cannot_be_measured_alone_is_refused(self, world: World, centre: CentreAgent) -> None:
        trained = centre.commands.submit({"job": "heart"})["id"]
        with pytest.raises(JobRefusedError, match="measuring_round: true"):
            evaluate(world, trained)
        give(world, measuring_round=True)
        with pytest.raises(JobRefusedError, match="the code of heart is not the one"):
            evaluate(world, trained)

    def test_a_job_that_ended_cannot_be_aborted(self, world: World, centre: CentreAgent) -> None:
        job_id = centre.commands.submit({"job": "heart"})["id"]
        centre.commands.abort({"id": job_id, "by": "ada"})
        assert world.nvflare.jobs[-1].startswith("abort")
        leave(world, job_id, "FINISHED:ABORTED", state="failed", history=[])
        assert centre.commands.job({"id": job_id})["reason"] == "aborted by ada"
        with pytest.raises(JobRefusedError, match="aborted already"):
            centre.commands.abort({"id": job_id})

    def test_an_abort_that_nvflare_refused_leaves_the_job_as_it_is(
        self, world: World, centre: CentreAgent, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuses(*arguments: object) -> dict[str, Any]:
            raise NvflareError("abort", "JOB_NOT_RUNNING", "the job is not running")

        job_id = centre.commands.submit({"job": "heart"})["id"]
        monkeypatch.setattr(world.nvflare, "as_administrator", refuses)
        with pytest.raises(NvflareError, match="not running"):
            centre.commands.abort({"id": job_id})
        leave(world, job_id, "RUNNING", state="finished", history=[])
        assert centre.commands.job({"id": job_id})["state"] == "finished"

    @pytest.mark.parametrize("job_id", ["", "zzz", "../../etc"])
    def test_an_unknown_job_is_an_answer(self, centre: CentreAgent, job_id: str) -> None:
        centre.commands.submit({"job": "heart"})
        with pytest.raises(UnknownJobError):
            centre.commands.job({"id": job_id})

    def test_results_go_to_the_centre_and_each_hospital_gets_only_its_own(
        self, world: World, centre: CentreAgent
    ) -> None:
        job_id = centre.commands.submit({"job": "heart"})["id"]
        results = world.centre_config.work / "jobs" / job_id / "results"
        for name in (
            "global/model.json",
            "hospitals/cleveland.json",
            "hospitals/hungary.json",
            "centre/h.json",
        ):
            (results / name).parent.mkdir(parents=True, exist_ok=True)
            (results / name).write_text(json.dumps({"file": name}))
        leave(world, job_id, "FINISHED:COMPLETED", state="finished", history=[])
        world.turn(5)
        own = world.channel.folder / "results" / job_id
        assert {path.name for path in own.iterdir()} == {"model.json", "hospital.json"}
        assert "cleveland" in (own / "hospital.json").read_text()
        stored = world.store("results").folder / job_id / "results"
        assert (stored / "centre/h.json").is_file()

    def test_tables_are_made_after_a_job_and_each_party_gets_its_own(
        self, world: World, centre: CentreAgent
    ) -> None:
        asked: list[dict[str, Any]] = []

        def curate(name: str, command: list[str]) -> tuple[int, str]:
            if command[:3] != ["python3", "-m", "curation"]:
                return execute(name, command)
            assert name == "mlflow"
            folder = Path(command[3])
            asked.append(json.loads((folder / "request.json").read_text()))
            for party in ("centre", "cleveland"):
                (folder / "tables" / party).mkdir(parents=True, exist_ok=True)
                (folder / "tables" / party / "dim_run.parquet").write_bytes(party.encode())
            return 0, '{"rows": {}, "refused": {"x": "KeyError"}}\n'

        execute = world.server.execution
        world.server.execution = curate
        job_id = centre.commands.submit({"job": "heart"})["id"]
        world.turn(5)
        assert not asked
        leave(world, job_id, "FINISHED:COMPLETED", state="finished", history=[])
        world.turn(5)
        assert [run["id"] for run in asked[0]["runs"]] == [job_id]
        assert asked[0]["smallest_cell"] == 10
        assert asked[0]["sites"]["cleveland"]["state"] == "running"
        assert (world.store("server").folder / "curated/dim_run.parquet").read_bytes() == b"centre"
        assert (world.channel.folder / "curated/dim_run.parquet").read_bytes() == b"cleveland"
        world.centre = world.new_centre()
        world.turn(5)
        assert len(asked) == 1
        world.centre_config = replace(world.centre_config, curation_image="with stricter rules")
        world.centre = world.new_centre()
        world.turn(5)
        assert len(asked) == 2

    def test_one_hospital_that_takes_no_tables_holds_up_no_other(
        self, world: World, centre: CentreAgent
    ) -> None:
        world.members = ["austin", "cleveland"]
        world.turn(10)
        centre._members.change("austin", status="approved", serial="ab")
        centre._enrolments.channel("austin").report = {"jobs": {"approved": [CODE]}}
        world.store("client-austin").failure = StorageUnreachableError("there is a lease on the blob")
        self._with_tables(world, "austin")
        world.turn(10)
        assert (world.channel.folder / "curated/dim_run.parquet").is_file()
        assert not (world.store("client-austin").folder / "curated").exists()

    def test_long_work_holds_up_no_newcomer(self, world: World, centre: CentreAgent) -> None:
        def slow(name: str, command: list[str]) -> tuple[int, str]:
            turns.append(command[-1])
            for _ in range(40):  # the other loop goes on meanwhile
                centre.tick()
                world.clock.sleep(1)
            return 1, "{}"

        turns: list[str] = []
        self._with_tables(world)
        world.server.execution = slow
        world.members = ["austin", "cleveland"]
        centre.work()
        assert turns
        assert (world.store("client-austin").folder / ROOT).is_file()

    def test_hospital_that_comes_back_to_an_empty_container_gets_its_tables_again(
        self, world: World, centre: CentreAgent
    ) -> None:
        self._with_tables(world)
        world.turn(10)
        world.members = []
        world.turn(10)
        shutil.rmtree(world.channel.folder / "curated")
        world.members = ["cleveland"]
        world.turn(20)
        assert (world.channel.folder / "curated/dim_run.parquet").is_file()

    @pytest.mark.parametrize("place", ["tables/cleveland/dim_run.parquet", "tables/cleveland", "tables"])
    def test_link_that_mlflows_container_lays_to_a_key_is_not_followed(
        self, world: World, centre: CentreAgent, place: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file = "tables/cleveland/dim_run.parquet"
        outside, link = world.centre_config.agent / "keys", world.centre_config.curation / place
        (outside / file).parent.mkdir(parents=True)
        (outside / file).write_text("a key")
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(outside / place)
        self._with_tables(world, make=False)
        world.turn(10)
        assert '"owner": "cleveland", "reason": "its tables cannot be read' in capsys.readouterr().out
        assert not (world.channel.folder / "curated").exists()

    @pytest.mark.parametrize("output", ["{", '{"rows": {}, "refused": []}', '{"rows": {}}', "[]"])
    def test_answer_that_is_none_does_not_end_the_service(
        self, world: World, centre: CentreAgent, output: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self._with_tables(world, output=output)
        world.turn(10)
        assert "the tables could not be made: exit code 0 without an answer" in capsys.readouterr().out

    def _with_tables(
        self, world: World, *more: str, make: bool = True, output: str = '{"rows": {}, "refused": {}}'
    ) -> None:
        """A job ends, and MLflow's container makes tables of it."""
        execute = world.server.execution

        def curate(name: str, command: list[str]) -> tuple[int, str]:
            if command[:3] != ["python3", "-m", "curation"]:
                return execute(name, command)
            for party in ("centre", "cleveland", *more) if make else ():
                (Path(command[3]) / "tables" / party).mkdir(parents=True, exist_ok=True)
                (Path(command[3]) / "tables" / party / "dim_run.parquet").touch()
            return 0, output

        world.server.execution = curate
        job_id = world.centre.commands.submit({"job": "heart"})["id"]
        leave(world, job_id, "FINISHED:COMPLETED", state="finished", history=[])

    def test_tables_that_could_not_be_made_are_made_later(
        self, world: World, centre: CentreAgent, capsys: pytest.CaptureFixture[str]
    ) -> None:
        execute = world.server.execution
        answers = [(1, '{"error": "BrokenRowError: twice"}\n'), (0, "")]

        def curate(name: str, command: list[str]) -> tuple[int, str]:
            if command[:3] != ["python3", "-m", "curation"]:
                return execute(name, command)
            if len(answers) > 1:
                return answers.pop(0)
            for party in ("centre", "cleveland"):
                (Path(command[3]) / "tables" / party).mkdir(parents=True, exist_ok=True)
                (Path(command[3]) / "tables" / party / "dim_run.parquet").touch()
            return 0, '{"rows": {}, "refused": {}}\n'

        world.server.execution = curate
        job_id = centre.commands.submit({"job": "heart"})["id"]
        leave(world, job_id, "FINISHED:COMPLETED", state="finished", history=[])
        world.turn(10)
        assert "the tables could not be made: BrokenRowError: twice" in capsys.readouterr().out
        assert (world.channel.folder / "curated/dim_run.parquet").is_file()

    def test_results_are_handed_on_once(self, world: World, centre: CentreAgent) -> None:
        job_id = centre.commands.submit({"job": "heart"})["id"]
        leave(world, job_id, "FINISHED:COMPLETED", state="finished", history=[])
        world.turn(5)
        world.store("server").calls.clear()
        world.centre = world.new_centre()
        world.turn(5)
        assert not [call for call in world.store("server").calls if call.startswith("write")]

    def test_results_reach_a_hospital_that_could_not_be_reached_at_first(
        self, world: World, centre: CentreAgent, capsys: pytest.CaptureFixture[str]
    ) -> None:
        world.turn(10)
        job_id = centre.commands.submit({"job": "heart"})["id"]
        results = world.centre_config.work / "jobs" / job_id / "results"
        (results / "global").mkdir(parents=True)
        (results / "global/model.json").write_text("{}")
        world.channel.failure = StorageUnreachableError("no route")
        leave(world, job_id, "FINISHED:COMPLETED", state="finished", history=[])
        world.turn(10)
        said = capsys.readouterr().out
        assert said.count('"what": "results", "owner": "cleveland"') == 1
        assert "no route" in said
        assert (world.store("results").folder / job_id / "results/global/model.json").is_file()
        world.centre = world.new_centre()
        world.channel.failure = None
        world.turn(10)
        assert (world.channel.folder / "results" / job_id / "model.json").is_file()

    @pytest.mark.parametrize(
        ("nvflare", "progress", "expected"),
        [
            ("", {}, "queued"),
            ("SUBMITTED", {}, "queued"),
            ("DISPATCHED", {}, "running"),
            ("RUNNING", {"state": "running"}, "running"),
            ("RUNNING", {"state": "finished"}, "finished"),
            ("RUNNING", {"state": "failed", "reason": "x"}, "running"),
            ("FINISHED:COMPLETED", {"state": "finished"}, "finished"),
            ("FINISHED:ABNORMAL", {"state": "finished"}, "finished"),
            ("FINISHED:COMPLETED", {"state": "failed", "reason": "x"}, "failed"),
            ("FINISHED:EXECUTION_EXCEPTION", {}, "failed"),
            ("FINISHED:ABORTED", {"state": "failed"}, "aborted"),
            ("FINISHED:CAN_NOT_SCHEDULE", {}, "failed"),
        ],
    )
    def test_state_from_nvflare_and_tracker(
        self, nvflare: str, progress: dict[str, str], expected: str
    ) -> None:
        state, reason = state_of(nvflare, "", progress)
        assert state == expected
        assert bool(reason) == (expected in ("failed", "aborted"))


def damaged(name: str) -> bytes:
    """An archive with one wrong byte in its packed content, which zlib then refuses."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, "".join(map(str, range(500))))
        start = archive.getinfo(name).header_offset + 30 + len(name)
    content = bytearray(stream.getvalue())
    content[start] ^= 0xFF
    return bytes(content)


NAMES = st.text(
    st.one_of(st.sampled_from("ab./"), st.characters(codec="utf-8", exclude_characters="\0")),
    min_size=1,
    max_size=12,
)


class TestInbox:
    @pytest.fixture
    def centre(self, world: World) -> CentreAgent:
        world.answer(approved=[code_of("pulse"), code_of("wave")])
        world.turn(10)
        return world.centre

    def answer(self, world: World, name: str) -> dict[str, str]:
        content: dict[str, str] = json.loads((world.store("inbox").folder / f"{name}.json").read_text())
        return content

    def test_a_job_dropped_in_is_submitted_and_answered(self, world: World, centre: CentreAgent) -> None:
        archive = zipped({f"pulse/{path}": text for path, text in job_files("pulse").items()})
        world.store("inbox").write("pulse.zip", archive)
        world.turn(20)
        assert self.answer(world, "pulse")["job_id"]
        assert self.answer(world, "pulse")["archive"] == hashlib.sha256(archive).hexdigest()
        assert (world.centre_config.agent / "inbox/pulse/job.py").is_file()
        assert not (world.store("inbox").folder / "pulse.zip").exists()

    @pytest.mark.parametrize("bound", ["MOST_WAITING", "MOST_KEPT"])
    def test_researchers_fill_neither_the_hospitals_lists_nor_the_disk(
        self, world: World, monkeypatch: pytest.MonkeyPatch, bound: str
    ) -> None:
        """Hospitals are asked for the 50 oldest jobs: as many junk jobs kept others from them."""
        monkeypatch.setattr(inbox, bound, 1)
        world.turn(10)
        for name in ("pulse", "wave"):
            world.store("inbox").write(f"{name}.zip", zipped(job_files(name)))
            world.turn(20)
        assert self.answer(world, "pulse")["job_id"]
        assert "1 jobs of the inbox" in self.answer(world, "wave")["error"]
        assert not (world.centre_config.agent / "inbox/wave").exists()

    def test_one_that_is_refused_takes_no_place(
        self, world: World, centre: CentreAgent, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(inbox, "MOST_KEPT", 1)
        for name, files in (("pulse", {"job.yaml": "name: pulse"}), ("wave", job_files("wave"))):
            world.store("inbox").write(f"{name}.zip", zipped(files))
            world.turn(20)
        assert "purpose" in self.answer(world, "pulse")["error"]
        assert self.answer(world, "wave")["job_id"]

    def test_one_that_is_refused_is_answered_with_the_reason(self, world: World, centre: CentreAgent) -> None:
        world.store("inbox").write("pulse.zip", b"not an archive")
        world.turn(20)
        assert "not a readable archive" in self.answer(world, "pulse")["error"]

    def test_an_answer_names_the_archive_that_it_answers(self, world: World, centre: CentreAgent) -> None:
        """Two uploads of one name: whoever reads the first answer must not take it for the second's."""
        archives = [zipped(job_files("pulse")), b"not an archive"]
        said = []
        for archive in archives:
            world.store("inbox").write("pulse.zip", archive)
            world.turn(20)
            said.append(self.answer(world, "pulse"))
        assert [one["archive"] for one in said] == [hashlib.sha256(one).hexdigest() for one in archives]
        assert ["error" in one for one in said] == [False, True]

    def test_what_macos_adds_to_an_archive_is_left_out(self, tmp_path: Path) -> None:
        """As its Finder packs a folder (github.com/DistributedProofreaders/guiguts-py/issues/1938)."""
        added = ["__MACOSX/pulse/._job.yaml", "pulse/.DS_Store", "pulse/pulse_job/._job.py"]
        archive = zipped({"pulse/job.yaml": "name: pulse"} | dict.fromkeys(added, "x"))
        unpack(archive, tmp_path / "job")
        assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["job.yaml"]

    def test_one_wrong_byte_is_refused_and_answered(self, world: World, centre: CentreAgent) -> None:
        world.store("inbox").write("pulse.zip", damaged("job.yaml"))
        world.turn(20)
        assert "not a readable archive: error: Error -3" in self.answer(world, "pulse")["error"]
        assert not (world.store("inbox").folder / "pulse.zip").exists()

    def test_an_archive_that_cannot_be_deleted_is_submitted_once_and_holds_up_no_other(
        self, world: World, centre: CentreAgent, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = world.store("inbox")
        delete = store.delete
        leased = StorageUnreachableError("pulse.zip: 412 there is a lease on the blob")

        def deleting(name: str) -> None:
            if name == "pulse.zip":
                raise leased
            delete(name)

        monkeypatch.setattr(store, "delete", deleting)
        for name in ("pulse", "wave"):
            store.write(f"{name}.zip", zipped(job_files(name)))
        world.turn(60)
        world.centre = world.new_centre()
        world.turn(60)
        assert world.nvflare.jobs == ["submit pulse", "submit wave"]
        assert self.answer(world, "pulse")["job_id"] != self.answer(world, "wave")["job_id"]
        (trouble,) = world.centre.commands.status({})["troubles"]
        assert trouble == {"what": "inbox", "owner": "pulse.zip", "reason": str(leased)}

    @pytest.mark.parametrize(
        "name", ["../x", "/etc/passwd", "a/../../x", ".hidden/x", "a b", "x\\y", "-rf", "a/.git/config", "."]
    )
    def test_names_that_lead_elsewhere_are_refused(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(ArchiveRefusedError):
            unpack(zipped({"job.yaml": "", name: "x"}), tmp_path / "job")
        assert not (tmp_path / "job").exists()

    def test_a_file_that_is_also_a_folder_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ArchiveRefusedError, match="below a file"):
            unpack(zipped({"job.yaml": "", "a": "x", "a/b": "x"}), tmp_path / "job")

    def test_links_are_refused(self, tmp_path: Path) -> None:
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            link = zipfile.ZipInfo("secrets")
            link.external_attr = 0o120777 << 16
            archive.writestr(link, "/etc/passwd")
            archive.writestr("job.yaml", "")
        with pytest.raises(ArchiveRefusedError, match="link"):
            unpack(stream.getvalue(), tmp_path / "job")

    def test_a_bomb_is_refused(self, tmp_path: Path) -> None:
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("job.yaml", b"\0" * 20_000_000)
        with pytest.raises(ArchiveRefusedError, match="unpacked"):
            unpack(stream.getvalue(), tmp_path / "job")

    def test_without_a_job_yaml_it_is_no_job(self, tmp_path: Path) -> None:
        with pytest.raises(ArchiveRefusedError, match=r"job\.yaml"):
            unpack(zipped({"x.py": ""}), tmp_path / "job")

    @settings(max_examples=150, deadline=None)
    @given(content=st.binary(max_size=300))
    def test_any_bytes_are_refused_and_never_crash(
        self, tmp_path_factory: pytest.TempPathFactory, content: bytes
    ) -> None:
        with pytest.raises(ArchiveRefusedError):
            unpack(content, tmp_path_factory.mktemp("x") / "job")

    @settings(max_examples=150, deadline=None)
    @given(names=st.lists(NAMES, min_size=1, max_size=4, unique=True))
    def test_whatever_the_names_nothing_is_written_outside(
        self, tmp_path_factory: pytest.TempPathFactory, names: list[str]
    ) -> None:
        root = tmp_path_factory.mktemp("x")
        try:
            unpack(zipped({"job.yaml": "", **dict.fromkeys(names, "x")}), root / "job")
        except ArchiveRefusedError:
            assert not (root / "job").exists()
        assert {path.name for path in root.iterdir()} <= {"job"}


class TestStatus:
    def test_it_tells_enrolment_state_and_registration(self, world: World) -> None:
        world.turn(20)
        (world.centre_config.work / "clients.json").write_text(
            json.dumps({"heard": {"cleveland": world.clock.now()}})
        )
        status = world.centre.commands.status({})
        assert status["hospitals"]["cleveland"] | {"reported": 0, "ends": 0} == {
            "enrolment": "approved",
            "state": "running",
            "registered": True,
            "client": "running",
            "reported": 0,
            "ends": 0,
        }
        assert status["registered"] == 1
        assert status["containers"] == {
            "container-server": "running",
            "fl-server": "running",
            "mlflow": "running",
        }
        world.server.containers["mlflow"] = ContainerState(Running.RUNNING, health="unhealthy")
        assert world.centre.commands.status({})["containers"]["mlflow"] == "running, unhealthy"

    def test_it_goes_on_after_a_name(self, world: World) -> None:
        world.turn(20)
        assert world.centre.commands.status({"after": "centre"})["hospitals"].keys() == {"cleveland"}
        assert not world.centre.commands.status({"after": "cleveland"})["hospitals"]

    def test_nobody_is_registered_at_a_server_that_is_down(self, world: World) -> None:
        world.turn(20)
        heard = {"heard": {"cleveland": world.clock.now()}}
        (world.centre_config.work / "clients.json").write_text(json.dumps(heard))
        world.server.containers["fl-server"] = ContainerState(Running.RESTARTING, 1)
        assert world.centre.commands.status({})["registered"] == 0

    def test_a_report_of_another_hospital_is_not_believed(self, world: World) -> None:
        world.turn(10)
        report = world.report()
        world.channel.write(
            "report.json", encode("report", {**_without_schema(report), "hospital": "hungary"})
        )
        world.hospital.tick = lambda: 1.0  # type: ignore[method-assign]
        world.turn(20)
        assert world.centre.commands.status({})["hospitals"]["cleveland"]["state"] == "running"

    @pytest.mark.parametrize(
        "content",
        [b"", b"{}", b"\xff", b"[" * 5000, b'{"schema": "fed/report/1", "written": NaN}', b"x" * 300_000],
        ids=["empty", "no report", "no text", "deep", "not a number", "large"],
    )
    def test_report_that_cannot_be_read_is_shown_and_blinds_nobody(
        self, world: World, content: bytes, capsys: pytest.CaptureFixture[str]
    ) -> None:
        world.turn(20)
        world.hospital.tick = lambda: 1.0  # type: ignore[method-assign]
        world.channel.write("report.json", content)
        world.turn(60)
        row = world.centre.commands.status({})["hospitals"]["cleveland"]
        assert row["state"] == "running", "the last report that could be read"
        assert "report" in row["trouble"]
        assert capsys.readouterr().out.count('"event": "set aside"') == 1
        world.hospital = world.new_hospital()
        world.turn(30)
        assert "trouble" not in world.centre.commands.status({})["hospitals"]["cleveland"]

    def test_storage_trouble_is_shown(self, world: World) -> None:
        world.channel.failure = StorageUnreachableError("client-cleveland: no route")
        world.turn(10)
        assert "no route" in world.centre.commands.status({})["hospitals"]["cleveland"]["trouble"]
        world.channel.failure = None
        world.turn(60)
        assert "trouble" not in world.centre.commands.status({})["hospitals"]["cleveland"]

    def test_what_nobody_foresaw_is_shown_tried_again_and_holds_up_nothing_else(
        self, world: World, capsys: pytest.CaptureFixture[str]
    ) -> None:
        own = world.store("inbox")
        own.failure = KeyError("what no list of errors holds")
        world.turn(20)
        assert world.state() is State.RUNNING
        said = capsys.readouterr().out
        assert said.count('"event": "trouble"') == 1
        assert "_called" in said, "the log names the line that raised it"
        trouble = {"what": "inbox", "owner": "", "reason": "KeyError: 'what no list of errors holds'"}
        assert world.centre.commands.status({})["troubles"] == [trouble]
        own.failure = None
        world.turn(30)
        assert not world.centre.commands.status({})["troubles"]


def _without_schema(message: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in message.items() if key != "schema"}


def test_metadata_that_does_not_answer_is_transient() -> None:
    def fetch() -> str:
        raise TransientError("metadata service: timed out")

    with pytest.raises(TransientError):
        members(fetch)
