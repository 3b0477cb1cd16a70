"""Federations of any size, and what their commands cost, each in a copy of this clone, without machines."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any, Final

from automation.bench.measure import Cost, measured
from automation.chaos.own_clone import OwnClone
from automation.stacks import emulated_state
from automation.stacks.target import NO_CHECKPOINTS
from automation.stacks.urns import is_counted
from automation.ui.outcome import FedError

STACK: Final = "dev"
STEPS: Final = ("preview", "first up", "second up", "one more hospital", "verify", "refresh", "down")
"""A federation's life, in this order."""
NEWCOMER: Final = "newcomer"
FLOOR: Final = Path("automation/bench/programs/floor")
_PLAIN = ("drop_type_aliases()\n", "")
"""The line of `__main__.py` that a plain program does not have."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A step of a federation's life, or of what it is compared with.

    `program` is `fed`, `floor` or `plain`; `resources` is how many the step has to do with.
    """

    program: str
    hospitals: int
    step: str
    resources: int
    cost: Cost


def federation(folder: Path, hospitals: int) -> Iterator[Row]:
    """Measure the life of a federation of so many hospitals through `fed`."""
    clone = OwnClone(folder / "fed", FED_MACHINES="0")
    try:
        clone.edit(partial(fill, hospitals=hospitals))
        subscription = _subscription(hospitals + 1)
        for step, command in (
            ("preview", ("preview",)),
            ("first up", ("up",)),
            ("second up", ("up",)),
            ("one more hospital", ("hospital", "add", NEWCOMER, "--subscription", subscription, "--yes")),
            ("verify", ("verify", "--no-packets", "--no-inside")),
            ("refresh", ("up", "--refresh")),
            ("down", ("down", "--yes")),
        ):
            before = _resources(clone)
            cost = measured(partial(clone.start, *command), clone.root)
            yield Row(
                program="fed",
                hospitals=hospitals,
                step=step,
                resources=max(before, _resources(clone)),
                cost=cost,
            )
    finally:
        clone.remove()


def floor(folder: Path, hospitals: int, resources: int) -> Iterator[Row]:
    """Measure the engine and the provider with as many bare resources, registered flat."""
    clone = OwnClone(folder / "floor", FED_MACHINES="0")
    try:
        program = clone.root / FLOOR
        size = {"RESOURCES": str(resources), "PROVIDERS": str(hospitals + 1)}
        given = {**_environment(clone), **NO_CHECKPOINTS, **size}
        run = partial(_pulumi, clone, program, given)
        measured(partial(run, "stack", "init", "floor"), clone.root)
        for step, command in (
            ("preview", ("preview",)),
            ("first up", ("up", "--yes", "--skip-preview")),
            ("second up", ("up", "--yes", "--skip-preview")),
            ("refresh", ("refresh", "--yes", "--skip-preview")),
            ("down", ("destroy", "--yes", "--skip-preview")),
        ):
            cost = measured(partial(run, *command, "--stack", "floor"), clone.root)
            yield Row(program="floor", hospitals=hospitals, step=step, resources=resources, cost=cost)
    finally:
        clone.remove()


def plain(folder: Path, hospitals: int, resources: int) -> Iterator[Row]:
    """Measure the same components with the SDK's aliases kept, by Pulumi's own command line."""
    clone = OwnClone(folder / "plain", FED_MACHINES="0")
    try:
        clone.edit(partial(fill, hospitals=hospitals))
        program = clone.root / "__main__.py"
        text = program.read_text()
        if text.count(_PLAIN[0]) != 1:
            raise FedError(
                f"{program} has no line {_PLAIN[0]!r} any more: say in {__file__} what is plain now"
            )
        program.write_text(text.replace(*_PLAIN))
        run = partial(_pulumi, clone, clone.root, _environment(clone))
        cost = measured(partial(run, "preview", "--stack", STACK), clone.root)
        yield Row(program="plain", hospitals=hospitals, step="preview", resources=resources, cost=cost)
    finally:
        clone.remove()


def fill(content: Any, *, hospitals: int) -> None:
    """Give a stack file so many hospitals, each with a subscription and a range of its own."""
    content["config"]["fed:hospitals"] = {
        f"hospital-{number:04d}": {
            "subscriptionId": _subscription(number),
            "addressSpace": str(_range(number)),
        }
        for number in range(1, hospitals + 1)
    }


def _subscription(number: int) -> str:
    return f"20000000-0000-4000-8000-{number:012d}"


def _range(number: int) -> IPv4Network:
    """Return the number-th /27 after the centre's network."""
    return IPv4Network((int(IPv4Network("10.11.0.0/27").network_address) + 32 * number, 27))


def _resources(clone: OwnClone) -> int:
    """Return how many resources the state of a clone's stack has, providers and components left out."""
    emulator = clone.emulator()
    found = emulated_state.deployment(emulator, STACK).get("resources") or [] if emulator else []
    return sum(is_counted(each["urn"], custom=bool(each.get("custom"))) for each in found)


def _environment(clone: OwnClone) -> dict[str, str]:
    """Return the variables that turn a shell towards a clone's emulator, which is started."""
    ended = clone.run("env")
    if ended.code != 0:
        raise FedError(f"fed env failed in a copy of this clone:\n{ended.errors}")
    shown = subprocess.run(  # noqa: S603 what `fed env` printed
        ["/bin/sh", "-c", f"{ended.output}\nenv -0"],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": os.environ["PATH"]},
    ).stdout
    return dict(line.split("=", 1) for line in shown.split("\0") if "=" in line)


def _pulumi(
    clone: OwnClone, program: Path, environment: dict[str, str], *words: str
) -> "subprocess.Popen[str]":
    """Start a command of Pulumi's own command line in a program's folder."""
    interpreter = str(Path(sys.executable).parent)
    kept = {name: os.environ[name] for name in ("HOME", "LANG") if name in os.environ}
    path = f"{environment['PATH']}{os.pathsep}{interpreter}"
    return subprocess.Popen(  # noqa: S603 no shell
        [str(shutil.which("pulumi", path=path)), *words, "--non-interactive", "--color", "never"],
        cwd=program,
        env={**kept, **environment, "PATH": path, "FED_HOME": str(clone.home)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
