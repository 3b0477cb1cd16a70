"""What this machine must offer the datacentre, really tried; each finding says what is missing and the fix.

`run` makes a sandbox like the datacentre's for a moment and tries, inside it, all that the datacentre does.
"""

from __future__ import annotations

import ctypes.util
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from emulator.datacentre.settings import Settings

_SECONDS = 20.0
_UBUNTU = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
_DEBIAN = Path("/proc/sys/kernel/unprivileged_userns_clone")
_PACKAGES = {
    "ip": "iproute2",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
    "flock": "util-linux",
    "nft": "nftables",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing tried. `detail` is what was seen, `cure` what to do when it is not `good`."""

    name: str
    good: bool
    detail: str
    fix: str = ""


def run() -> list[Finding]:
    """Try everything; an empty cure means that there is nothing to do."""
    commands = [_command(name, package) for name, package in _PACKAGES.items()]
    findings = [*commands, _library(), _packages()]
    if all(finding.good for finding in findings):
        findings.append(_sandbox())
    return findings


def _command(name: str, package: str) -> Finding:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    fix = "" if found else f"Debian, Ubuntu: apt-get install {package}"
    return Finding(name=name, good=bool(found), detail=found or "not on PATH", fix=fix)


def _library() -> Finding:
    found = ctypes.util.find_library("nftables")
    return Finding(
        name="libnftables",
        good=bool(found),
        detail=found or "not found: no security group can be enforced",
        fix="" if found else "Debian, Ubuntu: apt-get install nftables libnftables1",
    )


def _packages() -> Finding:
    """Look for what installs Azurite and the images' packages."""
    node, npm = shutil.which("node"), shutil.which("npm")
    uv = Path(sys.executable).with_name("uv").exists() or shutil.which("uv") is not None
    detail = "node and npm on PATH" if node and npm else "no node and npm: fetched from PyPI on first use"
    return Finding(
        name="installers",
        good=uv,
        detail=f"uv {'found' if uv else 'missing'}; {detail}",
        fix="" if uv else f"{sys.executable} -m pip install uv",
    )


def _sandbox() -> Finding:
    rootless = Settings.of().rootless
    user = ["--user", "--map-root-user"] if rootless else []
    tried = subprocess.run(  # noqa: S603
        [
            *("unshare", *user, "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"),
            *(sys.executable, "-m", "emulator.datacentre.checks"),
        ],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    how = "a user namespace" if rootless else "root"
    if tried.returncode == 0:
        return Finding(name="sandbox", good=True, detail=f"works as {how}: {tried.stdout.strip()}")
    detail = f"does not work as {how}: {tried.stderr.strip()[-500:]}"
    return Finding(name="sandbox", good=False, detail=detail, fix=_fix(rootless))


def _fix(rootless: bool) -> str:
    if not rootless:
        return (
            "this container lacks CAP_SYS_ADMIN or CAP_NET_ADMIN, or its seccomp profile forbids unshare: "
            "run it with --privileged"
        )
    if _value(_UBUNTU) == "1":
        return "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or run as root"
    if _value(_DEBIAN) == "0":
        return "sudo sysctl -w kernel.unprivileged_userns_clone=1, or run as root"
    return "allow unprivileged user namespaces (a container needs --privileged for it), or run as root"


def _value(switch: Path) -> str:
    return switch.read_text().strip() if switch.exists() else ""


def _try_inside() -> None:
    """Try, inside a sandbox, one after the other, what the datacentre needs; stop at the first that fails."""
    from emulator.datacentre import kernel, rules  # noqa: PLC0415 only where the sandbox has been entered
    from emulator.datacentre.nft import Nft  # noqa: PLC0415

    def link() -> None:
        other = kernel.Namespace("other")
        here.ip(
            [f"link add wire0 type veth peer name eth0 netns {other.path}", "link add bridge0 type bridge"]
        )
        other.close()

    kernel.unshare(kernel.CLONE_NEWNET)  # as the datacentre does: a plain user owns no other network
    here = kernel.Namespace("here")
    steps: list[tuple[str, Callable[[], None]]] = [
        ("mount a tmpfs", lambda: kernel.mount("check", "/mnt", "tmpfs")),
        ("make interfaces", link),
        ("set forwarding", lambda: here.sysctl("net.ipv4.ip_forward", "1")),
        ("load packet filters", lambda: Nft(here).run(rules.skeleton())),
    ]
    for what, step in steps:
        try:
            step()
        except Exception as failed:
            sys.exit(f"cannot {what}: {failed}")
    print("namespaces, interfaces, bridges, packet filters, tmpfs")


if __name__ == "__main__":
    _try_inside()
