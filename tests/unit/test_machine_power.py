"""A machine whose power goes leaves nobody waiting."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from emulator.fabric.errors import FabricError
from emulator.fabric.machine.compose import Service
from emulator.fabric.machine.machine import Container, Machine, Place

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
    with pytest.raises(FabricError, match="machine one is off"):
        await asyncio.wait_for(starting, timeout=10)
