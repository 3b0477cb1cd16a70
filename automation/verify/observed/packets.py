"""The third column: real connections, opened from every machine and from an intruder in every subnet.

Needs something that can open them: the emulator's datacentre. Each attempt is compared to what is meant and
with what was computed, so a mistake in the graph's reading shows as clearly as one in the networks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final, Protocol

from automation.ui.lazily import lazily
from automation.verify.check import Verification
from automation.verify.facts.finding import Finding, Kind
from automation.verify.reach.matrix import Cell
from automation.verify.reach.ports import NONE, ports
from automation.verify.reach.spots import Spot

with lazily():
    from emulator.datacentre import probe as opened

PROOF = "packets"
TCP_PORTS: Final = (22, 80, 443, 2375, 3389, 5000, 8003)
"""Shells, web, Docker's socket, MLflow and NVFlare's admin port; the FL port comes from the settings."""
UDP_PORTS: Final = (53, 123)
SOMEWHERE: Final = "203.0.113.10"
"""An address of the internet that nobody has (RFC 5737)."""


class Prober(Protocol):
    """Opens real connections; ``subnet:<id>`` as a source is a machine that nobody ordered."""

    def probe(
        self, sources: Sequence[str], targets: Sequence[opened.Target], seconds: float
    ) -> list[opened.Probe]:
        """Return what became of every pair."""


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One connection: whether it is intended, computed to be possible, and was seen to be possible."""

    source: Spot
    destination: Spot
    protocol: str
    port: int
    intended: bool
    computed: bool
    measured: bool
    rule: str

    @property
    def agrees(self) -> bool:
        """Whether all three say the same."""
        return self.intended == self.computed == self.measured

    def __str__(self) -> str:
        return f"{self.source} to {self.destination}, {self.protocol} {self.port}"


@dataclass(frozen=True, kw_only=True)
class Packets:
    """All attempts, and those that contradict."""

    attempts: tuple[Attempt, ...]
    findings: tuple[Finding, ...]


def measure(verification: Verification, prober: Prober, seconds: float = 1.0) -> Packets:
    """Open connections between all spots of a verified deployment, for at most ``seconds``."""
    sources = dict(_sources(verification))
    targets = dict(_targets(verification))
    tried = [("tcp", p) for p in dict.fromkeys((verification.federation.centre.fl_port, *TCP_PORTS))]
    tried += [("udp", p) for p in UDP_PORTS]
    cells = {(c.source, c.destination, c.protocol): c for c in verification.matrix.cells}
    for cell, desk in _doors(verification):
        sources[desk], targets[cell.destination.address_text] = cell.source, cell.destination
        cells[cell.source, cell.destination, cell.protocol] = cell
    probes = prober.probe(
        list(sources),
        [opened.Target(address=a, port=port, protocol=kind) for a in targets for kind, port in tried],
        seconds,
    )
    attempts = tuple(
        _attempt(probe, sources[probe.source], targets[probe.address], cells)
        for probe in probes
        if sources[probe.source] is not targets[probe.address]
        and not (_is_own(sources[probe.source], targets[probe.address]) and probe.port != 443)
    )
    return Packets(attempts=attempts, findings=tuple(_findings(attempts)))


def _sources(verification: Verification) -> Iterator[tuple[str, Spot]]:
    """Yield (name for the prober, spot) of every machine, and of an intruder in every subnet."""
    interfaces = {
        str(reference.get("id")).lower(): machine.name
        for machine in verification.deployment.of("compute:VirtualMachine")
        for reference in machine.each("networkProfile.networkInterfaces")
    }
    strangers: set[str] = set()
    for spot in verification.matrix.spots:
        if spot.interface is not None and spot.interface.id.lower() in interfaces:
            yield interfaces[spot.interface.id.lower()], spot
            continue
        subnet = spot.subnet
        if subnet is not None and spot.interface is None and spot.exists and subnet.key not in strangers:
            strangers.add(subnet.key)
            yield f"subnet:{subnet.id}", _last(verification, spot)


def _doors(verification: Verification) -> Iterator[tuple[Cell, str]]:
    """Yield what each door is for, and the prober's name of a desk behind it, which is the hospital's own.

    Every machine of the federation tries the door as well, and the desk tries every one of them.
    """
    for door in verification.intent.doors:
        address = int(door.address)
        cell = Cell(
            source=Spot(party=door.owner, part="own network", address=None, text=door.subnet_id),
            destination=Spot(party=door.owner, part="door", address=address, text=str(door.address)),
            protocol="Tcp",
            intended=ports("443"),
            computed=ports("443") if door in verification.doors.open else NONE,
        )
        yield cell, f"subnet:{door.subnet_id}"


def _is_own(source: Spot, destination: Spot) -> bool:
    """Whether both are in a hospital's own network, whose rules are its own; the endpoint answers on 443."""
    return (source.part, destination.part, source.party) == ("own network", "door", destination.party)


def _last(verification: Verification, spot: Spot) -> Spot:
    """Return the spot at the end of a subnet, where a prober puts its machine."""
    alike = [
        s for s in verification.matrix.spots if s.subnet is spot.subnet and s.interface is None and s.exists
    ]
    return max(alike, key=lambda s: s.last or 0)


def _targets(verification: Verification) -> Iterator[tuple[str, Spot]]:
    """Yield (address, spot) of everything that can be named, also where something should be and is not."""
    for spot in verification.matrix.spots:
        if spot.address is not None:
            yield str(IPv4Address(spot.address)), spot
        elif spot.subnet is None and spot.address is None and spot.part == "any":
            yield SOMEWHERE, spot


def _attempt(
    probe: opened.Probe, source: Spot, destination: Spot, cells: Mapping[tuple[Spot, Spot, str], Cell]
) -> Attempt:
    protocol = probe.protocol.capitalize()
    cell = cells.get((source, destination, protocol))
    return Attempt(
        source=source,
        destination=destination,
        protocol=protocol,
        port=probe.port,
        intended=cell is not None and any(low <= probe.port <= high for low, high in cell.intended),
        computed=cell is not None and any(low <= probe.port <= high for low, high in cell.computed),
        measured=probe.passed,
        rule=probe.rule,
    )


def _findings(attempts: Sequence[Attempt]) -> Iterator[Finding]:
    by_rule: dict[tuple[Kind, str], list[Attempt]] = {}
    for attempt in attempts:
        if attempt.measured and not attempt.intended:
            by_rule.setdefault((Kind.OPEN, attempt.rule), []).append(attempt)
        elif attempt.intended and not attempt.measured:
            by_rule.setdefault((Kind.MISSING, attempt.rule), []).append(attempt)
        elif attempt.computed != attempt.measured:
            by_rule.setdefault((Kind.UNKNOWN, attempt.rule), []).append(attempt)
    for (kind, rule), found in by_rule.items():
        more = f" (and {len(found) - 1} more of this kind)" if len(found) > 1 else ""
        yield Finding(
            kind=kind,
            proof=PROOF,
            rule="packets",
            what=f"a packet {'passed' if found[0].measured else 'did not pass'} from {found[0]}{more}",
            where=rule or "no rule stood in the way",
            why={
                Kind.OPEN: "this is no theory: the connection was opened",
                Kind.MISSING: "this is no theory: the federation's connection does not come up",
                Kind.UNKNOWN: "graph and packets disagree, so one of them is wrong",
            }[kind],
            fix="see what the graph says about the same rule; ./fed up --refresh restores the rules",
        )
