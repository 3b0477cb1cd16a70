"""What the emulated machines make of a boot text: the product's own, and one that may fail on Azure."""

import base64

import pytest

from components.boot import BootPlan
from components.boot import cloud_config as boot_text
from emulator.datacentre.errors import FabricError
from emulator.datacentre.machine import cloud_config, compose
from tests.unit.boot_text import PLANS


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@PLANS
def test_they_boot_from_the_products_own_text(plan: BootPlan) -> None:
    config = cloud_config.read(encoded(boot_text(plan)))
    services = compose.read(config.text(cloud_config.COMPOSE))
    assert {service.image for service in services} == set(plan.images.values())


@pytest.mark.parametrize("key", ["packages: [docker.io]", "package_update: true", "package_upgrade: true"])
def test_they_refuse_packages_that_cloud_init_would_give_up_on(key: str) -> None:
    with pytest.raises(FabricError, match=r"waits 30 seconds for dpkg's lock.* Fix: install"):
        cloud_config.read(encoded(f"#cloud-config\n{key}\n"))
