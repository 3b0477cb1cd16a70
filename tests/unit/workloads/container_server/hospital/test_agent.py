"""One hospital's container server, with time, storage, engine and NVFlare's commands in the test's hands."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from container_server.engine import ContainerState, EngineUnreachableError
from container_server.hospital import agent
from container_server.hospital.agent import ENGINE_PATIENCE_SECONDS, EngineLostError
from container_server.hospital.state import State
from container_server.kit import Manifest
from container_server.messages import DECISION, DESIRED, ROOT, SIGNED, encode
from container_server.nvflare_cli import NvflareError
from container_server.storage import StorageForbiddenError, StorageUnreachableError
from fed_site.job_form import EXECUTORS

from tests.unit.support.workloads_pki import Root
from tests.unit.support.workloads_world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    yield World(tmp_path)


class TestEnrolment:
    def test_from_nothing_to_running_within_seconds(self, world: World) -> None:
        world.turn(10)
        assert world.state() is State.RUNNING
        assert world.client.actions == ["start fl-client"]
        assert world.report()["state"] == "running"

    def test_the_private_key_never_leaves_the_vm(self, world: World) -> None:
        world.turn(10)
        key = (world.hospital_config.kit / "startup/client.key").read_bytes()
        assert b"PRIVATE KEY" in key
        for path in (world.folder / "blobs").rglob("*"):
            assert not path.is_file() or b"PRIVATE KEY" not in path.read_bytes()

    def test_it_waits_for_a_person_where_approval_is_manual(self, tmp_path: Path) -> None:
        world = World(tmp_path, approval="manual")
        world.turn(30)
        assert world.state() is State.UNENROLLED
        assert "./fed hospital approve cleveland" in world.reason
        world.centre.commands.approve({"hospital": "cleveland"})
        world.turn(30)
        assert world.state() is State.RUNNING

    def test_an_old_answer_is_not_taken_for_a_new_request(self, world: World) -> None:
        old = encode("decision", {"request_id": "old", "decision": "approved", "reason": ""})
        world.channel.write(DECISION, old)
        world.channel.write(SIGNED, b"junk")
        world.turn(5, centre=False)
        assert world.state() is State.UNENROLLED
        assert "cannot be read" not in world.reason

    def test_a_signed_archive_for_another_request_is_refused(self, world: World) -> None:
        world.turn(10)
        signed = (world.channel.folder / SIGNED).read_bytes()
        later = World(world.folder / "later")
        later.turn(2, centre=False)
        sent = json.loads((later.hospital_config.agent / "enrolment/sent.json").read_text())
        approved = {"request_id": sent["request_id"], "decision": "approved", "reason": ""}
        later.channel.write(SIGNED, signed)
        later.channel.write(DECISION, encode("decision", approved))
        later.turn(5, centre=False)
        assert later.state() is State.UNENROLLED
        assert "answers request" in later.reason

    def test_the_officers_pin_beats_the_root_the_centre_states(self, world: World) -> None:
        world.hospital = world.new_hospital(root_fingerprint=Root.new().fingerprint)
        world.turn(10)
        assert world.state() is State.UNENROLLED
        assert "did not hand over to it" in world.reason

    def test_the_first_root_stays_pinned(self, world: World) -> None:
        world.turn(10)
        pinned = json.loads((world.hospital_config.agent / "root.json").read_text())["fingerprint"]
        other = {"project": "fed-dev", "fingerprint": Root.new().fingerprint}
        world.channel.write(ROOT, encode("root", other))
        world.turn(60)
        assert world.state() is State.RUNNING
        assert json.loads((world.hospital_config.agent / "root.json").read_text())["fingerprint"] == pinned

    def test_it_goes_on_after_a_restart_with_the_request_it_made(self, world: World) -> None:
        world.turn(1, centre=False)
        world.hospital = world.new_hospital()
        world.turn(1, centre=False)
        assert world.nvflare.calls == ["cert request"]
        world.turn(10)
        assert world.state() is State.RUNNING

    def test_a_command_that_fails_is_tried_again_ever_more_slowly(self, world: World) -> None:
        world.nvflare.refuse = NvflareError("cert request", "INTERNAL", "no space left")
        world.turn(60, centre=False)
        assert "no space left" in world.reason
        assert len(world.nvflare.calls) < 10
        world.nvflare.refuse = None
        world.turn(60)
        assert world.state() is State.RUNNING


class TestStorageTrouble:
    @pytest.mark.parametrize(
        "failure", [StorageForbiddenError("client-cleveland: refused"), StorageUnreachableError("no route")]
    )
    def test_it_waits_ever_longer_says_why_and_then_goes_on(self, world: World, failure: Exception) -> None:
        world.channel.failure = failure
        world.turn(120, centre=False)
        assert world.state() is State.UNENROLLED
        assert str(failure) in world.reason
        assert len(world.channel.calls) < 40
        world.channel.failure = None
        world.turn(90)
        assert world.state() is State.RUNNING

    def test_a_running_client_is_left_alone(self, world: World) -> None:
        world.turn(10)
        world.channel.failure = StorageUnreachableError("no route")
        world.data.failure = StorageUnreachableError("no route")
        world.turn(300)
        assert world.state() is State.RUNNING
        assert world.client.actions == ["start fl-client"]

    def test_steady_state_asks_less_than_once_in_five_seconds(self, world: World) -> None:
        world.turn(30)
        world.channel.calls.clear()
        world.data.calls.clear()
        world.turn(600, centre=False)
        assert len(world.channel.calls) + len(world.data.calls) < 120


class TestKit:
    def test_a_file_that_goes_missing_stops_the_client_and_is_named(self, world: World) -> None:
        world.turn(10)
        (world.hospital_config.kit / "local/privacy.json").unlink()
        world.turn(40)
        assert world.state() is State.DEGRADED
        assert "local/privacy.json: missing" in world.report()["reason"]
        assert world.client.actions[-1] == "stop fl-client"

    def test_kit_that_cannot_be_checked_is_no_kit(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world.turn(10)

        def broken(*_: object) -> list[str]:
            raise ZeroDivisionError("in the check")

        monkeypatch.setattr(agent, "faults", broken)
        world.turn(40)
        assert world.client.actions[-1] == "stop fl-client"
        assert "startup kit: cannot be checked: ZeroDivisionError: in the check" in world.reason

    def test_when_it_is_put_back_the_client_starts_again(self, world: World) -> None:
        world.turn(10)
        policy = world.hospital_config.kit / "local/privacy.json"
        content = policy.read_bytes()
        policy.unlink()
        world.turn(40)
        policy.write_bytes(content)
        world.turn(10)
        assert world.state() is State.RUNNING

    def test_a_newer_image_brings_its_policy_to_a_hospital_that_enrolled_before(self, world: World) -> None:
        world.turn(10)
        kit = world.hospital_config.kit
        privacy, resources = kit / "local/privacy.json", kit / "local/resources.json"
        todays = (privacy.read_text(), json.loads(resources.read_text()))
        privacy.write_text('{"scopes": []}')
        resources.write_text(
            resources.read_text().replace("fed_site.launcher.JobLauncher", "an.older.Launcher")
        )
        manifest = Manifest.of(kit, "", "", "").files
        path = world.hospital_config.agent / "manifest.json"
        saved = json.loads(path.read_text())
        path.write_text(json.dumps({**saved, "files": dict(manifest)}))
        world.hospital = world.new_hospital()
        assert (privacy.read_text(), json.loads(resources.read_text())) == todays
        world.turn(40)
        assert world.state() is State.RUNNING

    def test_a_weakened_policy_never_starts(self, world: World) -> None:
        world.turn(10)
        world.client.stop("fl-client")
        (world.hospital_config.kit / "local/privacy.json").write_text("{}")
        world.turn(60)
        assert "start fl-client" not in world.client.actions[2:]
        assert "local/privacy.json: changed" in world.reason

    def test_scripts_of_nvflares_are_left_out_and_the_policy_is_in(self, world: World) -> None:
        world.turn(10)
        names = {path.name for path in world.hospital_config.kit.rglob("*") if path.is_file()}
        assert "start.sh" not in names
        policy = json.loads((world.hospital_config.kit / "local/privacy.json").read_text())
        assert policy["default_scope"] == "hospital"
        resources = json.loads((world.hospital_config.kit / "local/resources.json").read_text())
        assert resources["allow_log_streaming"] is False
        assert sorted(resources["class_allow_list"]) == sorted(EXECUTORS)  # of a job's configuration
        authorization = json.loads((world.hospital_config.kit / "local/authorization.json").read_text())
        for rights in authorization["permissions"].values():
            assert rights.get("byoc", "none") == "none"  # NVFlare's word for a job's own code
        assert resources["client"]["communication_timeout"] <= 30  # else a cut costs minutes
        components = {part["id"]: part.get("path") for part in resources["components"]}
        assert "site_log_streamer" not in components
        assert components["app_deployer"] == "fed_site.consent.ConsentingDeployer"
        assert components["process_launcher"] == "fed_site.launcher.JobLauncher"
        assert components["job_commands_alone"] == "fed_site.commands.JobCommandsAlone"

    def test_a_damaged_manifest_means_enrolling_again(self, world: World) -> None:
        world.turn(10)
        (world.hospital_config.agent / "manifest.json").write_text("{")
        world.hospital = world.new_hospital()
        world.turn(30)
        assert world.state() is State.RUNNING
        assert "stop fl-client" in world.client.actions


class TestCrashes:
    """Docker starts the client never, so that nobody but who looks at the kit does (ADR 0065)."""

    def test_a_client_that_ended_is_started_again_at_once(self, world: World) -> None:
        world.turn(200)
        world.client.crash("fl-client")
        world.turn(1)
        assert world.client.actions == ["start fl-client"] * 2
        assert world.state() is State.RUNNING

    def test_one_that_keeps_ending_is_started_ever_more_slowly(self, world: World) -> None:
        world.turn(200)
        world.silent = True
        world.client.on_start = lambda name: world.client.crash(name, 101)
        world.client.crash("fl-client", 101)
        before = len(world.client.actions)
        world.turn(300)
        assert 6 <= len(world.client.actions) - before <= 12  # 1, 2, 4 ... 60 seconds apart
        assert world.state() is State.DEGRADED
        assert "exit code 101" in world.reason
        assert world.report()["client"]["restarts"] >= 5

    def test_its_kit_is_looked_at_before_each_start(self, world: World) -> None:
        world.turn(200)
        (world.hospital_config.kit / "local/privacy.json").write_text("{}")
        world.client.crash("fl-client")
        world.turn(20)
        assert world.client.actions == ["start fl-client"]
        assert "local/privacy.json: changed" in world.reason

    def test_after_a_boot_it_is_started_without_a_fault(self, world: World) -> None:
        world.turn(10)
        world.client.crash("fl-client", 255)
        world.hospital = world.new_hospital()
        world.turn(5)
        assert world.client.actions == ["start fl-client"] * 2
        assert world.report()["client"]["restarts"] == 0


class TestRenewal:
    def serial(self, world: World) -> str:
        certificate = world.hospital.report()["certificate"]
        return str(certificate["serial"])

    def test_a_certificate_is_renewed_before_it_ends(self, world: World) -> None:
        world.turn(10)
        before = self.serial(world)
        world.clock.time += 61 * 86_400
        world.turn(120)
        assert self.serial(world) != before
        assert world.state() is State.RUNNING
        assert world.client.actions == ["start fl-client", "restart fl-client"]

    def test_the_client_goes_on_until_the_new_kit_is_there(self, world: World) -> None:
        world.turn(10)
        world.clock.time += 61 * 86_400
        world.turn(120, centre=False)
        assert world.client.actions == ["start fl-client"]
        assert world.state() is State.RUNNING

    def test_the_centre_can_ask_for_it(self, world: World) -> None:
        world.turn(10)
        before = self.serial(world)
        world.centre.commands.renew({"hospital": "cleveland"})
        world.turn(60)
        assert self.serial(world) != before
        world.turn(60)
        assert world.client.actions == ["start fl-client", "restart fl-client"]

    def test_a_vm_that_was_off_longer_than_its_certificate_lives_finds_its_way(self, world: World) -> None:
        world.turn(10)
        world.client.stop("fl-client")
        world.clock.time += 200 * 86_400
        world.hospital = world.new_hospital()
        world.turn(60)
        assert world.state() is State.RUNNING
        assert world.client.actions[-1] == "start fl-client"

    def test_client_gets_its_new_certificate_though_the_engine_was_away_when_it_came(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world.turn(10)
        world.centre.commands.renew({"hospital": "cleveland"})
        restart = world.client.restart

        def away(name: str) -> None:
            raise EngineUnreachableError("container engine: connection refused")

        monkeypatch.setattr(world.client, "restart", away)
        world.turn(60)
        assert "connection refused" in world.reason
        monkeypatch.setattr(world.client, "restart", restart)
        world.hospital = world.new_hospital()
        world.turn(10)
        assert world.client.actions == ["start fl-client", "restart fl-client"]

    def test_what_the_centre_asked_for_is_not_forgotten_by_a_restart(self, world: World) -> None:
        world.turn(10)
        before = self.serial(world)
        world.centre.commands.renew({"hospital": "cleveland"})
        world.turn(12, centre=False)
        world.hospital = world.new_hospital()
        world.turn(60)
        assert self.serial(world) != before

    def test_an_expired_certificate_is_named(self, world: World) -> None:
        world.turn(10)
        world.clock.time += 91 * 86_400
        world.turn(60, centre=False)
        assert "expired on" in world.reason


class TestDesiredState:
    def send(self, world: World, generation: int, client: str = "stopped") -> None:
        content = {"generation": generation, "client": client, "renew": 0, "reason": "maintenance"}
        world.channel.write(DESIRED, encode("desired", content))

    def test_the_client_is_stopped_and_the_reason_kept(self, world: World) -> None:
        world.turn(30)
        self.send(world, 10**10)
        world.turn(15)
        assert (world.state(), world.reason) == (State.STOPPED, "maintenance")
        assert world.client.actions[-1] == "stop fl-client"

    def test_an_older_one_is_refused(self, world: World) -> None:
        world.turn(30)
        self.send(world, 10**10, client="running")
        world.turn(15)
        self.send(world, 5)
        world.turn(30)
        assert world.state() is State.RUNNING

    def test_also_after_a_restart(self, world: World) -> None:
        world.turn(30)
        self.send(world, 10**10, client="running")
        world.turn(15)
        world.hospital = world.new_hospital()
        self.send(world, 5)
        world.turn(30)
        assert world.state() is State.RUNNING

    @pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b'{"schema": "fed/desired/2"}', b"[" * 5000])
    def test_a_broken_one_changes_nothing_and_is_named_until_a_sound_one_comes(
        self, world: World, content: bytes
    ) -> None:
        world.turn(30)
        world.channel.write(DESIRED, content)
        world.turn(30)
        assert world.state() is State.RUNNING
        assert "the centre's order cannot be read" in world.report()["reason"]
        self.send(world, 10**10, client="running")
        world.turn(30)
        assert world.report()["reason"] == "registered at the server"


class TestEngine:
    @pytest.mark.parametrize("wrong", [KeyError("State"), TypeError("none"), ValueError("not JSON")])
    def test_an_answer_that_makes_no_sense_is_reported_and_ends_nothing(
        self, world: World, monkeypatch: pytest.MonkeyPatch, wrong: Exception
    ) -> None:
        world.turn(10)

        def state(name: str) -> ContainerState:
            raise wrong

        with monkeypatch.context() as babbling:
            babbling.setattr(world.client, "state", state)
            world.turn(ENGINE_PATIENCE_SECONDS + 60)
            assert type(wrong).__name__ in world.reason
        world.turn(10)
        assert world.reason == "registered at the server"

    def test_moment_that_a_job_invented_is_not_passed_on(self, world: World) -> None:
        world.turn(10)
        world.silent = True
        for heard in ("1e15", "NaN", "-1", '"x"', "[]", "9" * 400):
            (world.hospital_config.work / "health.json").write_text(f'{{"heard": {heard}}}')
            world.turn(70)
            assert world.report()["client"]["heard"] is None
            assert world.report()["written"] > world.hospitals_clock.now() - 70

    def test_a_client_that_was_stopped_for_a_fault_is_soon_reported_as_stopped(self, world: World) -> None:
        world.turn(30)
        (world.hospital_config.kit / "local" / "privacy.json").write_text("{}")
        world.turn(45)
        assert world.report()["state"] == "degraded"
        assert world.report()["client"]["running"] == "stopped"

    def test_a_short_silence_is_reported(self, world: World) -> None:
        world.turn(10)
        world.client.reachable = False
        world.turn(10)
        assert "connection refused" in world.reason

    def test_a_long_one_ends_the_service_so_that_it_finds_the_socket_again(self, world: World) -> None:
        world.turn(10)
        world.client.reachable = False
        with pytest.raises(EngineLostError):
            world.turn(ENGINE_PATIENCE_SECONDS + 10)

    def test_a_client_that_the_server_does_not_answer_is_degraded(self, world: World) -> None:
        world.turn(10)
        world.silent = True
        world.turn(40)
        assert world.state() is State.DEGRADED
        assert "peering" in world.report()["reason"]
        world.silent = False
        world.turn(10)
        assert world.report()["state"] == "running"
