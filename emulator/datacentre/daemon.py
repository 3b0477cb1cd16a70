"""The datacentre's process: networks, storage, metadata, names and machines of one emulated cloud.

Started inside the sandbox by `keeper`, never by hand. It leaves the machine's network at once: what it opens
later is in namespaces of its own making, or on Unix sockets.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import signal
import socket
import subprocess
import sys

from aiohttp import web

from emulator.datacentre import kernel
from emulator.datacentre.api import Api
from emulator.datacentre.core import Core
from emulator.datacentre.errands import Errands
from emulator.datacentre.errors import DatacentreError
from emulator.datacentre.settings import Settings
from emulator.datacentre.tunnel import TunnelEnd
from emulator.presence import until_gone

ALREADY_RUNNING = 4
"""Exit code when another datacentre holds the lock."""

log = logging.getLogger("emulator.datacentre")


def main() -> None:
    """Run the datacentre with the settings (JSON) and the keeper's socket given as arguments."""
    settings, keeper = Settings.from_json(sys.argv[1]), socket.socket(fileno=int(sys.argv[2]))
    os.umask(0o077)
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
    lock = settings.lock.open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        log.error("another datacentre already runs in %s", settings.state)
        sys.exit(ALREADY_RUNNING)
    try:
        _leave_the_machine(settings)
        if sys.version_info < (3, 12):  # later versions do so by themselves: no thread for each process
            asyncio.set_child_watcher(asyncio.PidfdChildWatcher())
        asyncio.run(_serve(settings, keeper, lock.fileno()))
    except DatacentreError as impossible:
        log.error("%s", impossible)
        sys.exit(1)
    logging.shutdown()
    os._exit(0)  # threads that wait for something would hold the process


def _leave_the_machine(settings: Settings) -> None:
    """Enter an own network and give the volatile files a place that vanishes with the sandbox."""
    kernel.unshare(kernel.CLONE_NEWNET)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)  # noqa: S607
    settings.volatile.mkdir(exist_ok=True)
    kernel.mount(
        "datacentre", str(settings.volatile), "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "mode=700"
    )


async def _serve(settings: Settings, keeper: socket.socket, lock: int) -> None:
    ended = asyncio.Event()
    for ends in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(ends, ended.set)
    errands = Errands(keeper)
    await errands.start()
    core = Core(settings, errands)
    runner = web.AppRunner(Api(core, ended).application(), access_log=None, shutdown_timeout=1)
    await runner.setup()
    settings.socket.unlink(missing_ok=True)
    await web.UnixSite(runner, str(settings.socket)).start()
    tunnel = TunnelEnd(core.namespace)
    await tunnel.serve(settings.tunnel)
    following = asyncio.create_task(core.follow())
    stopping = asyncio.create_task(ended.wait())
    gone = asyncio.create_task(until_gone(settings.lock, lock))
    log.info("serving %s", settings.state)
    try:
        await asyncio.wait({following, stopping, gone}, return_when=asyncio.FIRST_COMPLETED)
        if following.done():
            following.result()  # a defect: say it, and end rather than show a state that nobody follows
        if gone.done():
            log.warning("%s was moved or deleted", settings.state)
    finally:
        following.cancel()
        gone.cancel()
        tunnel.close()
        for path in (settings.socket, settings.tunnel):
            path.unlink(missing_ok=True)
    await core.close()
    log.info("ended")


if __name__ == "__main__":
    main()
