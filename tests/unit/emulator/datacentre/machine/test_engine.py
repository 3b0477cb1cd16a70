"""A machine's container engine, spoken to by the container server's own client."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import docker
import docker.errors
import pytest
from container_server.engine import DockerEngine, EngineUnreachableError, Limits

from emulator.datacentre.machine import compose
from emulator.datacentre.machine.engine_api import EngineApi
from emulator.datacentre.machine.machine import Container
from tests.unit.support.boot_text import HOSPITAL, compose_text

USUAL = Limits(memory_mb=2048, cpus=None, processes=256, scratch_mb=256)


@pytest.fixture
def machine(tmp_path: Path) -> Any:
    containers = {one.name: Container(one, one.name * 8) for one in compose.read(compose_text(HOSPITAL))}
    return SimpleNamespace(name="vm", containers=containers, engine_socket=tmp_path / "docker.sock")


async def limit(machine: Any, limits: Limits) -> None:
    api = EngineApi(machine)
    await api.serve(rootless=True)
    try:
        engine = DockerEngine(f"unix://{machine.engine_socket}")
        await asyncio.to_thread(engine.limit, "fl-box", limits)
    finally:
        await api.close()


async def test_a_box_with_the_usual_limits_is_left_as_it_is(machine: Any) -> None:
    before = machine.containers["fl-box"]
    await limit(machine, USUAL)
    assert machine.containers["fl-box"] is before


async def test_one_with_others_is_made_anew_and_otherwise_the_same(machine: Any) -> None:
    before = machine.containers["fl-box"].service
    await limit(machine, Limits(memory_mb=512, cpus=1.5, processes=32, scratch_mb=16))
    made = machine.containers["fl-box"].service
    assert (made.memory, made.nano_cpus, made.processes) == (512 * 1024**2, 1_500_000_000, 32)
    assert dict(made.tmpfs) == {"/tmp": "size=16m,noexec,nosuid,nodev", "/dev/shm": "size=64m"}  # noqa: S108
    assert (made.image, made.volumes, made.user) == (before.image, before.volumes, before.user)
    await limit(machine, USUAL)
    assert machine.containers["fl-box"].service == before


async def test_one_that_runs_keeps_its_limits(machine: Any) -> None:
    machine.containers["fl-box"].status = "running"
    with pytest.raises(EngineUnreachableError, match="is running"):
        await limit(machine, Limits(memory_mb=512, cpus=None, processes=32, scratch_mb=16))


async def test_one_that_could_not_be_made_again_is_made_the_next_time(
    machine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is removed by then, and compose makes it at a boot alone: no job would run until that."""
    engine = DockerEngine(f"unix://{machine.engine_socket}")
    api, few = EngineApi(machine), Limits(memory_mb=512, cpus=None, processes=32, scratch_mb=16)
    await api.serve(rootless=True)
    try:
        with monkeypatch.context() as patch, pytest.raises(EngineUnreachableError, match="no space"):
            patch.setattr(docker.APIClient, "create_container_from_config", failing)
            await asyncio.to_thread(engine.limit, "fl-box", few)
        assert "fl-box" not in machine.containers
        await asyncio.to_thread(engine.limit, "fl-box", USUAL)
        assert machine.containers["fl-box"].service.memory == 2048 * 1024**2
    finally:
        await api.close()


def failing(*given: Any) -> None:
    raise docker.errors.APIError("no space left on the device")
