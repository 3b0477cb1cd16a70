"""Other images on an emulated machine: as the unit of a real one does it."""

import asyncio
import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from components.boot import variable
from emulator.datacentre.errors import DatacentreError
from emulator.datacentre.machine import compose, image_change
from emulator.datacentre.machine.compose import Service
from emulator.datacentre.machine.image_change import ImageChange
from emulator.datacentre.machine.image_orders import ImageOrders
from tests.unit.support.boot_text import DIGEST, HOSPITAL, file_of, user_data

NEW = f"sha256:{'1' * 64}"
COMPOSE = file_of(HOSPITAL, "/opt/fed/compose.yaml")
KNOWN = {variable(image): DIGEST for image in HOSPITAL.images}


class Machine:
    """What a change does to a machine; `well` are digests of container servers that become healthy."""

    name = "vm"

    def __init__(self) -> None:
        self.containers: dict[str, Any] = {}
        self.made: list[str] = []
        self.well, self.lacking = {DIGEST, NEW}, False
        self._put(compose.read(COMPOSE, KNOWN))

    def _put(self, services: Any) -> None:
        for service in services:
            health = "healthy" if service.image.rpartition("@")[2] in self.well else "unhealthy"
            self.containers[service.name] = SimpleNamespace(service=service, health=health)

    async def pull(self, reference: str) -> None:
        if self.lacking:
            raise DatacentreError(f"manifest for {reference} not found")

    async def make_again(self, services: list[Service]) -> None:
        self.made += [service.name for service in services]
        self._put(services)


class Bench:
    def __init__(self, folder: Path) -> None:
        self.folder, self.machine, self.orders = folder, Machine(), ImageOrders(folder)
        self.orders.in_force(COMPOSE, user_data(*HOSPITAL.images))

    async def order(self, **digests: str) -> None:
        lines = {**KNOWN, **digests}
        (self.folder / "order.env").write_text("".join(f"{name}={one}\n" for name, one in lines.items()))
        change: Any = ImageChange
        await asyncio.wait_for(change(self.machine, self.orders, COMPOSE).change(self.orders.order), 20)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def test_containers_of_other_images_are_made_again_and_no_others(bench: Bench) -> None:
    await bench.order(IMAGE_FL_CLIENT=NEW)
    of_the_client = {one.name for one in compose.read(COMPOSE, KNOWN) if "/fl-client@" in one.image}
    assert set(bench.machine.made) == of_the_client >= {"fl-box", "fl-client"}
    assert bench.orders.in_force(COMPOSE, "")["IMAGE_FL_CLIENT"] == NEW
    assert bench.orders.order is None


async def test_one_that_cannot_be_pulled_changes_nothing(bench: Bench) -> None:
    bench.machine.lacking = True
    await bench.order(IMAGE_FL_CLIENT=NEW)
    assert bench.machine.made == []
    assert (bench.folder / "outcome").read_text().startswith("an image cannot be pulled: manifest for")
    assert bench.orders.in_force(COMPOSE, "") == KNOWN


async def test_a_container_server_that_is_not_well_makes_way_for_the_one_before(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_change, "WELL_SECONDS", 0.0)
    bench.machine.well = {DIGEST}
    await bench.order(IMAGE_CONTAINER_SERVER=NEW, IMAGE_FL_CLIENT=NEW)
    assert {one.service.image.rpartition("@")[2] for one in bench.machine.containers.values()} == {DIGEST}
    assert (bench.folder / "outcome").read_text().startswith("the new container server was not well")
    assert bench.orders.order is None


async def test_limits_of_a_box_are_no_other_image(bench: Bench) -> None:
    box = bench.machine.containers["fl-box"]
    box.service = dataclasses.replace(box.service, memory=1)
    await bench.order()
    assert bench.machine.made == []


def test_a_machine_boots_with_what_is_in_force(tmp_path: Path) -> None:
    (tmp_path / "images.env").write_text(f"IMAGE_FL_CLIENT={NEW}\n")
    found = ImageOrders(tmp_path).in_force(COMPOSE, user_data(*HOSPITAL.images))
    assert found == {"IMAGE_FL_CLIENT": NEW, "IMAGE_CONTAINER_SERVER": DIGEST}
    assert (tmp_path / "images.env").stat().st_mode & 0o777 == 0o644  # another user reads it


@pytest.mark.parametrize("told", ["", user_data("fl-client"), "e30="])
def test_without_a_digest_it_does_not_boot(tmp_path: Path, told: str) -> None:
    with pytest.raises(DatacentreError, match="userData names no"):
        ImageOrders(tmp_path).in_force(COMPOSE, told)
