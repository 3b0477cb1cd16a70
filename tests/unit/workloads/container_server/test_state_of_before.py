"""What a version wrote is read by the next: files of a running federation, of the days named in `state/`.

A new form of a file gets a new folder here, and the one before stays: an image is replaced in days, and what
is on the disks and in the containers is then of the version before. All are from `./fed up` and `./fed train`
on the emulator; what was private in them was left out.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from container_server.messages import decode

from tests.unit.support.workloads_world import World

STATE = Path(__file__).with_name("state")
DAYS = sorted(STATE.iterdir())
KINDS = ("report", "desired", "decision", "root", "roots")


@pytest.fixture(params=DAYS, ids=lambda day: day.name)
def day(request: pytest.FixtureRequest) -> Path:
    return Path(request.param)


@pytest.fixture
def world(tmp_path: Path, day: Path) -> World:
    world = World(tmp_path)
    shutil.copytree(day / "centre", world.centre_config.agent, dirs_exist_ok=True)
    shutil.copytree(day / "hospital", world.hospital_config.agent, dirs_exist_ok=True)
    world.centre, world.hospital = world.new_centre(), world.new_hospital()
    return world


def content(file: Path) -> Any:
    return json.loads(file.read_text())


@pytest.mark.parametrize("kind", KINDS)
def test_messages_are_read(day: Path, kind: str) -> None:
    assert decode(kind, (day / "messages" / f"{kind}.json").read_bytes())["schema"] == f"fed/{kind}/1"


def test_the_centre_knows_its_members(world: World, day: Path) -> None:
    rows = world.centre.commands.requests({})["requests"]
    written = content(day / "centre" / "members.json")
    assert {name: row["serial"] for name, row in rows.items()} == {
        name: member["serial"] for name, member in written.items()
    }
    assert {row["status"] for row in rows.values()} == {"approved"}


def test_the_centre_knows_its_jobs(world: World, day: Path) -> None:
    jobs = world.centre.commands.jobs({})["jobs"]
    written = {file.stem: content(file) for file in (day / "centre" / "jobs").iterdir()}
    assert {job["id"]: (job["job"], job["rounds"]) for job in jobs} == {
        name: (one["job"], one["rounds"]) for name, one in written.items()
    }
    for job in written:
        assert world.centre.commands.show({"id": job})["code"] == written[job]["code"]


def test_a_hospital_knows_what_it_was_asked_and_what_it_follows(world: World, day: Path) -> None:
    asked = content(day / "hospital" / "consent.json")["jobs"]
    assert {job["code"] for job in world.hospital.review()["jobs"]} == set(asked)
    assert {job["answer"] for job in world.hospital.review()["jobs"]} == {"approved"}
    assert world.hospital.report()["generation"] == content(day / "hospital" / "hospital.json")["generation"]


def test_both_go_on(world: World) -> None:
    world.clock.time = content(DAYS[-1] / "hospital" / "hospital.json")["generation"] + 60.0
    world.turn(4)
    assert {what["what"] for what in world.centre.commands.status({})["troubles"]} <= {"tables", "root"}
    assert "Error" not in world.reason
