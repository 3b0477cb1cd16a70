"""Finds out how QEMU can run a guest here: with the processor's help (KVM), or by translating it (TCG)."""

from __future__ import annotations

import os
import select
import subprocess
import time
from pathlib import Path

KVM, TCG = "kvm", "tcg"
DEVICE = Path("/dev/kvm")
TRIAL_SECONDS = 10.0
_ALIVE = b"Linux version"


def choose(image: Path) -> str:
    """Return KVM where a kernel (of the guest's image) speaks under it, else TCG.

    It is tried: there are machines with a `/dev/kvm` that starts no ordinary kernel.
    """
    usable = os.access(DEVICE, os.R_OK | os.W_OK)
    return KVM if usable and speaks(command(image), TRIAL_SECONDS) else TCG


def command(image: Path) -> list[str]:
    """Return the command of the trial: the kernel alone, which says its name first."""
    return [
        *("qemu-system-x86_64", "-M", "q35", "-accel", KVM, "-cpu", "host", "-m", "256", "-no-reboot"),
        *("-nodefaults", "-display", "none", "-serial", "stdio", "-kernel", str(image / "vmlinuz")),
        *("-append", "console=ttyS0 earlyprintk=ttyS0 panic=-1"),
    ]  # fmt: skip


def speaks(argv: list[str], seconds: float) -> bool:
    """Whether a program says that a kernel has started, in time; it is ended in any case."""
    until, said = time.monotonic() + seconds, b""
    with subprocess.Popen(  # noqa: S603 our own command
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as kernel:
        try:
            output = kernel.stdout.fileno() if kernel.stdout else -1
            while _ALIVE not in said:
                left = until - time.monotonic()
                if left <= 0 or not select.select([output], [], [], left)[0]:
                    return False
                chunk = os.read(output, 4096)
                if not chunk:
                    return False
                said += chunk
            return True
        finally:
            kernel.kill()
