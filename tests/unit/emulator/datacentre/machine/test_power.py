"""A machine whose power goes leaves nobody waiting, and knows afterwards what ran."""

import asyncio
import dataclasses
from pathlib import Path
from typing import Any

import pytest

from emulator.datacentre.errors import DatacentreError
from emulator.datacentre.machine.compose import Service
from emulator.datacentre.machine.machine import Container, Machine, Place
from emulator.datacentre.machine.memory import CUT_OFF, Memory

SERVICE = Service(
    name="worker", image="image@sha256:0", network=None, managed=False, restart="always", environment={},
    volumes=(), tmpfs=(), read_only=True, groups=(), hosts=(), dns=(), user=None, working_dir=None,
    entrypoint=None, command=None, healthcheck=None,
)  # fmt: skip


async def test_a_start_that_waits_for_its_image_ends_with_the_power(tmp_path: Path) -> None:
    pulling = asyncio.Event()

    async def pull(_image: str) -> Any:
        pulling.set()
        await asyncio.Event().wait()

    network: Any = None
    place = Place(files=tmp_path / "files", disk=None, logs=tmp_path / "logs", volatile=tmp_path / "volatile")
    machine = Machine(
        "one", place=place, network=network, pull=pull, authority=tmp_path / "ca", rootless=False
    )
    machine.containers["worker"] = Container(SERVICE, "id")
    starting = asyncio.create_task(machine.start(machine.containers["worker"]))
    await pulling.wait()
    await machine.off()
    with pytest.raises(DatacentreError, match="machine one is off"):
        await asyncio.wait_for(starting, timeout=10)


class TestMemory:
    """What Docker starts by itself when a machine boots (moby's restartmanager)."""

    def starts(self, memory: Memory) -> set[str]:
        policies = ("no", "on-failure", "unless-stopped", "always")
        return {one for one in policies if memory.starts(dataclasses.replace(SERVICE, restart=one))}

    def test_what_never_ran_is_not_started(self, tmp_path: Path) -> None:
        assert self.starts(Memory(tmp_path / "memory")) == set()

    def test_what_ran_when_the_power_went_is_started_unless_its_policy_is_no(self, tmp_path: Path) -> None:
        Memory(tmp_path / "memory").runs("worker")
        later = Memory(tmp_path / "memory")
        assert later.exit_code("worker") == CUT_OFF
        assert self.starts(later) == {"on-failure", "unless-stopped", "always"}

    def test_what_had_ended_well_is_not_started_by_on_failure(self, tmp_path: Path) -> None:
        memory = Memory(tmp_path / "memory")
        memory.runs("worker")
        memory.ended("worker", 0)
        assert self.starts(Memory(tmp_path / "memory")) == {"unless-stopped", "always"}
