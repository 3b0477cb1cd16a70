"""Makes what a first `fed up` will want, while the engine is being built: ``python -m automation.ahead``.

Without it the same is made a minute later, when it is asked for; so a failure here is told and stops nothing.
"""

import asyncio
import importlib
import subprocess
import sys
from collections.abc import Sequence

from automation import system
from automation.outcome import FedError
from emulator import paths
from emulator.fabric import installed
from emulator.fabric.errors import FabricError
from engine import lazy_sdk

IMAGES = paths.REPOSITORY / "workloads"
IMPORTED = ("automation.deploy", "components.hospital_tenant", "components.central_node", "emulator.daemon")
"""What a deployment imports. Python keeps the bytecode of what was imported once."""


def main() -> int:
    """Install and compile; return 1 with a reason on standard error when something cannot be had."""
    try:
        system.require_packages(system.NETWORKS)
        asyncio.run(_install())
    except (FedError, FabricError) as error:
        print(error, file=sys.stderr)
        return 1
    sys.meta_path.insert(0, lazy_sdk.Finder())
    for module in IMPORTED:
        importlib.import_module(module)
    return 0


async def _install() -> None:
    environments = sorted(IMAGES.glob("*/requirements.txt"))
    await asyncio.gather(
        installed.azurite(paths.cache(), _run),
        *(installed.python_environment(paths.cache(), file, _run) for file in environments),
    )


async def _run(argv: Sequence[str], what: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    said, _ = await process.communicate()
    if process.returncode:
        raise FabricError(f"could not {what} ({argv[0]} ended with {process.returncode}):\n{said.decode()}")


if __name__ == "__main__":
    sys.exit(main())
