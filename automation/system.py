"""Programs and libraries of the operating system that the emulator's networks need, and how to get them.

As root on Debian or Ubuntu what is missing is installed, and said; otherwise the command is printed.
"""

import ctypes
import os
import shutil
import subprocess
import sys

from automation.outcome import FedError

LOCK_SECONDS = 300
"""How long to wait for another installation (a machine that has just started often has one going on)."""

_PROGRAMS = {
    "flock": "util-linux",
    "ip": "iproute2",
    "nft": "nftables",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
    "unshare": "util-linux",
}
_LIBRARIES = {"libnftables.so.1": "nftables"}


def missing_packages() -> list[str]:
    """Return the Debian packages of what the emulator's networks need and this machine lacks."""
    programs = {package for name, package in _PROGRAMS.items() if not _program(name)}
    return sorted(programs | {package for name, package in _LIBRARIES.items() if not _library(name)})


def require_packages() -> None:
    """Make sure that everything is there; install what is missing where that may be done.

    Raises FedError with the command to run where it may not, or where it did not help.
    """
    missing = missing_packages()
    if not missing:
        return
    if not can_install():
        raise FedError(
            "the emulator's networks need packages of the operating system that are not there: "
            f"{', '.join(missing)}\nMend: {cure(missing)}"
        )
    print(
        f"fed: installing packages that the emulator's networks need: {', '.join(missing)}", file=sys.stderr
    )
    apt = ["apt-get", "-o", f"DPkg::Lock::Timeout={LOCK_SECONDS}", "--yes", "--quiet"]
    install = [*apt, "install", "--no-install-recommends", *missing]
    if _quietly(install):
        _quietly([*apt, "update"])
        if failure := _quietly(install):
            raise FedError(f"{' '.join(install)} failed:\n{failure}")
    if left := missing_packages():
        raise FedError(f"{', '.join(left)} installed, but what the emulator needs of them is still not there")


def can_install() -> bool:
    """Tell whether packages may be installed here without asking anybody."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def cure(packages: list[str]) -> str:
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
