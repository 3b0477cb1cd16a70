"""Programs and libraries of the operating system that something here needs, and how to get them.

As root on Debian or Ubuntu what is missing is installed, and said; otherwise the command is printed.
"""

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from automation.ui.outcome import FedError

LOCK_SECONDS = 300
"""How long to wait for another installation (a machine that has just started often has one going on)."""


@dataclass(frozen=True, kw_only=True)
class Need:
    """What `who` needs: programs on PATH, libraries, files, each with its Debian package."""

    who: str
    programs: Mapping[str, str]
    libraries: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)


NETWORKS: Final = Need(
    who="the emulator's networks",
    programs={
        "flock": "util-linux",
        "ip": "iproute2",
        "nft": "nftables",
        "nsenter": "util-linux",
        "setpriv": "util-linux",
        "unshare": "util-linux",
    },
    libraries={"libnftables.so.1": "nftables"},
)
REAL_MACHINES: Final = Need(
    who="real machines (./fed up --real)",
    programs={
        "genisoimage": "genisoimage",
        "mke2fs": "e2fsprogs",
        "mmdebstrap": "mmdebstrap",
        "qemu-img": "qemu-utils",
        "qemu-system-x86_64": "qemu-system-x86",
    },
    files={"/usr/share/keyrings/debian-archive-keyring.gpg": "debian-archive-keyring"},
)
POWER_BI: Final = Need(
    who="the tests of the Power BI models (Microsoft's own parser is a .NET Framework program)",
    programs={"mono": "mono-runtime", "mcs": "mono-mcs"},
    files={"/usr/lib/mono/4.5/System.Data.dll": "libmono-cil-dev"},
)


def missing_packages(need: Need = NETWORKS) -> list[str]:
    """Return the Debian packages of what is needed and this machine lacks."""
    return sorted(
        {package for name, package in need.programs.items() if not _program(name)}
        | {package for name, package in need.libraries.items() if not _library(name)}
        | {package for name, package in need.files.items() if not Path(name).exists()}
    )


def require_packages(need: Need = NETWORKS) -> None:
    """Make sure that everything is there; install what is missing where that may be done.

    Raises FedError with the command to run where it may not, or where it did not help.
    """
    missing = missing_packages(need)
    if not missing:
        return
    if not can_install():
        raise FedError(
            f"packages of the operating system are not there that are needed by {need.who}: "
            f"{', '.join(missing)}\nFix: {install_command(missing)}"
        )
    print(f"fed: installing packages needed by {need.who}: {', '.join(missing)}", file=sys.stderr)
    apt = ["apt-get", "-o", f"DPkg::Lock::Timeout={LOCK_SECONDS}", "--yes", "--quiet"]
    install = [*apt, "install", "--no-install-recommends", *missing]
    if _quietly(install):
        _quietly([*apt, "update"])
        if failure := _quietly(install):
            raise FedError(f"{' '.join(install)} failed:\n{failure}")
    if left := missing_packages(need):
        raise FedError(f"{', '.join(left)} installed, but what is needed of them is still not there")


def can_install() -> bool:
    """Tell whether packages may be installed here without asking anybody."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def install_command(packages: list[str]) -> str:
    """Return the command that installs these packages."""
    if shutil.which("apt-get"):
        return f"sudo apt-get install {' '.join(packages)}"
    return f"install with your package manager what Debian calls {' '.join(packages)}"


def _program(name: str) -> bool:
    return shutil.which(name) is not None


def _library(name: str) -> bool:
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def _quietly(command: list[str]) -> str:
    """Run a command; return what it said when it failed, else nothing."""
    done = subprocess.run(  # noqa: S603 fixed commands, no shell
        command,
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return (done.stderr or done.stdout).strip()[-800:] or "no output" if done.returncode else ""
