"""Other images on a VM: when it takes them, whom it asks, and how it comes back from those that fail."""

import json
from pathlib import Path

import pytest
from container_server import nvflare_versions
from container_server.centre.members import Member
from container_server.centre.upgrade import UpgradeRefusedError
from container_server.engine import ContainerState, Running
from container_server.hospital.state import State
from container_server.images import IN_FORCE, ORDER, OUTCOME, WELL_SECONDS, mark_of, variable

from automation.operate.upgrade import Wanted
from components.boot import nvflare_version
from components.boot import variable as variable_of_the_boot_text
from tests.unit.support.workloads_world import World

OLD, NEW = f"sha256:{'0' * 64}", f"sha256:{'1' * 64}"
BEFORE = {"container-server": OLD, "fl-client": OLD}
AFTER = {"container-server": NEW, "fl-client": NEW}


def written(images: dict[str, str]) -> str:
    return "".join(f"{variable(image)}={digest}\n" for image, digest in sorted(images.items()))


class Unit:
    """The VM's unit `fed-images`, which follows the order in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        (folder / IN_FORCE).write_text(written(BEFORE))

    @property
    def order(self) -> str | None:
        file = self.folder / ORDER
        return file.read_text() if file.exists() else None

    @property
    def in_force(self) -> str:
        return (self.folder / IN_FORCE).read_text()

    def takes_it(self) -> None:
        (self.folder / ORDER).replace(self.folder / IN_FORCE)

    def goes_back(self, why: str) -> None:
        (self.folder / OUTCOME).write_text(why + "\n")
        (self.folder / ORDER).unlink()


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.named["hospital"] = BEFORE
    Unit(world.hospital_config.images)
    Unit(world.centre_config.images)
    world.turn(20)
    assert world.state() is State.RUNNING
    return world


@pytest.fixture
def unit(world: World) -> Unit:
    return Unit(world.hospital_config.images)


def said(world: World) -> tuple[str, str]:
    images = world.hospital.report()["images"]
    return images["state"], images["reason"]


def give(world: World, party: str = "cleveland") -> None:
    """The operator's word that it is its turn."""
    which = "centre" if party == "centre" else "hospital"
    world.centre.commands.upgrade({"party": party, "mark": mark_of(world.named[which])})


def offer(world: World) -> None:
    world.named["hospital"] = AFTER
    world.turn(70)  # until it has read its userData, reported, and the centre has read that


def officers(
    world: World,
    *,
    approved: tuple[str, ...] = (),
    refused: tuple[str, ...] = (),
    images: tuple[str, ...] = tuple(AFTER),
) -> None:
    said = {
        "schema": "fed/images/1",
        "approved": [
            {"digest": one, "image": image, "by": "Dr Meier"} for one in approved for image in images
        ],
        "refused": [{"digest": one, "why": "not yet"} for one in refused],
    }
    world.store("policy").write("images.json", json.dumps(said).encode())


class TestTurn:
    def test_a_vm_that_runs_what_the_stack_names_says_so(self, world: World, unit: Unit) -> None:
        assert said(world) == ("current", "")
        assert unit.order is None

    def test_others_wait_for_the_operators_word(self, world: World, unit: Unit) -> None:
        offer(world)
        assert said(world)[0] == "turn"
        assert unit.order is None

    def test_then_they_are_ordered_and_in_force(self, world: World, unit: Unit) -> None:
        offer(world)
        give(world)
        world.turn(15)
        assert unit.order == written(AFTER)
        assert said(world)[0] == "changing"
        unit.takes_it()
        world.turn(15)
        assert said(world) == ("current", "")
        assert unit.in_force == written(AFTER)

    def test_word_for_another_set_is_none(self, world: World, unit: Unit) -> None:
        offer(world)
        world.centre.commands.upgrade({"party": "cleveland", "mark": "0" * 12})
        world.turn(15)
        assert (said(world)[0], unit.order) == ("turn", None)

    def test_a_job_that_runs_is_waited_for(self, world: World, unit: Unit) -> None:
        offer(world)
        give(world)
        health = world.hospital_config.work / "health.json"
        health.write_text(json.dumps({"heard": world.clock.now(), "jobs": 1}))
        world.silent = True
        world.turn(10)
        assert (said(world)[0], unit.order) == ("job", None)
        world.silent = False
        world.turn(15)
        assert unit.order == written(AFTER)

    def test_nothing_is_waited_for_where_the_client_died_with_its_job(
        self, world: World, unit: Unit, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Else the images that would let it start again never came."""
        offer(world)
        health = world.hospital_config.work / "health.json"
        health.write_text(json.dumps({"heard": world.clock.now(), "jobs": 1}))
        world.silent = True
        monkeypatch.setattr(world.client, "start", lambda name: None)
        world.client.containers["fl-client"] = ContainerState(Running.STOPPED)
        give(world)
        world.turn(15)
        assert unit.order == written(AFTER)

    def test_only_images_that_the_vm_has_can_be_other_ones(self, world: World, unit: Unit) -> None:
        """A box that its compose file does not have needs a new VM."""
        world.named["hospital"] = {**BEFORE, "box-torch": NEW}
        world.turn(10)
        assert said(world)[0] == "current"

    def test_operator_and_vm_call_a_set_the_same(self) -> None:
        assert Wanted(party="cleveland", images=AFTER).mark == mark_of(AFTER)
        assert variable("fl-client") == variable_of_the_boot_text("fl-client")


class TestGoingBack:
    def order(self, world: World) -> None:
        offer(world)
        give(world)
        world.turn(15)

    def test_what_the_unit_took_back_is_said_and_not_tried_again(self, world: World, unit: Unit) -> None:
        self.order(world)
        unit.goes_back("an image cannot be pulled: manifest unknown")
        world.turn(60)
        assert said(world) == ("back", "an image cannot be pulled: manifest unknown")
        assert (unit.order, unit.in_force) == (None, written(BEFORE))

    def falls_ill(self, world: World, unit: Unit) -> None:
        """Take the change, after which the client does not come back."""
        self.order(world)
        unit.takes_it()
        world.client.containers["fl-client"] = ContainerState(Running.STOPPED, 1)
        world.silent = True
        world.clock.sleep(1)
        world.turn(WELL_SECONDS + 60)

    def test_until_the_operator_says_it_again(self, world: World, unit: Unit) -> None:
        self.order(world)
        unit.goes_back("no")
        world.turn(70)
        give(world)
        world.turn(15)
        assert unit.order == written(AFTER)

    def test_a_client_that_does_not_come_back_has_those_before_ordered(
        self, world: World, unit: Unit
    ) -> None:
        self.falls_ill(world, unit)
        assert unit.order == written(BEFORE)
        world.silent = False
        unit.takes_it()
        world.turn(15)
        state, reason = said(world)
        assert state == "back"
        assert reason.startswith("not well 300 s after the change: ")

    def test_a_way_back_that_fails_is_tried_again_and_called_neither_back_nor_current(
        self, world: World, unit: Unit
    ) -> None:
        """It was `current`, and an upgrade went on to the next hospital with what had failed here."""
        self.falls_ill(world, unit)
        unit.goes_back("an image cannot be pulled")
        world.turn(15)
        assert (said(world)[0], unit.order) == ("changing", written(BEFORE))
        world.silent = False
        unit.takes_it()
        world.turn(15)
        assert (said(world)[0], unit.in_force) == ("back", written(BEFORE))

    def test_a_way_back_that_cannot_be_pulled_is_ordered_ever_more_slowly_and_said(
        self, world: World, unit: Unit
    ) -> None:
        self.falls_ill(world, unit)
        orders, until = 0, world.clock.now() + 900
        while world.clock.now() < until:
            if unit.order:
                orders += 1
                unit.goes_back("an image cannot be pulled")
            world.turn(5)
        assert 5 <= orders <= 9
        assert "more tries: an image cannot be pulled" in said(world)[1]

    def test_one_that_was_ill_before_is_not_asked_to_be_well(self, world: World, unit: Unit) -> None:
        world.silent = True
        world.turn(60)
        assert world.state() is State.DEGRADED
        self.order(world)
        unit.takes_it()
        world.turn(15)
        assert said(world)[0] == "current"

    def test_whoever_is_killed_goes_on(self, world: World, unit: Unit) -> None:
        """At each moment: nothing but files says how far it is."""
        offer(world)
        give(world)
        for _ in range(8):
            world.hospital = world.new_hospital()
            world.turn(3)
        assert unit.order == written(AFTER)
        world.hospital = world.new_hospital()
        unit.takes_it()
        world.hospital = world.new_hospital()
        world.turn(20)
        assert said(world) == ("current", "")

    def test_an_order_that_was_not_written_is_written(self, world: World, unit: Unit) -> None:
        self.order(world)
        (unit.folder / ORDER).unlink()  # as if it had been killed just before
        world.hospital = world.new_hospital()
        world.turn(10)
        assert unit.order == written(AFTER)


class TestOfficers:
    @pytest.fixture
    def world(self, tmp_path: Path) -> World:
        world = World(tmp_path)
        world.hospital_config = world.hospital_config.__class__(
            **{**vars(world.hospital_config), "environment": "prod"}
        )
        world.centre_config = world.centre_config.__class__(
            **{**vars(world.centre_config), "environment": "prod"}
        )
        world.hospital, world.centre = world.new_hospital(), world.new_centre()
        world.named["hospital"] = BEFORE
        Unit(world.hospital_config.images)
        world.turn(20)
        offer(world)
        give(world)
        world.turn(15)
        return world

    def test_an_image_that_they_have_not_approved_waits(self, world: World, unit: Unit) -> None:
        assert said(world) == ("approval", "its officers are asked for container-server, fl-client")
        assert unit.order is None
        assert {row["answer"] for row in world.hospital.review()["images"]} == {"waiting"}
        assert world.centre.commands.status({})["hospitals"]["cleveland"]["images"]["state"] == "approval"
        asked = [
            entry.name for entry in world.record.list("audit/") if entry.name.endswith("images-asked.json")
        ]
        assert len(asked) == 1

    def test_and_runs_once_they_have(self, world: World, unit: Unit) -> None:
        officers(world, approved=(NEW,))
        world.turn(30)
        assert unit.order == written(AFTER)

    def test_a_digest_is_approved_for_the_image_that_they_named_alone(self, world: World, unit: Unit) -> None:
        """Else a box's image, which they let run without a network, could run as the container server."""
        officers(world, approved=(NEW,), images=("fl-client", "box-torch"))
        world.turn(30)
        assert said(world) == ("approval", "its officers are asked for container-server")
        assert unit.order is None
        answers = {row["image"]: row["answer"] for row in world.hospital.review()["images"]}
        assert answers == {"container-server": "waiting", "fl-client": "approved"}

    def test_one_that_they_refuse_does_not_run(self, world: World, unit: Unit) -> None:
        officers(world, refused=(NEW,))
        world.turn(30)
        assert said(world) == ("approval", "its officers refuse container-server, fl-client")
        assert unit.order is None

    def test_a_file_that_is_gone_is_no_approval(self, world: World, unit: Unit) -> None:
        officers(world, approved=(OLD,))
        world.turn(30)
        world.store("policy").delete("images.json")
        world.turn(30)
        state, reason = said(world)
        assert (state, unit.order) == ("approval", None)
        assert reason.startswith("no other image runs until policy/images.json is back")

    def test_the_centres_word_is_no_approval(self, world: World, unit: Unit) -> None:
        for _ in range(3):
            give(world)
            world.turn(30)
        assert unit.order is None


class TestCentre:
    def test_it_takes_its_own_between_jobs(self, world: World) -> None:
        unit = Unit(world.centre_config.images)
        (unit.folder / IN_FORCE).write_text(written({"fl-server": OLD}))
        world.named["centre"] = {"fl-server": NEW}
        world.turn(10)
        assert unit.order is None
        give(world, "centre")
        world.turn(10)
        assert unit.order == written({"fl-server": NEW})

    def test_versions_of_nvflare_that_nobody_has_seen_together_are_refused(self, world: World) -> None:
        world.turn(70)
        world.coming = "3.0.0"
        for party in ("centre", "cleveland"):
            with pytest.raises(UpgradeRefusedError, match=r"3\.0\.0"):
                give(world, party)

    def test_of_a_hospital_that_is_none_it_says_so(self, world: World) -> None:
        with pytest.raises(Exception, match="no hospital of this federation"):
            world.centre.commands.upgrade({"party": "nowhere", "mark": "0" * 12})

    def test_it_reads_the_members_of_a_newer_release_to_which_it_was_upgraded_in_vain(self) -> None:
        """Else the container server before could not run when the new one goes back."""
        assert Member.read({"status": "approved", "serial": "a1", "not_known_yet": 1}).serial == "a1"


class TestVersionsOfNvflare:
    def test_those_of_this_release_are_known_to_work_together(self) -> None:
        assert nvflare_versions.running() == nvflare_version()
        assert not nvflare_versions.refusal(nvflare_version(), {"cleveland": nvflare_version()})

    def test_all_images_pin_the_same(self) -> None:
        pins = [
            next(line for line in Path(f"workloads/{image}/requirements.txt").read_text().splitlines()
                 if line.startswith("nvflare=="))
            for image in ("container_server", "fl_server", "fl_client")
        ]  # fmt: skip
        assert len(set(pins)) == 1

    def test_the_refusal_names_who_has_what(self) -> None:
        words = nvflare_versions.refusal("2.9.0", {"basel": "2.7.1", "bern": "2.9.0"})
        assert "basel 2.7.1" in words
        assert "bern" not in words
