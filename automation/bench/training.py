"""A training on the emulated machines, and the same training in NVFlare's own simulator."""

import asyncio
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

from automation.bench.measure import measured
from automation.bench.sizes import STACK, Row
from automation.chaos.own_clone import OwnClone
from automation.machine.ahead import run_command
from automation.stacks import demonstration
from clone import paths
from emulator.datacentre import installed

ROUNDS: Final = 10
"""Of the job `heart`; each adds one in which the model is only measured."""
HOSPITALS: Final = ("cleveland", "hungary", "va-long-beach")
"""Those of dev's stack file, with the public data that they start with."""
_SIMULATED = Path("automation/bench/programs/simulated.py")


def federation(folder: Path) -> Iterator[Row]:
    """Measure dev with its machines: up to registered hospitals, trainings, proofs, down."""
    clone = OwnClone(folder / "machines", FED_MACHINES="1")
    try:
        few, many = ("train", STACK, "--rounds", "1"), ("train", STACK, "--rounds", str(ROUNDS))
        for step, command in (
            ("up to registered hospitals", ("up", STACK)),
            ("first train, 10 rounds, with statistics", many),
            ("train, 10 rounds", many),
            ("train, 1 round", few),
            ("dashboards", ("dashboards",)),
            ("verify with packets", ("verify", STACK)),
            ("down with machines", ("down", STACK, "--yes")),
        ):
            yield _row("fed", step, partial(clone.start, *command), clone.root)
    finally:
        clone.remove()


def simulator(folder: Path) -> Iterator[Row]:
    """Measure NVFlare's simulator on the same job and data, in the environment of the box's image."""
    requirements = paths.REPOSITORY / "workloads" / "fl_client" / "requirements.txt"
    environment = asyncio.run(installed.python_environment(paths.cache(), requirements, run_command))
    sites = []
    for hospital in HOSPITALS:
        table = folder / "tables" / hospital / "heart.csv"
        table.parent.mkdir(parents=True)
        table.write_bytes(demonstration.files(hospital)["heart.csv"])
        sites.append(f"{hospital}={table.parent}")
    for rounds in (ROUNDS, 1):
        scratch = folder / f"rounds-{rounds}"
        scratch.mkdir()
        words = [
            *(str(environment / "bin" / "python"), str(paths.REPOSITORY / _SIMULATED)),
            *(str(paths.REPOSITORY / "workloads"), str(rounds), str(scratch), *sites),
        ]
        yield _row(
            "simulator",
            f"train, {rounds} round{'s' * (rounds > 1)}",
            partial(_start, words, scratch),
            scratch,
        )


def _row(program: str, step: str, start: "partial[subprocess.Popen[str]]", root: Path) -> Row:
    cost = measured(start, root)
    return Row(program=program, hospitals=len(HOSPITALS), step=step, resources=0, cost=cost)


def _start(words: list[str], folder: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(  # noqa: S603 no shell
        words, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
