"""The whole life of a hospital's certificate, whoever approves and whatever happens, on the test's clock."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from container_server.centre.agent import CentreAgent
from container_server.centre.members import Member, Members
from container_server.messages import DECISION, REQUEST
from container_server.storage import StorageUnreachableError

from tests.unit.support.workloads_fakes import FolderStore
from tests.unit.support.workloads_pki import request_archive
from tests.unit.support.workloads_world import World

DAY = 86_400.0
HOUR = 3600.0


class Step(NamedTuple):
    """On a day since the beginning something happens, and a minute later the centre's status says `seen`."""

    day: float
    happens: str
    seen: str


LIVES: dict[str, tuple[str, float, list[Step]]] = {
    "nobody is needed": ("auto", 0, [
        Step(0, "", "running, 89 days"),
        Step(60.1, "", "running, 89 days"),
        Step(89, "", "running, 61 days"),
        Step(91, "", "running, 59 days"),
    ]),
    "a person is in time": ("manual", 0, [
        Step(0, "", "unenrolled, enrolment waits since day 0"),
        Step(3, "approve", "running, 89 days"),
        Step(63.1, "", "running, 29 days, renewal waits since day 63"),
        Step(70, "approve", "running, 89 days"),
        Step(89, "", "running, 70 days"),
        Step(91, "", "running, 68 days"),
    ]),
    "a person comes on the last day": ("manual", 0, [
        Step(0, "approve", "running, 89 days"),
        Step(60.1, "", "running, 29 days, renewal waits since day 60"),
        Step(89, "", "running, 0 days, renewal waits since day 60"),
        Step(89.5, "approve", "running, 89 days"),
    ]),
    "a person comes too late": ("manual", 0, [
        Step(0, "approve", "running, 89 days"),
        Step(60.1, "", "running, 29 days, renewal waits since day 60"),
        Step(91, "", "degraded, ended, renewal waits since day 60"),
        Step(92, "approve", "running, 89 days"),
    ]),
    "its service restarts while a person is waited for": ("manual", 0, [
        Step(0, "approve", "running, 89 days"),
        Step(60.1, "", "running, 29 days, renewal waits since day 60"),
        Step(61, "restart", "running, 28 days, renewal waits since day 60"),
        Step(62, "approve", "running, 89 days"),
    ]),
    "it says yes before anything was asked": ("manual", 0, [
        Step(0, "approve", "running, 89 days"),
        Step(10, "approve", "running, 79 days"),
        Step(60.1, "", "running, 29 days, renewal waits since day 60"),
    ]),
    "its disk is lost": ("auto", 0, [
        Step(0, "", "running, 89 days"),
        Step(10, "lose disk", "running, 89 days"),
    ]),
    "its disk is lost where a person approves": ("manual", 0, [
        Step(0, "approve", "running, 89 days"),
        Step(10, "lose disk", "unenrolled, 79 days, renewal waits since day 10"),
        Step(11, "approve", "running, 89 days"),
    ]),
    "its disk is lost while its renewal waits": ("manual", 0, [
        Step(0, "approve", "running, 89 days"),
        Step(61, "", "running, 28 days, renewal waits since day 61"),
        Step(62, "lose disk", "unenrolled, 27 days, renewal waits since day 61"),
        Step(63, "approve", "running, 89 days"),
    ]),
    "it is revoked and back": ("manual", 0, [
        Step(0, "approve", "running, 89 days"),
        Step(10, "revoke", "stopped, 79 days"),
        Step(11, "approve", "running, 78 days"),
    ]),
    "an operator has it ask for another": ("manual", 0, [
        Step(0, "approve", "running, 89 days"),
        Step(30, "renew", "running, 59 days, renewal waits since day 30"),
        Step(31, "approve", "running, 89 days"),
    ]),
    "it is revoked, asked for another, and approved": ("manual", 0, [
        Step(0, "approve", "running, 89 days"),
        Step(10, "revoke", "stopped, 79 days"),
        Step(11, "renew", "stopped, 78 days"),
        Step(12, "approve", "running, 89 days"),
    ]),
    "it is revoked until its certificate has ended": ("manual", 0, [
        Step(0, "approve", "running, 89 days"),
        Step(10, "revoke", "stopped, 79 days"),
        Step(95, "approve", "running, 89 days"),
    ]),
    "it is revoked, loses its disk, and is back": ("manual", 0, [
        Step(0, "approve", "running, 89 days"),
        Step(10, "revoke", "stopped, 79 days"),
        Step(11, "lose disk", "stopped, 78 days"),
        Step(12, "approve", "unenrolled, 77 days, renewal waits since day 12"),
        Step(13, "approve", "running, 89 days"),
    ]),
    "it leaves and comes back": ("manual", 0, [
        Step(0, "approve", "running, 89 days"),
        Step(10, "leave and come back", "degraded, 79 days, return waits since day 10"),
        Step(11, "approve", "running, 78 days"),
    ]),
    "it leaves, loses its disk and comes back": ("manual", 0, [
        Step(0, "approve", "running, 89 days"),
        Step(10, "leave and come back", "degraded, 79 days, return waits since day 10"),
        Step(11, "lose disk", "unenrolled, 78 days, enrolment waits since day 11"),
        Step(12, "approve", "running, 89 days"),
    ]),
    "it is revoked, leaves, and comes back with the disk it had": ("manual", 0, [
        Step(0, "approve", "running, 89 days"),
        Step(10, "revoke", "stopped, 79 days"),
        Step(11, "leave and come back", "degraded, enrolment waits since day 11"),
        Step(12, "approve", "running, 89 days"),
    ]),
    "its clock is two hours late": ("auto", -2 * HOUR, [
        Step(0, "", "degraded, 89 days"),
        Step(0.1, "", "running, 89 days"),
        Step(60.2, "", "degraded, 89 days"),
        Step(60.3, "", "running, 89 days"),
    ]),
    "its clock is two hours early": ("auto", 2 * HOUR, [
        Step(0, "", "running, 89 days"),
        Step(60.1, "", "running, 89 days"),
    ]),
}  # fmt: skip


@pytest.mark.parametrize(("approval", "skew", "life"), LIVES.values(), ids=LIVES.keys())
def test_life_of_a_certificate(tmp_path: Path, approval: str, skew: float, life: list[Step]) -> None:
    world = World(tmp_path, approval=approval, skew=skew)
    began = world.clock.now()
    world.turn(10)
    for step in life:
        world.clock.time = max(world.clock.time, began + step.day * DAY)
        HAPPENS[step.happens](world)
        world.turn(60)
        assert seen(world, began) == step.seen, step


def seen(world: World, began: float) -> str:
    """The state of the VM, and what the centre's status says: days left of the certificate, what waits."""
    world.silent = "cleveland" not in allowed(world)  # the server answers nobody else
    world.turn(45)
    row = world.centre.commands.status({})["hospitals"]["cleveland"]
    words = [world.state().value]
    if "ends" in row:
        left = row["ends"] - world.clock.now()
        words.append(f"{left // DAY:.0f} days" if left > 0 else "ended")
    if waits := row.get("waits"):
        words.append(f"{waits['what']} waits since day {(waits['since'] - began) // DAY:.0f}")
    return ", ".join(words)


def approve(world: World) -> None:
    world.centre.commands.approve({"hospital": "cleveland"})


def revoke(world: World) -> None:
    world.centre.commands.revoke({"hospital": "cleveland", "reason": "a stolen laptop"})


def renew(world: World) -> None:
    world.centre.commands.renew({"hospital": "cleveland"})


def lose_disk(world: World) -> None:
    shutil.rmtree(world.hospital_config.agent.parent)
    world.client.stop("fl-client")
    world.hospital = world.new_hospital()


def restart(world: World) -> None:
    world.hospital = world.new_hospital()


def leave_and_come_back(world: World) -> None:
    world.members = []
    world.turn(10)
    shutil.rmtree(world.channel.folder)
    world.stores.clear()
    world.members = ["cleveland"]
    restart(world)
    world.turn(10)


HAPPENS: dict[str, Callable[[World], Any]] = {
    "": lambda world: None,
    "approve": approve,
    "revoke": revoke,
    "renew": renew,
    "lose disk": lose_disk,
    "restart": restart,
    "leave and come back": leave_and_come_back,
}


def allowed(world: World) -> dict[str, str]:
    return dict(json.loads((world.centre_config.work / "allowed.json").read_text())["sites"])


class TestEachMoment:
    """Whoever is killed or cut off between two steps goes on without a second signature or a second yes."""

    @pytest.fixture
    def world(self, tmp_path: Path) -> World:
        world = World(tmp_path, approval="manual")
        world.turn(5)
        approve(world)
        world.turn(30)
        world.clock.time += 61 * DAY
        world.turn(60)
        return world

    def test_centre_killed_after_it_signed_gives_the_same_answer_later(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def write(store: FolderStore, name: str, content: bytes) -> None:
            if name == DECISION:
                raise SystemExit("killed")
            plain(store, name, content)

        plain = FolderStore.write
        approve(world)
        with monkeypatch.context() as killed:
            killed.setattr(FolderStore, "write", write)
            with pytest.raises(SystemExit):
                world.turn(30)
        signed = world.nvflare.calls.count("cert approve")
        world.centre = CentreAgent(
            config=world.centre_config,
            clock=world.clock,
            open_container=world.store,
            user_data=world.centre._user_data,
            engine=world.server,
            nvflare=world.centre._authority._nvflare,
            backups=world.centre._backups,
        )
        world.turn(60)
        assert world.nvflare.calls.count("cert approve") == signed
        assert list(allowed(world).values()) == [world.hospital.report()["certificate"]["serial"]]

    def test_yes_counts_though_the_hospital_cannot_be_told_now(self, world: World) -> None:
        world.channel.failure = StorageUnreachableError("412: there is a lease on the blob")
        assert "told later: 412" in world.centre.commands.revoke({"hospital": "cleveland"})["note"]
        assert allowed(world) == {}
        world.turn(30)
        world.channel.failure = None
        world.turn(60)
        assert world.state().value == "stopped"

    def test_key_is_nowhere_but_in_the_kit_once_the_kit_is_made(self, world: World) -> None:
        approve(world)
        world.turn(60)
        keys = list(world.hospital_config.agent.parent.rglob("*.key"))
        assert keys == [world.hospital_config.kit / "startup/client.key"]

    def test_request_that_a_new_container_does_not_hold_is_uploaded_again(self, world: World) -> None:
        shutil.rmtree(world.channel.folder)
        world.stores.clear()
        world.hospital = world.new_hospital()
        world.turn(700)
        assert (world.channel.folder / "enrol/request.zip").is_file()


def test_yes_is_used_up_by_a_request_that_asks_for_more(tmp_path: Path) -> None:
    world = World(tmp_path, approval="manual")
    world.turn(5)
    world.channel.write(REQUEST, request_archive("cleveland", cert_type="lead", cert_role="lead"))
    world.turn(20)
    approve(world)
    world.turn(20)
    world.channel.write(REQUEST, request_archive("cleveland"))
    world.turn(20)
    assert allowed(world) == {}


@pytest.mark.parametrize(
    ("stored", "status", "waits"),
    [
        ({"status": "approved", "serial": "ab", "request_sha256": "cd"}, "approved", False),
        ({"status": "waiting", "request_id": "ef", "request_sha256": "cd"}, "new", True),
        ({"status": "refused", "request_sha256": "cd", "reason": "foreign"}, "new", False),
        ({"status": "new"}, "new", False),
    ],
)
def test_record_of_version_0_1_is_read(
    tmp_path: Path, stored: dict[str, Any], status: str, waits: bool
) -> None:
    (tmp_path / "members.json").write_text(json.dumps({"cleveland": stored}))
    members = Members(tmp_path / "members.json", tmp_path / "allowed.json")
    member = members.get("cleveland")
    assert (member.status, member.waiting is not None) == (status, waits)
    assert member.admitted == ("serial" in stored)
    assert Members(tmp_path / "members.json", tmp_path / "allowed.json").get("cleveland") == member
    assert isinstance(member, Member)
