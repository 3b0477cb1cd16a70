"""Faults of Resource Manager at every operation of a federation's life.

Each command of a cycle meets the fault at all operations that have not met it in an earlier cycle. The engine
goes on with what does not depend on those (PULUMI_CONTINUE_ON_ERROR), and cycles are repeated until no
command meets a new operation.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from automation.chaos.life import LAST_TO_STAY, LIFE, Life, Step
from automation.chaos.trial import Bounds, Trial
from emulator.arm.faults import FAULTS, MIXED, VARIABLE, Orders, met_by

NAMES = (MIXED, *FAULTS)


def trials(given: Bounds) -> Iterator[Trial]:
    """Try each fault of Resource Manager in turn."""
    orders = given.folder / "orders.json"
    left = [fault for fault in NAMES if given.wants(fault)]
    while left and not given.is_over:
        life = Life.begin(given.folder, PULUMI_CONTINUE_ON_ERROR="true", **{VARIABLE: str(orders)})
        try:
            while left and life.is_well and not given.is_over:
                yield from _cycles(life, left.pop(0), orders, given)
        finally:
            life.clone.remove()


def _cycles(life: Life, fault: str, orders: Path, given: Bounds) -> Iterator[Trial]:
    """Live through cycles until every operation has met the fault."""
    met: dict[str, set[str]] = {step.name: set() for step in LIFE}
    ordered, new = Orders(fault=fault, seed=given.chance.randrange(1 << 31)), True
    while new:
        life.cycle += 1
        new = False
        for step in LIFE:
            trial = _disturbed(life, step, ordered, orders, met[step.name])
            new = new or bool(trial.moments)
            yield trial
            if not trial.held or given.is_over:
                return


def _disturbed(life: Life, step: Step, ordered: Orders, orders: Path, met: set[str]) -> Trial:
    """Run a step with the fault at what has not met it yet, then without; add to `met` what has now."""
    step.before(life.clone, life.cycle)
    replace(ordered, spared=sorted(met)).write(orders)
    met_by(orders).unlink(missing_ok=True)
    ended = life.clone.run(*step.command)
    Orders().write(orders)
    new = met_by(orders).read_text().splitlines() if met_by(orders).exists() else []
    met |= set(new)
    return life.converged(ordered.fault, step, ended, len(new), prove=step.name == LAST_TO_STAY)
