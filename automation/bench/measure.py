"""One command measured: seconds, CPU seconds and memory of all processes that it needs."""

import os
import re
import resource
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from automation.chaos.own_clone import processes_of
from automation.ui.outcome import FedError

INTERVAL: Final = 0.25
"""Seconds between two looks at the processes; a peak of memory that is shorter can be missed."""
PATIENCE: Final = 1500.0
"""Seconds after which a measured command has failed."""
ROLES: Final = (
    ("engine", re.compile(r"^(\S*/)?pulumi ")),
    ("program", re.compile(r"language_host\.py|pulumi-language-python")),
    ("policies", re.compile(r"policies")),
    ("emulator", re.compile(r"emulator\.daemon|pulumi-resource-")),
    ("fed", re.compile(r"-m automation ")),
)
"""What a process is, by its command; the first that fits."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a command took.

    `wall` and `cpu` are seconds, `peak` MiB at the worst moment: proportional set sizes, so that memory that
    processes share counts once (https://docs.kernel.org/filesystems/proc.html). `shares` are the CPU seconds
    by role, of what was seen to run.
    """

    wall: float
    cpu: float
    peak: float
    shares: dict[str, float] = field(default_factory=dict)


def measured(start: Callable[[], "subprocess.Popen[str]"], root: Path) -> Cost:
    """Run a command to its end; count every process that works in the folder `root` or was started for it.

    Raises FedError with its last words when it fails or does not end.
    """
    watch = _Watch(root)
    before, began = _of_children(), time.monotonic()
    process = start()
    with watch:
        try:
            output, errors = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired as late:
            process.kill()
            process.wait()  # and not for its output, which what it started may hold for ever
            said = (late.stderr or b"").decode(errors="replace")
            raise FedError(
                f"{_words(process)} did not end within {PATIENCE:.0f} s:\n{said[-2000:]}"
            ) from None
    wall = time.monotonic() - began
    if process.returncode:
        raise FedError(f"{_words(process)} ended with {process.returncode}:\n{(errors or output)[-2000:]}")
    own = _of_children() - before
    return Cost(wall=wall, cpu=own + watch.lasting(), peak=watch.peak, shares=watch.shares())


def _words(process: "subprocess.Popen[str]") -> str:
    return " ".join(process.args) if isinstance(process.args, list) else str(process.args)


def _of_children() -> float:
    """CPU seconds of the ended processes that were started from here, and of those they waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class _Watch:
    """Looks at the processes of a folder until it is left."""

    def __init__(self, root: Path) -> None:
        self._root, self._over = root, threading.Event()
        self._thread = threading.Thread(target=self._look_again, daemon=True)
        self.peak = 0.0
        self._before = _seconds(root)
        self._last = dict(self._before)

    def __enter__(self) -> "_Watch":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()

    def lasting(self) -> float:
        """CPU seconds of what ran before or still runs: services, which are nobody's children here."""
        after = _seconds(self._root)
        return sum(
            seconds - self._before.get(process, (0.0, ""))[0] for process, (seconds, _) in after.items()
        )

    def shares(self) -> dict[str, float]:
        """CPU seconds by role."""
        found: dict[str, float] = {}
        for process, (seconds, role) in self._last.items():
            used = seconds - self._before.get(process, (0.0, ""))[0]
            found[role] = found.get(role, 0.0) + used
        return {role: round(seconds, 2) for role, seconds in sorted(found.items()) if seconds >= 0.01}

    def _look_again(self) -> None:
        while not self._over.wait(INTERVAL):
            self._last |= _seconds(self._root)
            self.peak = max(self.peak, _memory(self._root))


_Process = tuple[int, str]
"""Pid and start time: a pid alone is used again."""
_TICK = os.sysconf("SC_CLK_TCK")


def _seconds(root: Path) -> dict[_Process, tuple[float, str]]:
    """CPU seconds and role of each process of a folder (proc_pid_stat(5))."""
    everything = _processes()
    found = {}
    for pid in _with_descendants(processes_of(root), everything):
        if pid in everything:
            _, user, system, started = everything[pid]
            found[pid, started] = ((user + system) / _TICK, _role(pid))
    return found


_Stat = tuple[int, int, int, str]
"""A process's parent, its user and system time in ticks, and when it started."""


def _processes() -> dict[int, _Stat]:
    """Return every process of this machine, those in other namespaces with it."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has ended meanwhile
            continue
        found[int(folder.name)] = (int(fields[1]), int(fields[11]), int(fields[12]), fields[19])
    return found


def _with_descendants(pids: Iterable[int], everything: Mapping[int, _Stat]) -> set[int]:
    """Add what these processes started: containers of machines work in folders of their own."""
    found, children = set(pids), _children(everything)
    ahead = list(found)
    while ahead:
        for child in children.get(ahead.pop(), ()):
            if child not in found:
                found.add(child)
                ahead.append(child)
    return found - {os.getpid()}


def _children(everything: Mapping[int, _Stat]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for pid, (parent, *_) in everything.items():
        found.setdefault(parent, []).append(pid)
    return found


def _memory(root: Path) -> float:
    """MiB of all processes of a folder (proc_pid_smaps(5))."""
    total = 0
    for pid in _with_descendants(processes_of(root), _processes()):
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


def _role(pid: int) -> str:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        command = ""
    return next((role for role, words in ROLES if words.search(command)), "other")
