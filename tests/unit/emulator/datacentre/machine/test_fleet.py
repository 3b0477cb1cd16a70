"""A fleet that is closed: every machine is off, and stays off."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from clone import paths
from emulator.datacentre.inventory import Inventory
from emulator.datacentre.machine.fleet import Fleet, _Running
from emulator.datacentre.settings import Settings

NOBODY: Any = None


class Computer:
    """A machine that takes a moment to end, and may do so badly."""

    def __init__(self, name: str, failure: Exception | None = None) -> None:
        self.name, self.failure, self.is_off = name, failure, False

    async def off(self) -> None:
        await asyncio.sleep(0)
        if self.failure:
            raise self.failure
        await asyncio.sleep(0.01)
        self.is_off = True

    async def shell(self, script: str, seconds: float) -> Any:
        await asyncio.Event().wait()


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    monkeypatch.setattr(paths, "home", lambda: tmp_path)
    return Fleet(Settings.of(), NOBODY, NOBODY, NOBODY)


def add(fleet: Fleet, computer: Any) -> Any:
    fleet._running[computer.name] = _Running(("vm", 1, False), computer, NOBODY)
    return computer


async def test_each_machine_has_ended_when_one_ends_badly(fleet: Fleet) -> None:
    add(fleet, Computer("bad", OSError("its disk is away")))
    good = add(fleet, Computer("good"))
    with pytest.raises(OSError, match="its disk is away"):
        await fleet.close()
    assert good.is_off


async def test_commands_have_ended_and_none_begins(fleet: Fleet) -> None:
    add(fleet, Computer("one"))
    fleet.take_commands([{"operation": "a", "vm": "one", "script": ["sleep 60"]}])
    await asyncio.sleep(0)
    (running,) = fleet._commands.values()
    await fleet.close()
    assert running.cancelled()
    fleet.take_commands([{"operation": "b", "vm": "one", "script": ["true"]}])
    assert list(fleet._commands) == ["a"]


async def test_nothing_is_switched_on_afterwards(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    await fleet.close()

    async def boots(*_: object) -> list[str]:
        raise AssertionError("a machine boots in a datacentre that is closed")

    monkeypatch.setattr(fleet, "_apply", boots)
    assert await fleet.apply(Inventory(), {}) == []
