"""kill -9 of the processes that deploy, at moments of a federation's life that chance chooses.

A life passes undisturbed first: then it is known when each process runs. Each cycle afterwards kills one kind
of process, or two, once in each command, at a moment between its usual start and end.
"""

import contextlib
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Final

from automation.chaos.life import LAST_TO_STAY, LIFE, Life, Step
from automation.chaos.own_clone import OwnClone, processes_of
from automation.chaos.trial import Bounds, Trial

VICTIMS: Final[Mapping[str, re.Pattern[str]]] = {
    "fed": re.compile(r" -m automation "),
    "engine": re.compile(r"^pulumi (up|preview|destroy|stack) "),
    "language host": re.compile(r"/language_host\.py "),
    "policy pack": re.compile(r" -u \S+/policies "),
    "provider": re.compile(r"/pulumi-resource-"),
    "emulator": re.compile(r" -m emulator\.daemon "),
}
"""How the command line of a process looks that is killed, by what it is called."""
TWO: Final = "kill two"
NAMES: Final = (*(f"kill {victim}" for victim in VICTIMS), TWO)
_LOOK_SECONDS = 0.1

Span = tuple[float, float]
"""When a kind of process is first and last there, in seconds from the start of its command."""


@dataclass
class Pace:
    """When what runs in each command, and how much sooner lately: other work makes this machine slower."""

    usual: Mapping[str, Mapping[str, Span]]
    factor: float = 1.0

    def spans(self, step: Step) -> Mapping[str, Span]:
        """Return when each kind of process is to be expected."""
        return {
            victim: (first * self.factor, last * self.factor)
            for victim, (first, last) in self.usual[step.name].items()
        }

    def learn(self, *, hit: bool) -> None:
        """Expect all sooner after a command that had ended before its victim was to be killed."""
        self.factor = min(1.0, self.factor * 1.1) if hit else self.factor * 0.6


def trials(given: Bounds) -> Iterator[Trial]:
    """Kill each kind of process in each command, as often as `given.moments` says."""
    left = [fault for _ in range(given.moments) for fault in NAMES if given.wants(fault)]
    while left and not given.is_over:
        life = Life.begin(given.folder)
        try:
            pace = Pace({step.name: _undisturbed(life, step) for step in LIFE})
            while left and life.is_well and not given.is_over:
                yield from _cycle(life, left.pop(0), pace, given)
        finally:
            life.clone.remove()


def _undisturbed(life: Life, step: Step) -> Mapping[str, Span]:
    """Run a step and return when each kind of process was there. Raises FedError as `Life.undisturbed`."""
    ended, spans = threading.Event(), dict[str, Span]()
    watcher = threading.Thread(target=_watch, args=(life.clone, ended, spans))
    watcher.start()
    try:
        life.undisturbed(step)
    finally:
        ended.set()
        watcher.join()
    return spans


def _watch(clone: OwnClone, ended: threading.Event, spans: dict[str, Span]) -> None:
    began = time.monotonic()
    while not ended.wait(_LOOK_SECONDS):
        running = processes_of(clone.root)
        now = time.monotonic() - began
        for victim in VICTIMS:
            if _alike(running, victim):
                spans[victim] = (spans.get(victim, (now, now))[0], now)


def _cycle(life: Life, fault: str, pace: Pace, given: Bounds) -> Iterator[Trial]:
    """Live through the commands once, each of them struck where it has such a process."""
    life.cycle += 1
    for step in LIFE:
        victims = chosen(fault, pace.spans(step), given.chance)
        step.before(life.clone, life.cycle)
        process = life.clone.start(*step.command)
        killed = kill(life.clone, process, victims, given.chance) if victims else []
        if victims:
            pace.learn(hit=bool(killed))
        ended = life.clone.end(process)
        trial = life.converged(fault, step, ended, int(bool(killed)), prove=step.name == LAST_TO_STAY)
        if killed or not trial.held:  # a command that was faster than usual met nothing
            yield trial
        if not life.is_well or given.is_over:
            return


def chosen(fault: str, usual: Mapping[str, Span], chance: Random) -> Mapping[str, Span]:
    """Return the victims of a fault, and when they usually run; empty where the command has none."""
    if fault == TWO:
        return {victim: usual[victim] for victim in chance.sample(sorted(usual), 2)}
    victim = fault.removeprefix("kill ")
    return {victim: usual[victim]} if victim in usual else {}


def kill(
    clone: OwnClone, process: "subprocess.Popen[str]", victims: Mapping[str, Span], chance: Random
) -> list[str]:
    """Kill all victims at a moment at which they usually run; return the commands of the killed.

    Where one is late it is waited for until the command ends: then nothing may be killed.
    """
    first, last = max(span[0] for span in victims.values()), min(span[1] for span in victims.values())
    moment = chance.uniform(first, max(first, last))
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(moment)
    while process.poll() is None:
        running = processes_of(clone.root)
        found = {victim: _alike(running, victim) for victim in victims}
        if all(found.values()):
            return [command for each in found.values() for command in _end(each)]
        time.sleep(_LOOK_SECONDS)
    return []


def _alike(running: Mapping[int, str], victim: str) -> Mapping[int, str]:
    return {pid: command for pid, command in running.items() if VICTIMS[victim].search(command)}


def _end(processes: Mapping[int, str]) -> list[str]:
    for pid in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return list(processes.values())
