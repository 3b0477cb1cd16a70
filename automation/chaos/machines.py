"""Faults of a federation that runs, while it trains: processes killed, VMs, networks and disks that fail."""

import re
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from random import Random
from typing import Final

from automation.chaos.disks import SmallDisk
from automation.chaos.running import PARTIES, TRAINS, Running, kill, trained
from automation.chaos.trial import Bounds, Trial
from automation.ui.outcome import FedError

HOSPITALS: Final = PARTIES[1:]
KEEPER: Final = "datacentre keeper"
PROCESSES: Final[Mapping[str, str]] = {
    KEEPER: r"-m emulator\.datacentre\.keeper ",
    "Azurite": r"azurite/dist/src/blob/main\.js",
    "machine's first process": r"^sh -c .* vm-fed-dev-{party} $",
    "container server": r"/container\.py \S+/container-server\.json",
    "fl-server": r"/container\.py \S+/fl-server\.json",
    "fl-client": r"/container\.py \S+/fl-client\.json",
    "box": r"/container\.py \S+/fl-box\S*\.json",
    "MLflow": r"/container\.py \S+/mlflow\.json",
}
"""How the command line looks of each process that is killed; `{party}` is one that chance names.

Where there are several, as of a container in each VM, chance chooses one: by all that the pattern matches.
"""
_TWO: Final = "kill two while training"
_CUT_SECONDS: Final = {"network cut": 120.0, "DNS gone": 30.0, "storage refusing": 30.0}
_RULES: Final = {
    "network cut": "drop",
    "DNS gone": "udp dport 53 drop\n    tcp dport 53 drop",
    "storage refusing": "tcp dport 443 reject with tcp reset",
}
_TABLE: Final = """
table inet chaos {{
  chain forward {{
    type filter hook forward priority -10; policy accept;
    {rule}
  }}
  chain output {{
    type filter hook output priority -10; policy accept;
    oifname "lo" accept
    {rule}
  }}
}}
"""
_SECOND: Final[Mapping[str, tuple[str, ...]]] = {"up and train": ("up",), "train and train": TRAINS}
_WHEN: Final = (0.1, 0.5)
"""Between which parts of the first training, which was longer, a later one is struck."""
_LOOK_SECONDS = 0.2
_APPEARS_SECONDS = 30.0

Blow = Callable[[], bool]
Strike = Callable[[Running, str, Random], AbstractContextManager[Blow]]
"""Prepares a federation, gives the blow that meets a training, and puts back what does not heal.

The blow tells whether it met anything.
"""


def trials(given: Bounds) -> Iterator[Trial]:
    """Let each fault meet `given.moments` trainings, in one federation for as long as it is well."""
    left = [fault for _ in range(given.moments) for fault in NAMES if given.wants(fault)]
    while left and not given.is_over:
        federation = Running(given.folder)
        try:
            usual = federation.begin()
            while left and federation.is_well and not given.is_over:
                yield _struck(federation, left.pop(0), usual, given.chance)
        finally:
            federation.clone.remove()


def _struck(federation: Running, fault: str, usual: float, chance: Random) -> Trial:
    """Train, strike at a moment between begin and usual end, and see what becomes of it."""
    before = federation.kept()
    try:
        with STRIKES[fault](federation, fault, chance) as blow:
            training = federation.clone.start(*TRAINS)
            _wait(training, chance.uniform(*_WHEN) * usual)
            met = blow()
            ended = federation.clone.end(training)
    except FedError as failed:
        federation.is_well = False
        return Trial(fault=fault, during="train", moments=1, runs=None, said=str(failed))
    return federation.recovered(fault, ended, before, int(met))


def _wait(process: "subprocess.Popen[str]", seconds: float) -> None:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return


# Processes


@contextmanager
def _killed(federation: Running, fault: str, chance: Random) -> Iterator[Blow]:
    """Kill one process, or two at once: the keeper, which takes all others along, is the last."""
    named = fault.removeprefix("kill ")
    victims = chance.sample(list(PROCESSES), 2) if fault == _TWO else [named]
    looks = [re.compile(PROCESSES[victim].format(party=chance.choice(PARTIES))) for victim in victims]

    def blow() -> bool:
        last = sorted(looks, key=lambda pattern: pattern.pattern == PROCESSES[KEEPER])
        met = [_kill_once_there(federation, pattern, chance) for pattern in last]
        return all(met)

    yield blow


def _kill_once_there(federation: Running, pattern: re.Pattern[str], chance: Random) -> bool:
    """Kill one that looks so as soon as there is any (a box: while a job runs); tell whether there was."""
    deadline = time.monotonic() + _APPEARS_SECONDS
    while time.monotonic() < deadline:
        running = federation.processes()
        looks = sorted({found[0] for command in running.values() if (found := pattern.search(command))})
        if looks:
            return bool(kill(running, chance.choice(looks)))
        time.sleep(_LOOK_SECONDS)
    return False


# People


@contextmanager
def _also(federation: Running, fault: str, chance: Random) -> Iterator[Blow]:
    """Give another command while one trains, as a second person does; it must do what it is asked."""
    command = _SECOND[fault]

    def blow() -> bool:
        other = trained(federation.clone.run(*command))
        if other.code != 0:
            raise FedError(f"fed {command[0]} while another trains: {other.errors}")
        return True

    yield blow


# VMs and networks


@contextmanager
def _powered_off(federation: Running, fault: str, chance: Random) -> Iterator[Blow]:
    party = chance.choice(PARTIES)

    def blow() -> bool:
        federation.power(party, "powerOff")
        federation.power(party, "start")
        return True

    yield blow


@contextmanager
def _cut(federation: Running, fault: str, chance: Random) -> Iterator[Blow]:
    """Change what leaves a hospital's VM for a while."""
    party = chance.choice(HOSPITALS)

    def blow() -> bool:
        federation.inside(party, ["nft", "-f", "-"], _TABLE.format(rule=_RULES[fault]))
        try:
            time.sleep(_CUT_SECONDS[fault])
        finally:
            federation.inside(party, ["nft", "delete", "table", "inet", "chaos"])
        return True

    yield blow


@contextmanager
def _emptied(federation: Running, fault: str, chance: Random) -> Iterator[Blow]:
    """Take a hospital's data away while they are trained on; the next `fed up` brings the demonstration's."""
    hospital = chance.choice(HOSPITALS)

    def blow() -> bool:
        federation.empty_data(hospital)
        return True

    yield blow


@contextmanager
def _full(federation: Running, fault: str, chance: Random) -> Iterator[Blow]:
    """Fill the data disk of a party for as long as the training lasts; then somebody makes room."""
    with SmallDisk.of(federation, fault.removeprefix("disk full at ")) as disk:
        yield disk.fill
        disk.free()


@contextmanager
def _read_only(federation: Running, fault: str, chance: Random) -> Iterator[Blow]:
    """Let a hospital's VM find its data disk read-only when it boots, until the training has ended."""
    with SmallDisk.of(federation, chance.choice(HOSPITALS), read_only=True):
        yield lambda: True


STRIKES: Final[Mapping[str, Strike]] = {
    **{f"kill {name}": _killed for name in PROCESSES},
    _TWO: _killed,
    **dict.fromkeys(_SECOND, _also),
    "power off": _powered_off,
    **dict.fromkeys(_CUT_SECONDS, _cut),
    **{f"disk full at {party}": _full for party in PARTIES},
    "disk read-only": _read_only,
    "data emptied": _emptied,
}
NAMES: Final = tuple(STRIKES)
