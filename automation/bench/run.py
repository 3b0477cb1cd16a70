"""A whole benchmark: what it measures in which order, and what it says meanwhile."""

import datetime as dt
import os
import platform
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from automation.bench import sizes, training
from automation.bench.results import Machine, Results
from automation.bench.sizes import Row
from automation.ui.console import say
from clone import paths

SUITE: Final = "the test suite: `./fed test` says how long it took"
SHARES: Final = (
    "how a round's time is divided between box, airlock, network and NVFlare: the difference to the "
    "simulator is all that they cost together"
)


def run(*, hospitals: Sequence[int], machines: bool, compare: bool, command: str) -> Results:
    """Measure federations of these sizes, and with `machines` trainings; say each figure as it comes.

    With `compare` the floor, the plain program and NVFlare's simulator are measured in the same run. Raises
    FedError when a command that is measured fails.
    """
    machine, began = _machine(command), time.monotonic()
    found: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="fed-bench-", ignore_cleanup_errors=True) as folder:
        for row in _rows(Path(folder), hospitals, machines=machines, compare=compare):
            found.append(row)
            cost = row.cost
            say(
                f"{row.program}, {row.hospitals} hospitals, {row.step}: {cost.wall:.1f} s, "
                f"{cost.cpu:.1f} s of CPU, {cost.peak:.0f} MiB"
            )
    left_out = [SUITE, SHARES]
    if not machines:
        left_out.append("everything with machines (--machines)")
    if not compare:
        left_out.append("what it is compared with (--compare)")
    return Results(machine=machine, rows=found, seconds=time.monotonic() - began, left_out=left_out)


def _rows(folder: Path, hospitals: Sequence[int], *, machines: bool, compare: bool) -> Iterator[Row]:
    if machines:
        yield from training.federation(_own(folder, "machines"))
        if compare:
            yield from training.simulator(_own(folder, "simulator"))
    for count in hospitals:
        resources = 0
        for row in sizes.federation(_own(folder, f"fed-{count}"), count):
            if row.step == "first up":
                resources = row.resources
            yield row
        if compare:
            yield from sizes.floor(_own(folder, f"floor-{count}"), count, resources)
            yield from sizes.plain(_own(folder, f"plain-{count}"), count, resources)


def _own(folder: Path, name: str) -> Path:
    made = folder / name
    made.mkdir()
    return made


def _machine(command: str) -> Machine:
    names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return Machine(
        at=f"{dt.datetime.now(tz=dt.UTC):%Y-%m-%d %H:%M} UTC",
        cores=len(os.sched_getaffinity(0)),
        memory_gib=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30,
        cpu=names[0].partition(":")[2].strip() if names else platform.machine(),
        load=os.getloadavg()[0],
        command=command,
        commit=_commit(),
    )


def _commit() -> str:
    ended = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],  # noqa: S607 the git of PATH
        cwd=paths.REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    return ended.stdout.strip() or "unknown"
