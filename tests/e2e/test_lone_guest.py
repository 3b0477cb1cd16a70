"""A VM's boot files on a real kernel where something is in their way: a foreign disk, another installation.

No federation: nobody answers for metadata or images here, so what the guest does is its own.
Run by `./fed test real` alone.
"""

import asyncio
import hashlib
import subprocess
from pathlib import Path

import pytest

from clone import paths
from emulator.guest.store import GuestStore
from tests.e2e import lone_guest
from tests.e2e.lone_guest import LoneGuest, booted, without_docker
from tests.unit.support.boot_text import CENTRE, DIGEST, HOSPITAL

pytestmark = pytest.mark.real

PATIENCE = 1800.0
"""A translated guest on a machine that does other things as well."""
DISK_BYTES = 192 << 20
FILE_SYSTEM = "blkid -s UUID -o value $(findmnt -no SOURCE /var/lib/fed)"
LATER = "test $(journalctl --boot --unit fed-docker | grep -c 'Docker does not run yet') -gt {count}"


@pytest.fixture
def store() -> GuestStore:
    """What real machines are made of, kept for all clones."""
    return GuestStore(paths.cache() / "guest", print)


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """A new data disk, which reads zeros."""
    file = tmp_path / "data.img"
    with file.open("wb") as new:
        new.truncate(DISK_BYTES)
    return file


def content(disk: Path) -> str:
    return hashlib.sha256(disk.read_bytes()).hexdigest()


async def check_docker(guest: LoneGuest) -> None:
    """Check what has to hold once Docker runs, whoever the VM is."""
    assert await guest.run("stat --format '%G %a' /run/docker.sock") == "fed-engine 660\n"
    options = (await guest.run("findmnt --noheadings --output OPTIONS /var/lib/fed")).strip().split(",")
    assert {"nosuid", "nodev", "noexec"} <= set(options)
    assert await guest.run("blkid -s LABEL -o value $(findmnt -no SOURCE /var/lib/fed)") == "feddata\n"
    assert "ordering cycle" not in (await guest.run("journalctl --boot --quiet")).lower()


async def test_a_first_boot_waits_for_dpkgs_lock_formats_no_foreign_disk_and_the_next_vm_no_own_one(
    store: GuestStore, disk: Path, tmp_path: Path
) -> None:
    label = ["mke2fs", "-q", "-F", "-t", "ext4", "-L", "patients", str(disk)]
    subprocess.run(label, check=True)
    before = content(disk)
    image = await asyncio.to_thread(without_docker, store)
    async with booted(HOSPITAL, image, tmp_path, disk) as guest:
        await guest.wait("systemctl is-failed fed-data-disk", PATIENCE)
        said = await guest.run("journalctl --boot --unit fed-data-disk --output cat")
        assert "holds 'ext4' labelled 'patients', expected ext4 labelled 'feddata'" in said
        assert content(disk) == before

        await guest.wait(LATER.format(count=0), PATIENCE)  # the lock is somebody else's
        assert "lock" in await guest.run("journalctl --boot --unit fed-docker --output cat")
        assert (await guest.run("systemctl is-active fed-docker || true")) == "activating\n"
        assert (await guest.run("command -v dockerd || echo none")) == "none\n"

        await guest.run(f"touch {lone_guest.GO_ON}")
        await guest.wait("test -x /usr/sbin/nft && docker compose version", PATIENCE)
        tried = await guest.run("journalctl --boot --unit fed-docker | grep -c 'Docker does not run yet'")
        await guest.wait(LATER.format(count=int(tried)), PATIENCE)  # Docker has no disk to run on
        assert (await guest.run("systemctl is-active docker || true")) != "active\n"
        assert content(disk) == before

        await guest.run("dd if=/dev/zero of=/dev/disk/azure/scsi1/lun0 bs=1M; sync")  # a person's decision
        await guest.wait("systemctl is-active docker", PATIENCE)
        await check_docker(guest)
        stamps = "systemctl show --value --property ActiveEnterTimestampMonotonic fed-client-network docker"
        firewall, docker = map(int, (await guest.run(stamps)).split())
        assert 0 < firewall < docker
        assert "br-fedclient" in await guest.run("nft list table inet fed_client")
        await guest.run("echo kept > /var/lib/fed/marker; sync")
        file_system = await guest.run(FILE_SYSTEM)

    fresh = tmp_path / "fresh"  # the VM is replaced: nothing but the data disk stays
    fresh.mkdir()
    image = await asyncio.to_thread(store.disk)
    async with booted(HOSPITAL, image, fresh, disk) as guest:
        # An image with Docker starts it before cloud-init has written its settings, which then stops it.
        await guest.wait("systemctl is-active fed-docker && systemctl is-active docker", PATIENCE)
        await check_docker(guest)
        assert await guest.run("cat /var/lib/fed/marker") == "kept\n"
        assert await guest.run(FILE_SYSTEM) == file_system


async def test_the_centres_boot_files_bring_an_image_with_docker_up_without_an_archive(
    store: GuestStore, disk: Path, tmp_path: Path
) -> None:
    image = await asyncio.to_thread(store.disk)
    async with booted(CENTRE, image, tmp_path, disk) as guest:
        await guest.wait("systemctl is-active docker && test -f /run/cloud-init/result.json", PATIENCE)
        await check_docker(guest)
        assert '"errors": []' in await guest.run("cat /run/cloud-init/result.json")
        assert "apt-get" not in await guest.run("journalctl --boot --unit fed-docker --output cat")
        digests = " ".join(f"IMAGE_{name}={DIGEST}" for name in ("CONTAINER_SERVER", "FL_SERVER", "MLFLOW"))
        compose = "docker compose --file /opt/fed/compose.yaml --profile managed config --images"
        images = (await guest.run(f"env {digests} {compose}")).split()
        assert len(images) == 3
