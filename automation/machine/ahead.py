"""Makes what a first `fed up` will want, while the engine is being built.

``python -m automation.machine.ahead``. Without it the same is made a minute later, when it is asked for; so a
failure here is told and stops nothing.
"""

import asyncio
import importlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence

from automation.machine import search_path, system
from automation.ui.outcome import FedError
from clone import paths
from emulator.datacentre import installed
from emulator.datacentre.errors import DatacentreError
from engine import lazy_sdk

IMAGES = paths.REPOSITORY / "workloads"
IMPORTED = (
    "automation.stacks.deploy",
    "components.hospital_tenant",
    "components.central_node",
    "emulator.daemon",
)
"""What a deployment imports. Python keeps the bytecode of what was imported once."""


def main() -> int:
    """Install and compile; return 1 with the reasons on standard error when something cannot be had."""
    search_path.extend()
    try:
        failures = asyncio.run(_install())
    except asyncio.CancelledError:
        return 1
    sys.meta_path.insert(0, lazy_sdk.Finder())
    for module in IMPORTED:
        importlib.import_module(module)
    for failure in failures:
        print(failure, file=sys.stderr)
    return int(bool(failures))


async def _install() -> list[BaseException]:
    """Install everything at once; return why what is missing could not be had."""
    if me := asyncio.current_task():
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, me.cancel)
    environments = sorted(IMAGES.glob("*/requirements.txt"))
    ended = await asyncio.gather(
        asyncio.to_thread(_packages_of_the_system),
        installed.azurite(paths.cache(), run_command),
        *(installed.python_environment(paths.cache(), file, run_command) for file in environments),
        return_exceptions=True,
    )
    failures = [outcome for outcome in ended if isinstance(outcome, BaseException)]
    if unforeseen := [each for each in failures if not isinstance(each, FedError | DatacentreError)]:
        raise unforeseen[0]
    return failures


def _packages_of_the_system() -> None:
    if system.can_install():
        system.require_packages(system.NETWORKS)


async def run_command(argv: Sequence[str], what: str) -> None:
    """Run a command in a group of its own, which ends with this process."""
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        said, _ = await process.communicate()
    except asyncio.CancelledError:
        os.killpg(process.pid, signal.SIGTERM)
        raise
    if process.returncode:
        raise DatacentreError(
            f"could not {what} ({argv[0]} ended with {process.returncode}):\n{said.decode()}"
        )


if __name__ == "__main__":
    sys.exit(main())
