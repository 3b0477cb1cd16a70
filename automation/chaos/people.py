"""What people do to a clone: two commands at once, Ctrl-C, moving or deleting it, odd places."""

import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from automation.chaos.life import JOINS, LIFE, UPDATE, Life, Step
from automation.chaos.own_clone import Ended, processes_of
from automation.chaos.trial import Bounds, Trial

_AT_MOST_LATER = 4.0
"""Seconds by which the second of two commands begins after the first, at most: how long one takes."""
_BACK = LIFE[3:5]
"""Lets the newcomer leave again with its data: the next trial begins where this one did."""
_ENDS_SECONDS = 60.0
"""How long what runs in a clone that was deleted may take to notice."""
_LOOK_SECONDS = 0.1
_HELD = "is held by another run"
"""What the second of two commands is told (automation/stacks/recovery/holders.py)."""

Strike = Callable[[Life, str, Bounds], Iterator[Trial]]


def trials(given: Bounds) -> Iterator[Trial]:
    """Let people do each of these things as often as `given.moments` says."""
    left = [fault for _ in range(given.moments) for fault in NAMES if given.wants(fault)]
    while left and not given.is_over:
        folder = given.folder / "a path with spaces, ü" if left[0] == ODD_PATH else given.folder
        life = Life.begin(folder)
        life.clone.through = _AS_PLAIN_USER if left[0] == PLAIN_USER else ()
        try:
            if left[0] not in _WHOLE_LIVES:
                life.undisturbed(LIFE[0])
            while left and life.is_well and not given.is_over:
                if left[0] in _WHOLE_LIVES and life.cycle:
                    break  # it begins from nothing
                fault = left.pop(0)
                yield from STRIKES[fault](life, fault, given)
                if fault in _ENDS_LIFE:
                    break
        finally:
            life.clone.remove()


def _two(first: Step, second: Step) -> Strike:
    """Start two commands, one shortly after the other; one that is refused must say why."""

    def strike(life: Life, fault: str, given: Bounds) -> Iterator[Trial]:
        life.cycle += 1
        first.before(life.clone, life.cycle)
        one = life.clone.start(*first.command)
        _wait(one, given.chance.uniform(0, _AT_MOST_LATER))
        other = life.clone.start(*second.command)
        ends = (life.clone.end(one), life.clone.end(other))
        met = ends[1] if second is JOINS else min(ends, key=_badness)
        trial = life.converged(fault, second, met, 1, prove=True)
        yield replace(trial, left=[*trial.left, *_unexplained(ends)])
        if second is JOINS and life.is_well:
            for step in _BACK:
                life.undisturbed(step)

    return strike


def _badness(ended: Ended) -> int:
    return 4 if ended.code is None else ended.code


def _unexplained(ends: Iterable[Ended]) -> list[str]:
    """Return the ends of commands that failed for another reason than that somebody else was at work."""
    return [
        f"a person with {ended.errors!r}" for ended in ends if ended.code != 0 and _HELD not in ended.errors
    ]


def _interrupted(life: Life, fault: str, given: Bounds) -> Iterator[Trial]:
    """Interrupt a command at a moment, as Ctrl-C does."""
    life.cycle += 1
    UPDATE.before(life.clone, life.cycle)
    process = life.clone.start(*UPDATE.command)
    _wait(process, given.chance.uniform(0, _AT_MOST_LATER))
    process.send_signal(signal.SIGINT)
    yield life.converged(fault, UPDATE, life.clone.end(process), 1, prove=True)


def _moved(life: Life, fault: str, given: Bounds) -> Iterator[Trial]:
    """Move the clone while a command works in it; people go on in the new place."""
    life.cycle += 1
    UPDATE.before(life.clone, life.cycle)
    process = life.clone.start(*UPDATE.command)
    _wait(process, given.chance.uniform(0, _AT_MOST_LATER))
    life.clone.move(life.clone.root.with_name(f"clone moved {life.cycle}"))
    yield life.converged(fault, UPDATE, life.clone.end(process), 1, prove=True)


def _deleted(life: Life, fault: str, given: Bounds) -> Iterator[Trial]:
    """Delete the clone while a command works in it: nothing of it may go on running."""
    life.cycle += 1
    UPDATE.before(life.clone, life.cycle)
    process, root = life.clone.start(*UPDATE.command), life.clone.root
    _wait(process, given.chance.uniform(0, _AT_MOST_LATER))
    shutil.rmtree(root, ignore_errors=True)  # a process may be writing a file there at this moment
    began = time.monotonic()
    ended = life.clone.end(process)
    while (left := processes_of(root)) and time.monotonic() - began < _ENDS_SECONDS:
        time.sleep(_LOOK_SECONDS)
        shutil.rmtree(root, ignore_errors=True)
    yield Trial(
        fault=fault,
        during=UPDATE.name,
        moments=1,
        runs=None if ended.code is None else 1,
        left=[f"process {command}" for command in left.values()],
        seconds=time.monotonic() - began,
        said=ended.errors if left or ended.code is None else "",
    )


def _whole_life(life: Life, fault: str, given: Bounds) -> Iterator[Trial]:
    """Let the clone live undisturbed where it is."""
    life.cycle += 1
    for step in LIFE:
        step.before(life.clone, life.cycle)
        yield life.converged(fault, step, life.clone.run(*step.command), 1, prove=step.stays)
        if not life.is_well or given.is_over:
            return


def _wait(process: "subprocess.Popen[str]", seconds: float) -> None:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return


ODD_PATH: Final = "path with spaces"
PLAIN_USER: Final = "plain user"
DELETED: Final = "clone deleted"
STRIKES: Final[Mapping[str, Strike]] = {
    "up and up": _two(UPDATE, LIFE[0]),
    "up and hospital add": _two(LIFE[0], JOINS),
    "Ctrl-C": _interrupted,
    "clone moved": _moved,
    DELETED: _deleted,
    ODD_PATH: _whole_life,
    PLAIN_USER: _whole_life,
}
NAMES: Final = tuple(STRIKES)
_WHOLE_LIVES = (ODD_PATH, PLAIN_USER)
_ENDS_LIFE = (DELETED, *_WHOLE_LIVES)
_AS_PLAIN_USER = ("unshare", "--user", "--map-user=1000", "--map-group=1000", "--")
"""Takes root's name and all capabilities, and leaves the files: a plain user whose files these are."""
