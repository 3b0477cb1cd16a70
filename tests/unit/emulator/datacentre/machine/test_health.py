"""When an emulated container is asked for its health: often until it is well, then seldom, as Docker asks."""

import asyncio
import contextlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from emulator.datacentre.machine import compose, dockerfile
from emulator.datacentre.machine.compose import HealthCheck
from emulator.datacentre.machine.machine import Machine


class Container:
    """A container that is well from its third check on; it remembers when it was asked."""

    health = "starting"

    def __init__(self) -> None:
        self.asked: list[float] = []

    async def run(self, command: tuple[str, ...], *, seconds: float) -> Any:
        self.asked.append(asyncio.get_running_loop().time())
        return SimpleNamespace(code=0 if len(self.asked) >= 3 else 1)


async def watched(check: HealthCheck, seconds: float) -> Container:
    container = Container()
    machine: Any = SimpleNamespace(news=asyncio.Event(), _rotate=lambda _: None)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(Machine._watch(machine, container, container, check), seconds)  # type: ignore[arg-type]
    return container


async def test_it_is_asked_often_until_it_is_well() -> None:
    check = HealthCheck(("true",), interval=60, retries=1, start_period=60, start_interval=0.05)
    container = await watched(check, 1.0)
    assert (container.health, len(container.asked)) == ("healthy", 3)


async def test_without_a_period_to_start_in_it_is_asked_at_its_interval() -> None:
    check = HealthCheck(("true",), interval=60, retries=1, start_interval=0.05)
    container = await watched(check, 0.5)
    assert (container.health, container.asked) == ("starting", [])


@pytest.mark.parametrize(("given", "expected"), [("", 5.0), (", start_interval: 2s", 2.0)])
def test_how_often_is_read_from_the_compose_file(given: str, expected: float) -> None:
    text = f"services: {{a: {{image: x, network_mode: host, healthcheck: {{test: [CMD, 'true']{given}}}}}}}"
    (found,) = compose.read(text)
    assert found.healthcheck and found.healthcheck.start_interval == expected


@pytest.mark.parametrize(("given", "expected"), [("", 5.0), ("--start-interval=2s ", 2.0)])
def test_how_often_is_read_from_the_dockerfile(given: str, expected: float, tmp_path: Path) -> None:
    file = tmp_path / "Dockerfile"
    file.write_text(f'FROM python:3.11-slim-bookworm\nHEALTHCHECK {given}CMD ["true"]\nENTRYPOINT ["true"]\n')
    check = dockerfile.read(file, tmp_path).healthcheck
    assert check and check.start_interval == expected
