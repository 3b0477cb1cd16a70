"""What became of a fault, and the table of a campaign."""

import dataclasses
import datetime as dt
import os
import platform
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from random import Random
from typing import Any

MOST_RUNS = 3
"""The run that met the fault, and at most two more."""
HEADINGS = ("fault", "during", "moments", "runs", "lost", "left running", "seconds to recover", "tried")
_NO_ROWS = (HEADINGS, ("---",) * len(HEADINGS))


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What bounds a campaign: its folder, when it is to end (`time.monotonic`), chance.

    `faults` are the names of the only ones to try, all when it is empty. `moments` is how often each is tried
    during each command, where it strikes at a moment and not at every request.
    """

    folder: Path
    until: float
    chance: Random
    faults: Collection[str]
    moments: int = 1

    @property
    def is_over(self) -> bool:
        """Whether nothing new is to be begun."""
        return time.monotonic() > self.until

    def wants(self, fault: str) -> bool:
        """Whether a fault is to be tried."""
        return not self.faults or fault in self.faults


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One try of a fault.

    `moments` is how many operations met it, or at how many moments it struck, `runs` the run of the command
    after which all was as intended (1: the very run that met the fault; None: not within `MOST_RUNS`),
    `seconds` from the end of the fault until then. `said` is what was wrong where something is lost, left or
    not converged, and how a training ended that had to be run again.
    """

    fault: str
    during: str
    moments: int
    runs: int | None
    lost: Sequence[str] = ()
    left: Sequence[str] = ()
    seconds: float = 0.0
    said: str = ""

    @property
    def held(self) -> bool:
        """Whether it converged, and nothing is lost or left running."""
        return self.runs is not None and not self.lost and not self.left


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """What a campaign found."""

    seed: int
    began: dt.datetime
    seconds: float
    trials: Sequence[Trial]

    @property
    def held(self) -> bool:
        """Whether every fault was survived."""
        return all(trial.held for trial in self.trials)


def rows(campaign: Campaign) -> Iterator[tuple[str, ...]]:
    """Yield the rows of the table, each over all trials of a fault during the same command."""
    tried = f"seed {campaign.seed}, {campaign.began:%Y-%m-%d %H:%M} UTC, {machine()}"

    def alike(trial: Trial) -> tuple[str, str]:
        return trial.fault, trial.during

    for kind, found in groupby(sorted(campaign.trials, key=alike), alike):
        same = list(found)
        never = sum(trial.runs is None for trial in same)
        most = max((trial.runs or 0 for trial in same), default=0)
        yield (
            *kind,
            str(sum(trial.moments for trial in same)),
            f"{never} of {len(same)} never" if never else str(most),
            "; ".join(sorted({what for trial in same for what in trial.lost})) or "nothing",
            "; ".join(sorted({what for trial in same for what in trial.left})) or "nothing",
            f"{max(trial.seconds for trial in same):.0f}",
            tried,
        )


def markdown(campaign: Campaign, before: str = "") -> str:
    """Return the campaign as a section of a page; what that section said `before` of others stays in it."""
    again = {(trial.fault, trial.during) for trial in campaign.trials}
    kept = [row for row in _rows_of(before) if row[:2] not in again]
    lines = [
        f"| {' | '.join(HEADINGS)} |",
        f"| {' | '.join('---' for _ in HEADINGS)} |",
        *(f"| {' | '.join(row)} |" for row in sorted([*kept, *rows(campaign)])),
    ]
    failed = [
        *(line for line in before.splitlines() if line.startswith("- ") and _about(line) not in again),
        *(
            f"- {trial.fault} during {trial.during}: {_one_line(trial.said)}"
            for trial in campaign.trials
            if not trial.held
        ),
    ]
    if failed:
        lines += ["", "What did not hold:", "", *failed]
    return "\n".join(lines) + "\n"


def _rows_of(section: str) -> Iterator[tuple[str, ...]]:
    """Yield the rows of a table that `markdown` wrote."""
    for line in section.splitlines():
        cells = tuple(cell.strip() for cell in line.strip("| ").split(" | "))
        if line.startswith("| ") and len(cells) == len(HEADINGS) and cells not in _NO_ROWS:
            yield cells


def _about(line: str) -> tuple[str, str]:
    """Return fault and command of a line on what did not hold."""
    fault, _, rest = line.removeprefix("- ").partition(" during ")
    return fault, rest.partition(": ")[0]


def document(campaign: Campaign) -> dict[str, Any]:
    """Return the campaign as JSON."""
    return {
        "seed": campaign.seed,
        "began": campaign.began.isoformat(timespec="seconds"),
        "seconds": round(campaign.seconds),
        "machine": machine(),
        "held": campaign.held,
        "trials": [dataclasses.asdict(trial) for trial in campaign.trials],
    }


def machine() -> str:
    """Describe this machine in a few words, with its load of the last five minutes."""
    system = f"{platform.system()} {platform.release().partition('-')[0]}"
    return f"{system}, {os.cpu_count()} CPUs, load {os.getloadavg()[1]:.0f}"


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
