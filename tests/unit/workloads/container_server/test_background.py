"""Large files come next to a hospital's loop, which goes on to report and to hear."""

import threading
from pathlib import Path
from typing import IO

import pytest
from container_server import age
from container_server.background import Background
from container_server.hospital import agent
from container_server.hospital.state import State

from tests.unit.support.workloads_world import World


def test_what_ends_soon_has_ended_when_it_is_started() -> None:
    done: list[int] = []
    work = Background(lambda: done.append(1), patience=30.0)
    assert work.step()
    assert work.step()
    assert done == [1, 1]


def test_what_takes_long_is_looked_at_again_and_runs_once() -> None:
    begun, go_on = [], threading.Event()

    def action() -> None:
        begun.append(1)
        assert go_on.wait(30)

    work = Background(action, patience=0.0)
    assert not work.step()
    assert not work.step()
    go_on.set()
    while not work.step():
        pass
    assert begun == [1]


def test_what_goes_wrong_is_the_loops_to_judge() -> None:
    def action() -> None:
        raise ValueError("the disk is gone")

    with pytest.raises(ValueError, match="the disk is gone"):
        Background(action, patience=30.0).step()


def test_a_hospital_reports_while_a_large_file_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent, "SMALL_FILES_SECONDS", 0.0)
    world, go_on = World(tmp_path), threading.Event()
    download = world.data.download

    def slow(name: str, target: Path, limit: int) -> object:
        assert go_on.wait(60)
        return download(name, target, limit)

    monkeypatch.setattr(world.data, "download", slow)
    world.turn(60)
    assert world.reason == "data: heart.csv (0 MB) is being read"
    go_on.set()
    while not world.hospital._staging.ready:
        world.turn(1)
    world.turn(10)
    assert world.reason.startswith("registered at the server")


def test_a_hospital_hears_its_orders_while_an_archive_is_uploaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent, "SMALL_FILES_SECONDS", 0.0)
    world, begun, go_on = World(tmp_path), threading.Event(), threading.Event()
    world.turn(20)
    world.key = age.recipient_of(age.new_identity())
    upload, went_on = world.kept.upload, []

    def slow(name: str, source: IO[bytes]) -> None:
        begun.set()
        went_on.append(go_on.wait(20))
        upload(name, source)

    monkeypatch.setattr(world.kept, "upload", slow)
    world.hospital = world.new_hospital()
    world.turn(5)
    assert begun.wait(30)
    world.centre.commands.handlers()["revoke"]({"hospital": "cleveland", "reason": "lost"})
    world.turn(60)
    assert world.state() is not State.RUNNING
    go_on.set()
    while not world.kept.list():
        world.turn(1)
    assert went_on == [True], "the loop did not wait for it"
