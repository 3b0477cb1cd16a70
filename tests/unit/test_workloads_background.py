"""Large files come next to a hospital's loop, which goes on to report and to hear."""

import threading
from pathlib import Path

import pytest
from container_server.background import Background
from container_server.hospital import agent

from tests.unit.workloads_world import World


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
