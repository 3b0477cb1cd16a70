"""The emulator's one process: the control plane, the plugin listener, and the store below both.

Started by `emulator.control.Emulator.ensure`, or by hand: ``python -m emulator.daemon``. One runs a home at a
time; a second one leaves at once. It ends on SIGTERM or SIGINT; after a kill the next one carries on from the
store. Addresses are kept from one daemon to the next where the ports are still free, so that a shell made by
``fed env`` stays good.
"""

from __future__ import annotations

import fcntl
import logging
import os
import secrets
import signal
import sys
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path

from emulator import paths
from emulator.plugins.listener import Listener
from emulator.plugins.random.provider import Random
from emulator.record import Record, code_state, start_time

LOG_BYTES = 2_000_000
"""Size at which the log is moved aside (to one older file)."""

log = logging.getLogger("emulator.daemon")


def main() -> None:
    """Serve until told to end."""
    ends = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)  # before any thread: only sigwait below takes them
    paths.private_folder(paths.emulator())
    lock = (paths.emulator() / "daemon.lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print(f"another daemon already serves {paths.home()}", file=sys.stderr)
        return
    log_to_file(paths.daemon_log())
    record = serve(Record.load(paths.daemon_file()))
    record.write(paths.daemon_file())
    log.info(
        "pid %d serves %s: control plane %s, plugins %s", record.pid, paths.home(), record.arm, record.plugins
    )
    log.info("ended by %s", signal.Signals(signal.sigwait(ends)).name)
    paths.daemon_file().unlink(missing_ok=True)
    logging.shutdown()
    os._exit(0)  # calls that wait in other threads would hold the process


def serve(before: Record | None) -> Record:
    """Start everything, if possible where the last daemon listened; return where it listens."""
    listener = Listener(
        {Random.name: Random},
        token=plugin_token(),
        backend=paths.backend_url(),
        port=_port(before.plugins if before else ""),
    )
    listener.start()
    paths.private_folder(paths.backend())
    pid = os.getpid()
    return Record(
        pid=pid,
        started=start_time(pid) or 0,
        plugins=f"127.0.0.1:{listener.port}",
        arm="",
        socket=str(paths.arm_socket()),
        backend=paths.backend_url(),
        code=code_state(),
    )


def plugin_token() -> str:
    """Return the word that launchers must send, made on first use."""
    file = paths.plugin_token()
    if not file.exists():
        paths.write_private(file, secrets.token_hex(32).encode())
    return file.read_text()


def log_to_file(file: Path) -> None:
    """Send the log, and whatever anyone prints, to a file that is moved aside when it gets long."""

    class Log(RotatingFileHandler):
        """Takes standard output and error along when it rotates."""

        def _open(self) -> TextIOWrapper:
            stream = super()._open()
            for descriptor in (1, 2):
                os.dup2(stream.fileno(), descriptor)
            return stream

    handler = Log(file, maxBytes=LOG_BYTES, backupCount=1, encoding="utf-8")
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", handlers=[handler]
    )


def _port(address: str) -> int:
    return int(address.rpartition(":")[2] or 0)


if __name__ == "__main__":
    main()
