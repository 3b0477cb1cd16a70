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
from random import Random
from typing import Final

from automation.chaos.life import LIFE, Life, Step
from automation.chaos.own_clone import OwnClone, processes_of
from automation.chaos.trial import Bounds, Trial
from automation.ui.outcome import FedError

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
_LOOK_SECONDS = 0.02

Span = tuple[float, float]
"""When a kind of process is first and last there, in seconds from the start of its command."""


def trials(given: Bounds) -> Iterator[Trial]:
    """Kill each kind of process in each command, as often as `given.moments` says."""
    left = [fault for _ in range(given.moments) for fault in NAMES if given.wants(fault)]
    while left and not given.is_over:
        life = Life.begin(given.folder)
        try:
            usual = {step.name: _undisturbed(life, step) for step in LIFE}
            while left and life.is_well and not given.is_over:
                yield from _cycle(life, left.pop(0), usual, given)
        finally:
            life.clone.remove()


def _undisturbed(life: Life, step: Step) -> Mapping[str, Span]:
    """Run a step and return when each kind of process was there. Raises FedError when the step fails."""
    step.before(life.clone, life.cycle)
    process, spans = life.clone.start(*step.command), dict[str, Span]()
    watcher = threading.Thread(target=_watch, args=(life.clone, process, spans))
    watcher.start()
    ended = life.clone.end(process)
    watcher.join()
    undisturbed = life.converged("none", step, ended, 0, prove=False)
    if not undisturbed.held:
        raise FedError(f"{step.name} fails although nothing disturbs it: {undisturbed.said}")
    return spans


def _watch(clone: OwnClone, process: "subprocess.Popen[str]", spans: dict[str, Span]) -> None:
    began = time.monotonic()
    while process.poll() is None:
        running = processes_of(clone.root)
        now = time.monotonic() - began
        for victim in VICTIMS:
            if _alike(running, victim):
                spans[victim] = (spans.get(victim, (now, now))[0], now)
        time.sleep(_LOOK_SECONDS)


def _cycle(life: Life, fault: str, usual: Mapping[str, Mapping[str, Span]], given: Bounds) -> Iterator[Trial]:
    """Live through the commands once, each of them struck where it has such a process."""
    life.cycle += 1
    for step in LIFE:
        victims = chosen(fault, usual[step.name], given.chance)
        step.before(life.clone, life.cycle)
        process = life.clone.start(*step.command)
        killed = kill(life.clone, process, victims, given.chance) if victims else []
        ended = life.clone.end(process)
        yield life.converged(fault, step, ended, int(bool(killed)), prove=bool(killed) and step.stays)
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
