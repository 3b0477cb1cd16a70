"""The sandbox that the datacentre lives in: how it is made, found, entered and ended.

``unshare`` gives it its own mounts and processes, and as a plain user its own user namespace, in which the
one uid reads as root. It outlives the command that started it, and dies as a whole: pid 1 of a pid namespace
takes every process along, and ``--kill-child`` takes pid 1 along with the wrapper.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path

from emulator.datacentre.settings import Settings

_KILL_SECONDS = 10.0


def start(settings: Settings) -> subprocess.Popen[bytes]:
    """Start the datacentre in a new sandbox and return its wrapper; its output goes to the log."""
    user = ["--user", "--map-root-user"] if settings.rootless else []
    modules = os.pathsep.join(filter(None, [str(settings.root), os.environ.get("PYTHONPATH")]))
    with settings.log.open("ab") as log:
        return subprocess.Popen(  # noqa: S603
            [  # noqa: S607 util-linux is part of every distribution
                "unshare",
                *user,
                *("--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"),
                *(sys.executable, "-m", "emulator.datacentre.keeper", settings.to_json()),
            ],
            cwd=settings.root,
            env={**os.environ, "PYTHONPATH": modules},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def first_process(settings: Settings) -> int | None:
    """Return the pid (as the machine sees it) of the running sandbox's pid 1; None when none answers."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(settings.socket))
        except (FileNotFoundError, ConnectionRefusedError):
            return None
        credentials = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, _, _ = struct.unpack("3i", credentials)
    return _parent(pid)


def enter(settings: Settings, pid: int, argv: list[str]) -> list[str]:
    """Return the command that runs `argv` inside the sandbox whose first process is `pid`."""
    user = ["--user", "--preserve-credentials"] if settings.rootless else []
    return ["nsenter", "--target", str(pid), *user, "--mount", "--pid", "--", *argv]


def kill(pid: int) -> None:
    """Kill the sandbox whose first process is `pid`, and wait until it is gone with all its processes."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        signal.pidfd_send_signal(process, signal.SIGKILL)
        if not select.select([process], [], [], _KILL_SECONDS)[0]:
            raise TimeoutError(f"the datacentre's sandbox (pid {pid}) does not end, not even when killed")
    except ProcessLookupError:
        return
    finally:
        os.close(process)


def _parent(pid: int) -> int | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(stat[stat.rindex(")") + 2 :].split()[1])
