"""What a deployed stack looks like now, party by party: read from Resource Manager, not from Pulumi's state.

The stack's outputs name the resources (components/outputs.py); everything shown about them is asked for. A
resource that the outputs name and that is gone is shown as missing.
"""

import datetime as dt
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any, NoReturn

from rich.table import Table
from rich.text import Text

from automation.operate import backup
from automation.operate import health as federation
from automation.operate.backup import Backup
from automation.operate.machines import Centre
from automation.stacks.arm import Arm
from automation.stacks.target import Target
from automation.ui import console
from automation.ui.console import say
from automation.ui.options import On
from automation.ui.outcome import FedError, QuestionError, RefusedError
from federation.outputs import CentreOutputs, HospitalOutputs, Outputs, PartyOutputs
from federation.parties import CENTRE
from federation.tags import WINDOW_TAG

MISSING = "missing"
CONNECTED = "Connected"
WIDE = 144
"""Columns of a terminal in which every name fits on a line."""

WATCH_SECONDS = {On.EMULATOR: 5.0, On.AZURE: 60.0}
"""Between two looks: Azure's run command, which asks the centre, takes most of a minute."""

_NETWORK, _COMPUTE, _STORAGE = "2024-05-01", "2024-11-01", "2024-01-01"
_AT_ONCE = 8


@dataclass(frozen=True, kw_only=True)
class Network:
    """A VNet: its name and its address ranges (CIDR)."""

    name: str
    ranges: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A VM: its name, size and power state such as ``running``."""

    name: str
    size: str
    power: str


@dataclass(frozen=True, kw_only=True)
class Window:
    """The addresses that an account lets in, until which day (YYYY-MM-DD), and whether that day is over."""

    addresses: tuple[str, ...]
    until: str
    over: bool


@dataclass(frozen=True, kw_only=True)
class Storage:
    """A storage account: its name, whether public networks can reach it, and its window, if it has one."""

    name: str
    public: str
    window: Window | None = None


@dataclass(frozen=True, kw_only=True)
class Peering:
    """Both halves of a hospital's peering: Connected, Initiated, Disconnected or missing."""

    hospital: str
    from_hospital: str
    from_centre: str


@dataclass(frozen=True, kw_only=True)
class PartyStatus:
    """One party. A hospital has its own peering, the centre those of all hospitals and perhaps a backup."""

    party: str
    subscription: str
    network: Network
    machine: Machine
    storage: Storage
    peerings: tuple[Peering, ...]
    backup: Backup | None

    @property
    def healthy(self) -> bool:
        """Whether everything is there and connected."""
        names = (self.network.name, self.machine.name, self.storage.name)
        halves = (half for peering in self.peerings for half in (peering.from_hospital, peering.from_centre))
        backed_up = self.backup is None or self.backup.configured
        shut = self.storage.window is None or not self.storage.window.over
        return MISSING not in names and backed_up and shut and all(half == CONNECTED for half in halves)


def show(target: Target, outputs: Outputs[str], *, health: bool, as_json: bool) -> None:
    """Read the parties that `outputs` name, with `health` also how the federation is doing, and print them.

    A federation that does not answer is said on standard error, and is no failure: its parties are there.
    """
    parties = read(target.arm(), outputs)
    found = _health(target, outputs) if health else None
    if as_json:
        console.show_json(document(target.name, target.on, parties, found))
        return
    console.show(table(parties, width=console.width()))
    for line in (*backups(parties), *windows(parties)):
        console.show(line)
    if found:
        console.show("")
        _show_health(found)


def show_told(on: On, centre: Centre, *, as_json: bool) -> None:
    """Print how the federation is doing, by what its centre says alone."""
    found = federation.of_answer(centre.status())
    if as_json:
        console.show_json({"on": on, "health": found})
        return
    _show_health(found)


def _show_health(found: federation.Health) -> None:
    console.show(federation.table(found))
    console.show(federation.last_job(found))
    for line in (*federation.images(found), *federation.waits_for_you(found)):
        console.show(line)


def watch(look: Callable[[], None], pause: float) -> NoReturn:
    """Look again and again, on a cleared screen, until Ctrl-C."""
    while True:
        console.clear()
        look()
        time.sleep(pause)


def read(arm: Arm, outputs: Outputs[str]) -> tuple[PartyStatus, ...]:
    """Read the parties that a stack's outputs name, the centre first.

    Raises FedError when Resource Manager refuses to answer.
    """
    hospitals = outputs.hospitals
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        read_peerings = pool.map(lambda name: _peering(arm, name, hospitals[name]), sorted(hospitals))
        peerings = {peering.hospital: peering for peering in read_peerings}
        parties: list[tuple[str, PartyOutputs[str], tuple[Peering, ...]]]
        parties = [(CENTRE, outputs.centre, tuple(peerings.values()))]
        parties += [(name, hospitals[name], (peering,)) for name, peering in peerings.items()]
        return tuple(pool.map(lambda party: _party(arm, *party), parties))


def document(
    stack: str, on: str, parties: Sequence[PartyStatus], health: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return the status as a document: ``{stack, on, parties: [{party, subscription, ...}], health}``."""
    return {"stack": stack, "on": on, "parties": [asdict(party) for party in parties], "health": health}


def table(parties: Sequence[PartyStatus], *, width: int = WIDE) -> Table:
    """Return the status as a table, a row a party; below `WIDE` columns without names of networks and VMs."""
    result = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for heading in ("party and subscription", "network", "VM", "storage", "peering"):
        result.add_column(heading, overflow="fold")
    for party in parties:
        ranges, machine = ", ".join(party.network.ranges), party.machine
        if width >= WIDE:
            network = _lines(party.network.name, ranges)
            vm = _lines(machine.name, f"{machine.size}, {machine.power}")
        else:
            network, vm = _lines(ranges or MISSING, ""), _lines(machine.size or MISSING, machine.power)
        result.add_row(
            _lines(party.party, party.subscription),
            network,
            vm,
            _lines(party.storage.name, party.storage.public),
            _peering_cell(party),
        )
    return result


def backups(parties: Sequence[PartyStatus]) -> list[Text]:
    """Return a line for each backup: configured, or what a person must know of it."""
    return [
        Text(f"backup of {party.party}: {party.backup.name} is configured")
        if party.backup.configured
        else Text(f"backup of {party.party}: {backup.told(party.backup)}", style="red")
        for party in parties
        if party.backup
    ]


def windows(parties: Sequence[PartyStatus]) -> list[Text]:
    """Return a line for each window: until when it is open, or that its day is over."""
    found = [(party.party, party.storage.window) for party in parties if party.storage.window]
    return [
        Text(
            f"window of {name}: {', '.join(window.addresses)} until {window.until}"
            + (", which is over. Fix: ./fed up closes it" if window.over else ""),
            style="red" if window.over else "",
        )
        for name, window in found
    ]


def _party(arm: Arm, name: str, outputs: PartyOutputs[str], peerings: tuple[Peering, ...]) -> PartyStatus:
    vnet = _get(arm, outputs.vnet, _NETWORK)
    machine = _get(arm, outputs.vm, _COMPUTE)
    view = _get(arm, f"{outputs.vm}/instanceView", _COMPUTE) if machine else None
    storage = _get(arm, outputs.storage_account, _STORAGE)
    public = str(_at(storage, "properties", "publicNetworkAccess") or "unknown").lower()
    return PartyStatus(
        party=name,
        subscription=outputs.subscription,
        network=Network(
            name=_name(vnet), ranges=tuple(_at(vnet, "properties", "addressSpace", "addressPrefixes") or ())
        ),
        machine=Machine(
            name=_name(machine),
            size=_at(machine, "properties", "hardwareProfile", "vmSize") or "",
            power=_power(view),
        ),
        storage=Storage(name=_name(storage), public=f"public access {public}", window=_window(storage)),
        peerings=peerings,
        backup=_backup(arm, outputs),
    )


def _window(account: Mapping[str, Any] | None) -> Window | None:
    """Read what the program wrote (`components/storage_account.py`)."""
    until = _at(account, "tags", WINDOW_TAG)
    if until is None:
        return None
    rules = _at(account, "properties", "networkAcls", "ipRules") or ()
    return Window(
        addresses=tuple(str(rule.get("value")) for rule in rules),
        until=until,
        over=until < dt.datetime.now(tz=dt.UTC).date().isoformat(),
    )


def _backup(arm: Arm, outputs: PartyOutputs[str]) -> Backup | None:
    instance = outputs.backup if isinstance(outputs, CentreOutputs) else None
    return backup.read(arm, instance) if instance else None


def _peering(arm: Arm, name: str, hospital: HospitalOutputs[str]) -> Peering:
    def state(half: str) -> str:
        return _at(_get(arm, half, _NETWORK), "properties", "peeringState") or MISSING

    halves = hospital.peerings
    return Peering(
        hospital=name, from_hospital=state(halves.from_hospital), from_centre=state(halves.from_centre)
    )


def _get(arm: Arm, resource: str, version: str) -> Mapping[str, Any] | None:
    answer = arm.get(resource, version)
    if answer.status == 404:
        return None
    if answer.is_error:
        raise FedError(f"Resource Manager refused to show {resource}: {answer.error}")
    return answer.body


def _at(body: Mapping[str, Any] | None, *path: str) -> Any:
    value: Any = body
    for step in path:
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


def _name(body: Mapping[str, Any] | None) -> str:
    return str(body["name"]) if body else MISSING


def _power(view: Mapping[str, Any] | None) -> str:
    codes = [str(status.get("code", "")) for status in (view or {}).get("statuses", ())]
    return next((code.partition("/")[2] for code in codes if code.startswith("PowerState/")), "unknown")


def _lines(first: str, second: str) -> Text:
    return Text.assemble((first, "red" if first == MISSING else ""), "\n", (second, "dim"))


def _peering_cell(party: PartyStatus) -> Text:
    if party.party == CENTRE:
        both = sum(p.from_hospital == p.from_centre == CONNECTED for p in party.peerings)
        whole = both == len(party.peerings)
        return Text(f"{both} of {len(party.peerings)} connected", style="" if whole else "red")
    (peering,) = party.peerings
    halves = (("to centre", peering.from_hospital), ("from centre", peering.from_centre))
    words = [(f"{where}: {state}", "" if state == CONNECTED else "red") for where, state in halves]
    return Text.assemble(words[0], "\n", words[1])


def _health(target: Target, outputs: Outputs[str]) -> Mapping[str, Any] | None:
    try:
        return federation.read(target, outputs)
    except (FedError, RefusedError, QuestionError) as silent:
        say(f"the centre does not say how the federation is doing: {silent}")
        return None
