"""Faults of Resource Manager at every operation of a federation's life.

One fault: each command of a cycle meets it at all operations that have not met it in an earlier cycle, and
cycles are repeated until no command meets a new operation. Mixed: a cycle for each fault that there is; in
each an operation meets another one, so that after all of them it has met each that fits it. The engine goes
on with what does not depend on those (PULUMI_CONTINUE_ON_ERROR).
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import replace
from pathlib import Path

from automation.chaos.life import LAST_TO_STAY, LIFE, Life, Step
from automation.chaos.own_clone import Ended
from automation.chaos.trial import Bounds, Trial
from automation.ui.console import say
from emulator.arm.faults import FAULTS, MIXED, VARIABLE, Orders, fitting_to, met_by

NAMES = (MIXED, *FAULTS)


def trials(given: Bounds) -> Iterator[Trial]:
    """Try each fault of Resource Manager in turn."""
    orders = given.folder / "orders.json"
    left = [fault for fault in NAMES if given.wants(fault)]
    while left and not given.is_over:
        life = Life.begin(given.folder, PULUMI_CONTINUE_ON_ERROR="true", **{VARIABLE: str(orders)})
        try:
            while left and life.is_well and not given.is_over:
                fault = left.pop(0)
                yield from (_turns if fault == MIXED else _cycles)(life, fault, orders, given)
        finally:
            life.clone.remove()


def _cycles(life: Life, fault: str, orders: Path, given: Bounds) -> Iterator[Trial]:
    """Live through cycles until every operation has met the fault."""
    met: dict[str, set[str]] = {step.name: set() for step in LIFE}
    ordered, new = Orders(fault=fault), True
    while new:
        life.cycle += 1
        new = False
        for step in LIFE:
            step.before(life.clone, life.cycle)
            ended, found = _faulted(life, step, ordered, orders, met[step.name])
            met[step.name] |= found
            new = new or bool(found)
            trial = life.converged(fault, step, ended, len(found), prove=step.name == LAST_TO_STAY)
            yield trial
            if not trial.held or given.is_over:
                return


def _turns(life: Life, fault: str, orders: Path, given: Bounds) -> Iterator[Trial]:
    """Live through a cycle for each fault; each operation meets another one in each."""
    seed, met = given.chance.randrange(1 << 31), defaultdict[tuple[str, str], set[str]](set)
    for turn in range(len(FAULTS)):
        life.cycle += 1
        for step in LIFE:
            whole, found = _turn(life, step, Orders(fault=fault, seed=seed, turn=turn), orders)
            for name, operations in found.items():
                yield replace(whole, fault=f"{fault}: {name}", moments=len(operations))
                for operation in operations:
                    met[step.name, operation].add(name)
            if not found and not whole.held:
                yield whole
            if given.is_over or not whole.held:
                say(_coverage(met))
                return
    say(_coverage(met))


def _coverage(met: Mapping[tuple[str, str], Set[str]]) -> str:
    """Say how many of the pairs of an operation and a fault were met."""
    possible = sum(len(fitting_to(operation)) for _, operation in met)
    pairs = sum(len(faults) for faults in met.values())
    return f"{len(met)} operations met a fault, {pairs} of {possible} pairs of an operation and a fault"


def _turn(life: Life, step: Step, ordered: Orders, orders: Path) -> tuple[Trial, Mapping[str, Sequence[str]]]:
    """Run a step with each operation's fault, again with those of operations that this reaches first, and
    then without; return what became of it, and which operations met which fault.
    """
    step.before(life.clone, life.cycle)
    ended, met = _faulted(life, step, ordered, orders, set())
    left = [ordered, Orders()]

    def again() -> Ended:
        ended, found = _faulted(life, step, left.pop(0), orders, met)
        met.update(found)
        return ended

    whole = life.converged(MIXED, step, ended, 0, prove=step.name == LAST_TO_STAY, again=again)
    by_fault: dict[str, list[str]] = {}
    for operation in sorted(met):
        by_fault.setdefault(ordered.falling_to(operation), []).append(operation)
    return whole, by_fault


def _faulted(
    life: Life, step: Step, ordered: Orders, orders: Path, spared: set[str]
) -> tuple[Ended, set[str]]:
    """Run a step with a fault at what is not spared; return how it ended, and what met the fault."""
    replace(ordered, spared=sorted(spared)).write(orders)
    met_by(orders).unlink(missing_ok=True)
    ended = life.clone.run(*step.command)
    Orders().write(orders)
    return ended, set(met_by(orders).read_text().splitlines() if met_by(orders).exists() else ())
