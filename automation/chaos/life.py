"""A federation's life in commands, without machines, and whether one of them has converged."""

import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from automation.chaos.own_clone import Ended, OwnClone, processes_of
from automation.chaos.trial import MOST_RUNS, Trial
from automation.ui.outcome import FedError

NEWCOMER = "geneva"
_ADD = ("hospital", "add", NEWCOMER, "--subscription", "20000000-0000-4000-8000-000000000009", "--yes")
_LEAVES = ("hospital", "remove", NEWCOMER, "--yes")
LAST_TO_STAY: Final = "hospital remove --delete-data"
"""The last step of a cycle that leaves a stack: proven there, all before it are."""
Inventory = Counter[tuple[str, str]]
"""How many resources Resource Manager has, by type and provisioningState."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """A command of a federation's life. `before` prepares its n-th use; `stays` is false where all goes."""

    name: str
    command: Sequence[str]
    before: Callable[[OwnClone, int], None] = lambda clone, cycle: None
    stays: bool = True


def _retag(clone: OwnClone, cycle: int) -> None:
    clone.edit(lambda content: content["config"].update({"fed:tags": {"cycle": f"c{cycle}"}}))


def _one_hospital(content: Any) -> None:
    """Leave one hospital in dev: the operations of the others are the same."""
    hospitals = content["config"]["fed:hospitals"]
    for name in list(hospitals)[1:]:
        del hospitals[name]


UPDATE: Final = Step(name="update", command=("up",), before=_retag)
JOINS: Final = Step(name="hospital add", command=_ADD)
LIFE: Final = (
    Step(name="up", command=("up",)),
    UPDATE,
    JOINS,
    Step(name="hospital remove", command=_LEAVES),
    Step(name="hospital remove --delete-data", command=(*_LEAVES, "--delete-data", NEWCOMER)),
    Step(name="down", command=("down", "--yes"), stays=False),
)


@dataclass
class Life:
    """A clone that lives through cycles of `LIFE`.

    `wanted` is what a step left the first time that it converged: it leaves the same each time. It `is_well`
    until a step did not converge: the next one would begin from somewhere else.
    """

    clone: OwnClone
    cycle: int = 0
    wanted: dict[str, Inventory] = field(default_factory=dict)
    is_well: bool = True

    @classmethod
    def begin(cls, folder: Path, **variables: str) -> "Life":
        """Copy this clone; nothing is deployed yet."""
        life = cls(OwnClone(folder / "clone", FED_MACHINES="0", **variables))
        life.clone.edit(_one_hospital)
        return life

    def undisturbed(self, step: Step) -> None:
        """Run a step that nothing disturbs; raise FedError when it fails all the same."""
        step.before(self.clone, self.cycle)
        found = self.converged("none", step, self.clone.run(*step.command), 0, prove=False)
        if not found.held:
            raise FedError(f"{step.name} fails although nothing disturbs it: {found.said}")

    def inventory(self) -> Inventory:
        """Return what Resource Manager has now."""
        store = self.clone.home / "emulator" / "arm.sqlite"
        if not store.exists():
            return Counter()
        with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as database:
            return Counter(database.execute("SELECT type, state FROM resources").fetchall())

    def converged(
        self,
        fault: str,
        step: Step,
        first: Ended,
        moments: int,
        *,
        prove: bool,
        again: Callable[[], Ended] | None = None,
    ) -> Trial:
        """Run a step again after its `first` run, at most twice, until all is as it intends.

        With `prove` preview and verify are asked, too. `again` is how to run it again, if not undisturbed.
        """
        began, runs, said, ended = time.monotonic(), 1, [first.errors], first
        while (wrong := self._wrong(ended, prove=prove)) and runs < MOST_RUNS:
            runs += 1
            ended = again() if again else self.clone.run(*step.command)
            said.append(ended.errors)
        found = self.inventory()
        wanted = self.wanted.setdefault(step.name, found)
        lost, left = _told(wanted - found), [*_told(found - wanted), *self._running(step)]
        self.is_well = not (wrong or lost or left)
        return Trial(
            fault=fault,
            during=step.name,
            moments=moments,
            runs=None if wrong else runs,
            lost=lost,
            left=left,
            seconds=0.0 if runs == 1 else time.monotonic() - began,
            said="" if self.is_well else "\n".join([*said, wrong]),
        )

    def _wrong(self, ended: Ended, *, prove: bool) -> str:
        """Return why a step has not converged, empty when it has."""
        if ended.code != 0:
            return f"exit code {ended.code}: {ended.errors}"
        if not prove:
            return ""
        for question in (("preview", "--expect-no-changes"), ("verify", "--no-packets", "--no-inside")):
            answer = self.clone.run(*question)
            if answer.code != 0:
                return f"fed {question[0]}: {answer.errors}\n{answer.output[-2000:]}"
        return ""

    def _running(self, step: Step) -> list[str]:
        return (
            [] if step.stays else [f"process {command}" for command in processes_of(self.clone.root).values()]
        )


def _told(inventory: Inventory) -> list[str]:
    return [f"{count} {type_} ({state})" for (type_, state), count in sorted(inventory.items())]
