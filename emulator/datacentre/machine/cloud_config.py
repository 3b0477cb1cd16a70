"""Reads a VM's customData, the only thing that it boots from: a `#cloud-config` text.

What the emulator does with it: the files are written, and the folders made that a unit makes for containers.
What it leaves to real machines: bootcmd, runcmd and the systemd units among the files, whose effect (the data
disk is mounted, the client network's rules are loaded, the compose file's services run) the emulator brings
about itself.
"""

from __future__ import annotations

import base64
import binascii
import functools
import gzip
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from emulator.datacentre.errors import DatacentreError

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
KNOWN = frozenset({"write_files", "runcmd", "bootcmd"})
"""Top-level keys that are understood; cloud-init itself ignores unknown ones silently."""
PACKAGES = frozenset({"packages", "package_update", "package_upgrade"})
"""Keys that are refused: cloud-init waits 30 seconds for dpkg's lock, then goes on without the packages
(APT_LOCK_WAIT_TIMEOUT in its distros/package_management/apt.py). Azure's extensions hold the lock on first
boots (Azure/azure-linux-extensions#1499)."""
COMPOSE = "/opt/fed/compose.yaml"
CLIENT_NETWORK = "/opt/fed/client-network.nft"
CHANGE_IMAGES = "/opt/fed/change-images"
_INSTALL = re.compile(
    r"^ExecStartPre=/usr/bin/install -d -o (?P<uid>\d+) -g (?P<gid>\d+) -m (?P<mode>\d+) (?P<paths>.+)$", re.M
)


@dataclass(frozen=True, slots=True)
class File:
    """One file to write: absolute path, permission bits, content."""

    path: str
    mode: int
    content: bytes


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that a unit makes before it starts containers: path, (uid, gid), permission bits."""

    path: str
    owner: tuple[int, int]
    mode: int


@dataclass(frozen=True, slots=True)
class CloudConfig:
    """What a VM boots from."""

    files: tuple[File, ...]

    def writes(self, path: str) -> bool:
        """Whether the text writes a file there."""
        return any(file.path == path for file in self.files)

    def text(self, path: str) -> str:
        """Return the content of a file; raise DatacentreError when the text does not write it."""
        for file in self.files:
            if file.path == path:
                return file.content.decode()
        raise DatacentreError(f"the VM's cloud-config writes no {path}: nothing says what to run.")

    def folders(self) -> list[Folder]:
        """Those that the units among the files make with `install -d`."""
        units = [file.content.decode() for file in self.files if file.path.endswith(".service")]
        return [
            Folder(path, (int(made["uid"]), int(made["gid"])), int(made["mode"], 8))
            for unit in units
            for made in _INSTALL.finditer(unit)
            for path in made["paths"].split()
        ]


def read(custom_data: str) -> CloudConfig:
    """Read base64 customData. Raises DatacentreError with the reason when a VM could not boot from it."""
    try:
        text = base64.b64decode(custom_data, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as wrong:
        raise DatacentreError(f"customData is not base64 of a text: {wrong}.") from wrong
    if text.partition("\n")[0].strip() != "#cloud-config":
        raise DatacentreError("customData does not begin with '#cloud-config': cloud-init would not read it.")
    try:
        config = yaml.load(text, Loader=_LOADER)  # noqa: S506 a safe loader, in C where there is one
    except yaml.YAMLError as wrong:
        raise DatacentreError(f"customData is not YAML: {wrong}.") from wrong
    if not isinstance(config, dict):
        raise DatacentreError("customData holds no mapping of cloud-config keys.")
    if raced := sorted(set(config) & PACKAGES):
        raise DatacentreError(
            f"cloud-config key {', '.join(map(repr, raced))}: cloud-init waits 30 seconds for dpkg's lock, "
            "which Azure's extensions hold on a first boot, and goes on without the packages. Fix: install "
            "them from a unit that waits (components/boot/templates/start-docker)."
        )
    if unknown := sorted(set(config) - KNOWN):
        raise DatacentreError(
            f"cloud-config key {', '.join(map(repr, unknown))} is not understood; cloud-init would ignore it "
            "or do what the emulator does not. Known: " + ", ".join(sorted(KNOWN)) + "."
        )
    _check_schema(text)
    return CloudConfig(tuple(_file(entry) for entry in config.get("write_files") or []))


@functools.lru_cache(maxsize=256)
def _check_schema(text: str) -> None:
    """Hold the text against cloud-init's own schema where cloud-init is installed."""
    command = shutil.which("cloud-init")
    if command is None:
        return
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(text)
        file.flush()
        done = subprocess.run(  # noqa: S603 fixed command
            [command, "schema", "--config-file", file.name], capture_output=True, text=True, check=False
        )
    if done.returncode:
        raise DatacentreError(f"cloud-init refuses the cloud-config: {(done.stderr or done.stdout).strip()}")


def _file(entry: dict[str, Any]) -> File:
    path = str(entry.get("path", ""))
    if not path.startswith("/") or ".." in Path(path).parts:
        raise DatacentreError(f"write_files: {path!r} is not an absolute path.")
    content = str(entry.get("content", "")).encode()
    encoding = str(entry.get("encoding", "text/plain"))
    if encoding in {"b64", "base64", "gz+b64", "gz+base64", "gzip+base64", "gzip+b64"}:
        content = base64.b64decode(content)
    elif encoding not in {"text/plain", "plain"}:
        raise DatacentreError(f"write_files: the encoding {encoding!r} of {path} is not understood.")
    if encoding.startswith("gz"):
        content = gzip.decompress(content)
    return File(path=path, mode=int(str(entry.get("permissions", "0644")), 8), content=content)
