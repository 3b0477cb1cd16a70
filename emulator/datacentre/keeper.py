"""The first process of the sandbox: reaps orphans, runs errands, and ends all when the datacentre ends.

The datacentre is in a network of its own and cannot reach a package registry. This process stays in the
machine's network and runs the few commands that need it (installing packages), one JSON line each:
``{"id", "argv", "env", "log"}`` in, ``{"id", "code"}`` out. As pid 1, its end is the end of every process in
the sandbox, and the kernel then removes what they held: namespaces, interfaces, rules, mounts.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
from typing import Any


def main() -> None:
    """Start the datacentre with the settings given as the first argument, and stay until it ends."""
    ours, theirs = socket.socketpair()
    wake, woken = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(woken)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    datacentre = subprocess.Popen(  # noqa: S603 the same interpreter and module path
        [sys.executable, "-m", "emulator.datacentre.daemon", sys.argv[1], str(theirs.fileno())],
        pass_fds=[theirs.fileno()],
    )
    theirs.close()
    errands: dict[int, int] = {}
    waiting = b""
    selector = selectors.DefaultSelector()
    selector.register(ours, selectors.EVENT_READ)
    selector.register(wake, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj is ours:
                received = ours.recv(1 << 16)
                if not received:
                    selector.unregister(ours)
                *lines, waiting = (waiting + received).split(b"\n")
                for line in lines:
                    order = json.loads(line)
                    errands[_run(order)] = order["id"]
            else:
                os.read(wake, 1 << 10)
        for pid, code in _ended():
            if pid == datacentre.pid:
                sys.exit(code)
            if pid in errands:
                ours.sendall(json.dumps({"id": errands.pop(pid), "code": code}).encode() + b"\n")


def _run(order: dict[str, Any]) -> int:
    with open(order["log"], "ab") as log:  # noqa: PTH123 this process stays small
        return subprocess.Popen(  # noqa: S603 the datacentre's own orders
            order["argv"],
            env={**os.environ, **order["env"]},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        ).pid


def _ended() -> list[tuple[int, int]]:
    """Return (pid, exit code) of the children that have ended, orphans among them."""
    found: list[tuple[int, int]] = []
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if pid == 0:
            return found
        found.append((pid, os.waitstatus_to_exitcode(status)))


if __name__ == "__main__":
    main()
