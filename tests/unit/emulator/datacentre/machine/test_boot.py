"""What the emulated machines make of a boot text: the product's own, and one that may fail on Azure."""

import base64
import dataclasses

import pytest

from components.boot import BootPlan, variable
from components.boot import cloud_config as boot_text
from emulator.datacentre.errors import DatacentreError
from emulator.datacentre.machine import cloud_config, compose
from tests.unit.support.boot_text import DIGEST, HOSPITAL, PLANS, images


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def services_of(config: cloud_config.CloudConfig, plan: BootPlan) -> tuple[compose.Service, ...]:
    digests = {variable(image): DIGEST for image in plan.images}
    return compose.read(config.text(cloud_config.COMPOSE), digests)


@PLANS
def test_they_boot_from_the_products_own_text(plan: BootPlan) -> None:
    config = cloud_config.read(encoded(boot_text(plan)))
    services = services_of(config, plan)
    assert {service.image for service in services} == set(images(*plan.images).values())


def test_the_box_is_as_its_text_says() -> None:
    config = cloud_config.read(encoded(boot_text(HOSPITAL)))
    services = {service.name: service for service in services_of(config, HOSPITAL)}
    box = services["fl-box"]
    assert (box.alone, box.managed, box.user, box.processes) == (True, True, "10003:10001", 256)
    assert dict(box.tmpfs) == {"/tmp": "size=256m,noexec,nosuid,nodev", "/dev/shm": "size=64m"}  # noqa: S108
    assert box.healthcheck is not None
    assert box.healthcheck.command == ()  # not that of its image
    # The others share a user on all machines: a limit for one would be one for all of them.
    assert {services[name].processes for name in ("container-server", "fl-client")} == {None}


@PLANS
def test_folders_of_containers_have_the_owners_and_rights_of_a_real_vm(plan: BootPlan) -> None:
    config = cloud_config.read(encoded(boot_text(plan)))
    made = {folder.path: folder for folder in config.folders()}
    services = services_of(config, plan)
    sources = {volume.source for service in services for volume in service.volumes}
    assert set(made) == {source for source in sources if source.startswith("/var/lib/fed/")}
    assert {folder.owner for folder in made.values()} == {(10001, 10001)}
    shared = {path for path, folder in made.items() if folder.mode == 0o750}
    boxes = {f"/var/lib/fed/{name}" for name in ("input", "box", "score")}
    assert shared == (boxes if plan.is_hospital else set())


def test_one_with_a_gpu_boots_here_without_it() -> None:
    config = cloud_config.read(encoded(boot_text(dataclasses.replace(HOSPITAL, gpus=1))))
    services = {one.name: one for one in services_of(config, HOSPITAL)}
    assert ("/var/lib/fed/gpu", "/gpu") in {(one.source, one.target) for one in services["fl-box"].volumes}
    assert "/var/lib/fed/gpu" in {folder.path for folder in config.folders()}


@pytest.mark.parametrize("key", ["packages: [docker.io]", "package_update: true", "package_upgrade: true"])
def test_they_refuse_packages_that_cloud_init_would_give_up_on(key: str) -> None:
    with pytest.raises(DatacentreError, match=r"waits 30 seconds for dpkg's lock.* Fix: install"):
        cloud_config.read(encoded(f"#cloud-config\n{key}\n"))
