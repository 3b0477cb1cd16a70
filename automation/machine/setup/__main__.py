"""Make ``.venv`` and the engine ready.

``python -m automation.machine.setup [--no-engine] [--dev] [--machines]``

Exit codes: 0 ready, 3 something is missing that only a person can fix, 130 interrupted.
"""

import argparse
import fcntl
import os
import platform
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NoReturn

from automation.machine.setup import build, engine, packages
from automation.machine.setup.problem import ProblemError, run
from automation.machine.setup.progress import Progress

PACKAGES_USUALLY = "5 to 60 seconds"
MACHINES_USUALLY = "1 to 4 minutes, while the engine is built"


def main() -> int:
    """Prepare what is missing; a second process waits for the first and then finds it done."""
    parser = argparse.ArgumentParser(prog="automation.machine.setup", description=__doc__.partition("\n")[0])
    parser.add_argument("--no-engine", action="store_true", help="prepare the packages only")
    parser.add_argument("--dev", action="store_true", help="also install what the tests need")
    parser.add_argument(
        "--machines",
        action="store_true",
        help="besides a build of the engine, also what emulated machines run",
    )
    wanted = parser.parse_args()
    try:
        if platform.system() != "Linux":
            raise ProblemError(f"fed runs on Linux, not on {platform.system()}: use a VM or WSL 2")
        _lock_clone()
        _prepare(dev=wanted.dev, with_engine=not wanted.no_engine, with_machines=wanted.machines)
    except ProblemError as error:
        _end(3, str(error))
    except KeyboardInterrupt:
        _end(130, "interrupted; run it again to go on.")
    return 0


def _end(code: int, message: str) -> NoReturn:
    """End at once, without waiting for threads: the kernel asks the commands that they started to end."""
    print(f"fed: {message}", file=sys.stderr, flush=True)
    os._exit(code)


def _lock_clone() -> None:
    """Hold the clone's lock until this process ends, however it ends."""
    handle = os.open(packages.ROOT, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("fed: another ./fed is preparing this clone: waiting for it", file=sys.stderr)
        fcntl.flock(handle, fcntl.LOCK_EX)


def _prepare(*, dev: bool, with_engine: bool, with_machines: bool) -> None:
    """Run the preparations side by side."""

    def make_packages() -> None:
        if not packages.is_ready(dev=dev):
            with progress.task("packages", PACKAGES_USUALLY) as task:
                packages.install(task, dev=dev)

    def make_engine() -> Path:
        with progress.task("engine", build.USUALLY) as task:
            return engine.prepare(task, installing, begin_machines)

    def begin_machines() -> None:
        if with_machines:
            ahead.append(pool.submit(make_machines))

    def make_machines() -> None:
        installing.result()
        with progress.task("machines", MACHINES_USUALLY) as task:
            task.say("installing what they run")
            try:
                run(["nice", packages.VENV / "bin" / "python", "-P", "-m", "automation.machine.ahead"])
                task.say("what they run is installed")
            except ProblemError as error:
                task.say(f"left to the deployment: {str(error).splitlines()[-1].strip()}")

    found = engine.chosen()
    pool = ThreadPoolExecutor()
    ahead: list[Future[None]] = []
    with Progress() as progress:
        installing = pool.submit(make_packages)
        building = pool.submit(make_engine) if with_engine and not found else None
        installing.result()
        found = building.result() if building else found
        for preparation in ahead:
            preparation.result()
    if found:
        engine.write_stamp(found)


if __name__ == "__main__":
    sys.exit(main())
