"""What is installed where: the guest's system, what builds containers, what stands for Python's image."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

FILES: Final = Path(__file__).with_name("files")
OF_THE_DISK: Final = ("azure-disk.rules", "build-disk", "customize", "terminal.conf")
"""The files that make a guest's disk what it is; the rest of the folder builds containers."""
_DEBIAN = "http://deb.debian.org/debian"
_DEBIANS_KEYS = "[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]"
"""Ubuntu's apt does not trust these by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A root folder that mmdebstrap makes: a suite of an archive, its variant, and packages."""

    name: str
    suite: str
    variant: str
    sources: tuple[str, ...]
    packages: tuple[str, ...]
    customize: str | None = None
    """The script in files/ that finishes it."""

    @property
    def mark(self) -> str:
        """What changes with the recipe, and names what was made by it."""
        files = sorted(FILES / name for name in OF_THE_DISK) if self.customize else []
        scripts = [file.read_text() for file in files]
        return hashlib.sha256(json.dumps([asdict(self), scripts]).encode()).hexdigest()[:16]

    def command(self, target: Path) -> list[str]:
        """Return the command that makes it: a folder, or an archive when the target ends in ``.tar``."""
        hook = [f'--customize-hook={FILES / self.customize} "$1"'] if self.customize else []
        return [
            *("mmdebstrap", "--quiet", "--mode=root", f"--variant={self.variant}"),
            *('--aptopt=Apt::Install-Recommends "false"', f"--include={','.join(self.packages)}", *hook),
            *(self.suite, str(target), *self.sources),
        ]  # fmt: skip


def _debian(suite: str) -> tuple[str, ...]:
    return (
        f"deb {_DEBIANS_KEYS} {_DEBIAN} {suite} main",
        f"deb {_DEBIANS_KEYS} {_DEBIAN} {suite}-updates main",
        f"deb {_DEBIANS_KEYS} {_DEBIAN}-security {suite}-security main",
    )


def _ubuntu(suite: str) -> tuple[str, ...]:
    archive = "http://archive.ubuntu.com/ubuntu"
    return tuple(
        f"deb {archive} {pocket} main universe" for pocket in (suite, f"{suite}-updates", f"{suite}-security")
    )


_SYSTEM = (
    *(
        "ca-certificates",
        "cloud-init",
        "curl",
        "dbus",
        "e2fsprogs",
        "initramfs-tools",
        "iproute2",
        "iputils-ping",
        "login",
    ),
    *("netbase", "nftables", "openssh-client", "procps", "python3", "qemu-guest-agent", "systemd-resolved"),
    *("systemd-sysv", "udev", "zstd"),
)
GUESTS: Final = {
    "debian": Recipe(
        name="Debian 13",
        suite="trixie",
        variant="apt",
        sources=_debian("trixie"),
        packages=(*_SYSTEM, "docker-cli", "docker-compose", "docker.io", "linux-image-cloud-amd64"),
        customize="customize",
    ),
    "ubuntu": Recipe(
        name="Ubuntu 24.04",
        suite="noble",
        variant="apt",
        sources=_ubuntu("noble"),
        packages=(
            *_SYSTEM,
            "apparmor",
            "docker-compose-v2",
            "docker.io",
            "linux-image-virtual",
            "netplan.io",
        ),
        customize="customize",
    ),
}
"""The guest by the distribution of the machine that it is made on, whose archive is known to answer there.

Docker is inside, as in the image of a party without a way out: in the emulated cloud no archive is reached.
"""
BUILDER: Final = Recipe(
    name="buildah of Debian 13",
    suite="trixie",
    variant="minbase",
    sources=_debian("trixie"),
    packages=("buildah", "ca-certificates", "netavark"),
)
PYTHON: Final = Recipe(
    name="python:3.11-slim-bookworm from Debian's packages",
    suite="bookworm",
    variant="minbase",
    sources=_debian("bookworm"),
    packages=("ca-certificates", "python3", "python3-venv"),
)


def guest() -> Recipe:
    """Return the recipe for this machine's distribution: Ubuntu's on Ubuntu, else Debian's."""
    said = dict(
        line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line
    )
    return GUESTS["ubuntu" if said.get("ID", "").strip('"') == "ubuntu" else "debian"]
