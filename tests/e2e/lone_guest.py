"""A guest on its own, without a federation: one VM's boot files on a real kernel, with nobody to talk to."""

import asyncio
import base64
import hashlib
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from ipaddress import IPv4Interface
from pathlib import Path

import pytest

from components.boot import BootPlan, cloud_config
from emulator.arm import certificates
from emulator.datacentre.errors import DatacentreError
from emulator.datacentre.kernel import Namespace
from emulator.datacentre.machine.real.hardware import Card, Hardware
from emulator.datacentre.machine.real.machine import RealMachine
from emulator.guest import accelerator, recipe
from emulator.guest.recipe import FILES
from emulator.guest.store import GuestStore, run

ARCHIVED = frozenset({"docker-cli", "docker-compose", "docker-compose-v2", "docker.io", "nftables"})
"""What a guest without Docker lacks: it is in an archive of its own, as Ubuntu's is on Azure."""
GO_ON = "/run/another-package-may-end"
CARD = Card(address=IPv4Interface("10.10.1.4/27"), mac="00:0d:3a:01:02:03")
MEMORY_MIB = 1536
LOOK_SECONDS = 120.0
_OTHER_PACKAGE = f"""\
#!/bin/sh
until [ -e {GO_ON} ]; do sleep 1; done
"""
_OTHER_INSTALLATION = """\
[Unit]
Description=Somebody else's installation, which holds dpkg's lock
DefaultDependencies=no
After=local-fs.target
[Service]
Type=exec
ExecStart=/usr/bin/dpkg --install /srv/another.deb
[Install]
WantedBy=sysinit.target
"""


def without_docker(store: GuestStore) -> Path:
    """Return the folder of a guest's image without Docker, which it finds in an archive.

    As it boots, another installation holds dpkg's lock, until the file `GO_ON` is there.
    """
    whole = recipe.guest()
    # What Docker needs is there: to unpack it costs a translated processor minutes, and proves nothing.
    packages = (*(name for name in whole.packages if name not in ARCHIVED), "containerd", "iptables", "runc")
    lacking = sorted(ARCHIVED & set(whole.packages))
    made_by = replace(whole, name=f"{whole.name} without Docker", packages=packages)

    def make(folder: Path) -> None:
        download = (
            f'APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" apt-get --yes --download-only install {" ".join(lacking)}'
        )
        keep = 'mkdir "$1/srv/archive" && mv "$1"/var/cache/apt/archives/*.deb "$1/srv/archive"'
        command = made_by.command(folder / "root")
        command[1:1] = [f"--customize-hook={download} && {keep}"]
        run(command, f"install {made_by.name}")
        _finish(folder / "root")
        run([str(FILES / "build-disk"), str(folder)], "make the guest's disk")

    this = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:8]  # it makes the archive
    return store._once(f"lone-{this}", made_by, make, "a guest's disk without Docker, about 2 minutes")


def _finish(root: Path) -> None:
    """Make the archive that a guest's root installs from, and the installation that is in its way."""
    archive = root / "srv" / "archive"
    if not list(archive.glob("docker-compose-v2_*")):  # Ubuntu's; its docker.io has the command docker, too
        _package(
            archive / "docker-compose-v2_1_all.deb", "docker-compose-v2", depends="docker-cli, docker-compose"
        )
    _package(root / "srv" / "another.deb", "another", after=_OTHER_PACKAGE)
    (archive / "Packages").write_text("\n".join(_entry(file) for file in sorted(archive.glob("*.deb"))))
    for sources in (root / "etc" / "apt" / "sources.list.d").iterdir():
        sources.unlink()
    (root / "etc" / "apt" / "sources.list").write_text("deb [trusted=yes] file:/srv/archive ./\n")
    (root / "etc" / "cloud" / "cloud.cfg.d" / "98-archive.cfg").write_text(
        "apt: {preserve_sources_list: true}\n"
    )
    units = root / "etc" / "systemd" / "system"
    (units / "another-installation.service").write_text(_OTHER_INSTALLATION)
    wanted = units / "sysinit.target.wants"
    wanted.mkdir(exist_ok=True)
    (wanted / "another-installation.service").symlink_to("../another-installation.service")


def _package(file: Path, name: str, *, depends: str = "", after: str = "") -> None:
    """Write a package without files: what it depends on, and the script that runs after it was unpacked."""
    with tempfile.TemporaryDirectory() as folder:
        control = Path(folder) / "DEBIAN"
        control.mkdir(mode=0o755)
        lines = (f"Package: {name}", "Version: 1", "Architecture: all", "Maintainer: nobody <n@invalid>")
        needs = (f"Depends: {depends}",) if depends else ()
        (control / "control").write_text("\n".join((*lines, *needs, "Description: a test's", "")))
        if after:
            (control / "postinst").write_text(after)
            (control / "postinst").chmod(0o755)
        Path(folder).chmod(0o755)
        run(["dpkg-deb", "--build", "--root-owner-group", folder, str(file)], f"make {name}")


def _entry(file: Path) -> str:
    """Return a package's entry in its archive's index."""
    content = file.read_bytes()
    fields = run(["dpkg-deb", "--field", str(file)], f"read {file.name}").rstrip()
    mark = hashlib.sha256(content).hexdigest()
    return f"{fields}\nFilename: ./{file.name}\nSize: {len(content)}\nSHA256: {mark}\n"


@dataclass(frozen=True)
class LoneGuest:
    """A guest that runs, and its data disk (a raw file)."""

    machine: RealMachine
    disk: Path

    async def run(self, script: str) -> str:
        """Run a script as root; it must succeed."""
        ran = await self.machine.shell(script, seconds=LOOK_SECONDS)
        assert ran.code == 0, ran
        return ran.stdout.decode()

    async def wait(self, script: str, seconds: float) -> None:
        """Wait until a script succeeds; fail with what was seen last when it does not, or when QEMU ends."""
        seen: object = None
        try:
            async with asyncio.timeout(seconds):
                while seen != 0:
                    assert "QEMU ended" not in self.machine.problem, self.machine.problem
                    try:
                        seen = (await self.machine.shell(script, seconds=LOOK_SECONDS)).code
                    except DatacentreError as silent:  # it is booting
                        seen = silent
                    await asyncio.sleep(5 if seen else 0)
        except TimeoutError:
            pytest.fail(f"{script}: {seen!r} after {seconds:.0f} s")


@asynccontextmanager
async def booted(plan: BootPlan, image: Path, folder: Path, disk: Path) -> AsyncIterator[LoneGuest]:
    """Boot a plan's custom data on a guest's image until its agent answers; cut the power at the end."""
    network = Namespace("lone")
    network.ip(["link set lo up", "link add eth0 type veth peer name nobody", "link set eth0 up"])
    hardware = Hardware(
        name=f"vm-fed-dev-{plan.party}", image=image, own=folder / "own", volatile=folder / "volatile",
        data=disk, accelerator=accelerator.choose(image), memory=MEMORY_MIB, processors=1, card=CARD,
    )  # fmt: skip
    certificate = folder / "authority.pem"
    certificates.ensure_authority(certificate, folder / "authority.key")
    machine = RealMachine(
        hardware, identifier="lone", network=network, authority=certificate, logs=folder / "logs"
    )
    custom_data = base64.b64encode(cloud_config(plan).encode()).decode()
    try:
        await machine.boot(custom_data, "")
        yield LoneGuest(machine, disk)
    finally:
        await machine.off()
        network.close()
