"""The emulator's one process: the control plane, the plugin listener, and the store below both.

Started by `emulator.control.Emulator.ensure`, or by hand: ``python -m emulator.daemon``. One runs a home at a
time; a second one leaves at once. It ends on SIGTERM or SIGINT, and when its home is moved or deleted; after
a kill the next one carries on from the store. Addresses are kept from one daemon to the next where the ports
are still free, so that a shell made by ``fed env`` stays good.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import secrets
import signal
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path

from clone import paths
from emulator.arm import certificates
from emulator.arm.control_plane import ControlPlane
from emulator.arm.faults import Handle, front
from emulator.arm.http import Listeners, listen
from emulator.arm.latency import Latency
from emulator.guest.containers import Containers
from emulator.guest.orders import Orders
from emulator.guest.store import GuestStore
from emulator.plugins.azure_native.client import FAST
from emulator.plugins.azure_native.interrupted import Creations
from emulator.plugins.azure_native.provider import Azure, AzureNative
from emulator.plugins.docker.provider import Docker
from emulator.plugins.docker.registry import Registries
from emulator.plugins.listener import Listener
from emulator.plugins.package import Package
from emulator.plugins.random.provider import Random
from emulator.presence import until_gone
from emulator.record import Record, code_state, start_time

LOG_BYTES = 2_000_000
"""Size at which the log is moved aside (to one older file)."""

log = logging.getLogger("emulator.daemon")


def main() -> None:
    """Serve until told to end."""
    paths.private_folder(paths.emulator())
    lock = (paths.emulator() / "daemon.lock").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print(f"another daemon already serves {paths.home()}", file=sys.stderr)
        return
    lock.truncate(0)
    lock.write(f"{os.getpid()}\n")
    lock.flush()
    log_to_file(paths.daemon_log())
    asyncio.run(serve(Record.load(paths.daemon_file()), lock.fileno()))
    logging.shutdown()
    os._exit(0)  # calls that wait in other threads would hold the process


async def serve(before: Record | None, lock: int) -> None:
    """Open everything, if possible where the daemon `before` listened; return on a signal.

    It also returns when the file of the open `lock` is not in the home any more.
    """
    ended = asyncio.Event()
    for ends in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(ends, ended.set)
    plane = ControlPlane(paths.store(), token_key())
    handle = front(plane)
    arm = await _listen(plane, handle, _port(before.arm if before else ""))
    plugins = Listener(
        packages(plane, handle),
        token=plugin_token(),
        backend=paths.backend_url(),
        port=_port(before.plugins if before else ""),
    )
    plugins.start()
    pid = os.getpid()
    record = Record(
        pid=pid,
        started=start_time(pid) or 0,
        plugins=f"127.0.0.1:{plugins.port}",
        arm=f"https://127.0.0.1:{arm.port}",
        socket=str(paths.arm_socket()),
        backend=paths.backend_url(),
        code=code_state(),
    )
    record.write(paths.daemon_file())
    log.info(
        "pid %d serves %s: Resource Manager %s, plugins %s", pid, paths.home(), record.arm, record.plugins
    )
    gone = asyncio.create_task(until_gone(paths.emulator() / "daemon.lock", lock))
    gone.add_done_callback(lambda _: ended.set())
    await ended.wait()
    log.info("%s was moved or deleted" if gone.done() else "%s: told to end", paths.home())
    plugins.stop()
    await arm.close()
    plane.close()
    paths.arm_socket().unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # the datacentre may still have sockets there
        paths.runtime().rmdir()


def packages(plane: ControlPlane, handle: Handle) -> Mapping[str, Callable[[Path], Package]]:
    """Return what makes an instance of each provider package for a working directory.

    `handle` answers what Azure is asked; docker never asks Azure, so the plane itself answers that one.
    """
    paths.private_folder(paths.backend())
    scale = Latency.from_environment().scale
    bearer = Bearer(plane.issue_token)
    azure = Azure(
        handle=handle,
        bearer=bearer,
        creations=Creations(paths.emulator() / "creations.sqlite", paths.backend()),
        pace=scale or FAST,
    )
    registries = Registries(plane.handle, bearer)
    return {
        AzureNative.name: partial(AzureNative, azure=azure),
        Docker.name: partial(Docker, registries=registries, images=paths.images(), builder=real_images),
        Random.name: Random,
    }


def real_images(name: str) -> Containers | None:
    """Return what builds an image that real machines pull; None for one that emulated machines alone run."""
    orders = Orders.load(paths.real_machines())
    if orders is None or name not in orders.containers:
        return None
    return Containers(store=GuestStore(paths.cache() / "guest", log.info), authority=paths.authority())


class Bearer:
    """Keeps a bearer token of the deployer and renews it before it expires."""

    def __init__(self, issue: Callable[[], tuple[str, int]]) -> None:
        self._issue = issue
        self._token, self._expires = issue()

    def __call__(self) -> str:
        """Return a token that is good for at least five minutes."""
        if time.time() > self._expires - 300:
            self._token, self._expires = self._issue()
        return self._token


async def _listen(plane: ControlPlane, handle: Handle, port: int) -> Listeners:
    certificates.ensure_authority(paths.authority(), paths.authority_key())
    certificates.ensure_certificate(
        paths.server_certificate(),
        paths.server_key(),
        names=("127.0.0.1", "localhost"),
        authority=paths.authority(),
        authority_key=paths.authority_key(),
    )
    open_at = partial(
        listen,
        plane,
        handle=handle,
        certificate=paths.server_certificate(),
        key=paths.server_key(),
        socket=paths.arm_socket(),
    )
    try:
        return await open_at(port=port)
    except OSError:  # somebody else has the port by now
        return await open_at(port=0)


def token_key() -> bytes:
    """Return the key that signs bearer tokens, made on first use."""
    file = paths.token_key()
    if not file.exists():
        paths.write_private(file, secrets.token_bytes(32))
    return file.read_bytes()


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
