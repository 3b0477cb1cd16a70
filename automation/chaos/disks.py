"""A data disk of a VM that can be filled or made read-only: memory in the place of its folder."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from automation.chaos.running import Running
from automation.ui.outcome import FedError
from emulator.datacentre import sandbox

_ROOM_MB: Final = 8
"""What is free on it before it is filled: enough to boot, and to train."""
_SHRINK: Final = """
set -e
mkdir -p "$1"
used=$(du -sm "$0" | cut -f1)
mount -t tmpfs -o "size=$((used + $2))m,mode=755" chaos "$1"
cp -a "$0/." "$1"
mount --bind "$1" "$0"
"""
_READ_ONLY: Final = 'mount -o remount,ro "$1"'
_FILL: Final = """
dd if=/dev/zero of="$0/filler" bs=64k 2>/dev/null
test "$(df --output=avail "$0" | tail -1)" -lt 64
"""
_FREE: Final = 'rm "$0/filler"'
_RESTORE: Final = """
set -e
umount "$0"
cp -a "$1/." "$0"
umount "$1"
rmdir "$1"
"""


@dataclass(frozen=True, kw_only=True)
class SmallDisk:
    """The data disk of a party's VM while it is small. `folder` is where the datacentre keeps its content."""

    federation: Running
    folder: Path

    @classmethod
    @contextmanager
    def of(cls, federation: Running, party: str, *, read_only: bool = False) -> Iterator["SmallDisk"]:
        """Shrink a party's disk while its VM is off, and let the VM boot; put all back afterwards.

        What was written meanwhile stays. Raises FedError when a step fails.
        """
        disk = cls(federation=federation, folder=federation.disk(party))
        federation.power(party, "powerOff")
        disk._run(_SHRINK)
        if read_only:
            disk._run(_READ_ONLY)
        federation.power(party, "start")
        try:
            yield disk
        finally:
            federation.power(party, "powerOff")
            disk._run(_RESTORE)
            federation.power(party, "start")

    def fill(self) -> bool:
        """Write until nothing more fits."""
        self._run(_FILL)
        return True

    def free(self) -> None:
        """Take away what `fill` wrote."""
        self._run(_FREE)

    def _run(self, script: str) -> None:
        """Run a script in the datacentre's mounts: $0 is the disk, $1 its copy in memory, $2 its room."""
        datacentre = self.federation.datacentre
        copy = datacentre.settings.volatile / f"chaos-{self.folder.name}"
        words = ["sh", "-c", script, str(self.folder), str(copy), str(_ROOM_MB)]
        command = sandbox.enter(datacentre.settings, datacentre.pid, words)
        done = subprocess.run(command, text=True, capture_output=True, check=False)  # noqa: S603
        if done.returncode:
            raise FedError(f"the disk {self.folder}: {done.stderr or done.stdout or script}")
