"""A campaign: its seed, its bounds, what it says meanwhile."""

import datetime as dt
import tempfile
import time
from collections.abc import Collection
from itertools import chain
from pathlib import Path
from random import Random

from automation.chaos import kills, machines, people, resource_manager
from automation.chaos.trial import Bounds, Campaign, Trial
from automation.ui.console import say
from automation.ui.outcome import QuestionError

_TRIALS = {
    "what deploys": kills.trials,
    "people": people.trials,
    "machines": machines.trials,
    "Resource Manager": resource_manager.trials,
}
PARTS = {
    "what deploys": kills.NAMES,
    "people": people.NAMES,
    "machines": machines.NAMES,
    "Resource Manager": resource_manager.NAMES,
}
"""The names of each part's faults."""
NAMES = tuple(name for names in PARTS.values() for name in names)


def run(*, seed: int, faults: Collection[str], minutes: float, moments: int) -> Campaign:
    """Try the faults named, or all, and say each result as it comes; what has begun after `minutes` ends.

    What strikes at a moment is tried at so many `moments` of each command.

    Raises QuestionError for a fault that there is not.
    """
    if unknown := sorted(set(faults) - set(NAMES)):
        raise QuestionError(f"there is no fault {unknown[0]!r}: name {', '.join(NAMES)}")
    began, start = dt.datetime.now(tz=dt.UTC), time.monotonic()
    found: list[Trial] = []
    with tempfile.TemporaryDirectory(prefix="fed-chaos-", ignore_cleanup_errors=True) as folder:
        given = Bounds(
            folder=Path(folder),
            until=start + minutes * 60,
            chance=Random(seed),  # noqa: S311 chance that can be had again, not a secret
            faults=faults,
            moments=moments,
        )
        for trial in chain.from_iterable(trials(given) for trials in _TRIALS.values()):
            found.append(trial)
            say(_sentence(trial))
    return Campaign(seed=seed, began=began, seconds=time.monotonic() - start, trials=found)


def _sentence(trial: Trial) -> str:
    what = f"{trial.fault} during {trial.during}, at {trial.moments}"
    if trial.held:
        why = f" ({trial.said})" if trial.said else ""
        return f"held: {what}: run {trial.runs}, {trial.seconds:.0f} s{why}"
    return f"DID NOT HOLD: {what}: run {trial.runs}, lost {trial.lost}, left {trial.left}\n{trial.said}"
