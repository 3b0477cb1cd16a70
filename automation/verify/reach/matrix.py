"""Who can open which port to whom: computed for every pair of spots, compared with the statement of intent.

Three things must agree for a connection: the gate where it starts, a way, and the gate where it ends. Each
gate alone must allow exactly what is intended; a hole in one is reported even while the other still holds.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from automation.verify.facts.finding import Finding, Kind
from automation.verify.reach.gates import Gates, Passage
from automation.verify.reach.group_differences import fixes
from automation.verify.reach.network import INBOUND, OUTBOUND, PROTOCOLS, Topology
from automation.verify.reach.paths import Path, Paths
from automation.verify.reach.ports import EVERY, NONE, Ports, difference, intersection, text, union
from automation.verify.reach.spots import Spot, spots
from federation.stated import INTERNET, Intent

PROOF = "graph"


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One pair of spots and one protocol: what is intended and what the graph allows."""

    source: Spot
    destination: Spot
    protocol: str
    intended: Ports
    computed: Ports

    @property
    def unintended(self) -> Ports:
        """Ports that are open and should not be."""
        return difference(self.computed, self.intended)

    @property
    def missing(self) -> Ports:
        """Ports that should be open and are not."""
        return difference(self.intended, self.computed)


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """The cells in which anything is intended or possible, every spot, and the differences found."""

    spots: tuple[Spot, ...]
    cells: tuple[Cell, ...]
    findings: tuple[Finding, ...]
    pairs: int


def compute(topology: Topology, intent: Intent) -> Matrix:
    """Compute the matrix of one deployment."""
    return _Computation(topology, intent).run()


class _Intended:
    """The statement of intent, by addresses; a range is under its first one."""

    def __init__(self, intent: Intent) -> None:
        places = [place for flow in intent.flows for place in (flow.source, flow.destination)]
        self._ranges = {IPv4Network(place.prefix) for place in places if place.subnet and place.is_range}
        self._ports: dict[tuple[int | str, int | str, str], Ports] = defaultdict(tuple)
        for flow in intent.flows:
            if flow.enforced_by == "nsg":
                key = (_address(flow.source.prefix), _address(flow.destination.prefix), flow.protocol)
                self._ports[key] = union((*self._ports[key], *((p, p) for p in flow.ports)))

    def between(self, source: Spot, destination: Spot, protocol: str) -> Ports:
        """Return the ports that one spot may open at another."""
        start, ends = self._where(source), [self._where(destination)]
        if destination.subnet is None and "internet" in destination.tags:
            ends.append(INTERNET)
        return union(r for end in dict.fromkeys(ends) for r in self._ports.get((start, end, protocol), ()))

    def _where(self, spot: Spot) -> int | str:
        if spot.address is None:
            return spot.text
        around = (r for r in self._ranges if IPv4Address(spot.address) in r)
        return next((int(r.network_address) for r in around), spot.address)


class _Computation:
    def __init__(self, topology: Topology, intent: Intent) -> None:
        self._topology = topology
        self._spots = spots(topology, intent)
        self._intended = _Intended(intent)
        self._gates = Gates(topology)
        self._mends = fixes(topology, intent)
        self._firewalls = _firewalls(intent)
        self._paths = Paths(topology, self._spots, self._firewalls)
        self._cells: list[Cell] = []
        self._open: dict[tuple[str, str], list[str]] = defaultdict(list)
        self._weak: dict[tuple[str, str], list[str]] = defaultdict(list)
        self._missing: dict[str, list[str]] = defaultdict(list)

    def run(self) -> Matrix:
        pairs = 0
        for source in self._spots:
            if not source.opens and source.exists:
                continue
            for destination in self._spots:
                if source is destination or (source.subnet is None and destination.subnet is None):
                    continue
                pairs += 1
                self._pair(source, destination)
        return Matrix(
            spots=self._spots,
            cells=tuple(self._cells),
            findings=tuple(self._findings()),
            pairs=pairs,
        )

    def _pair(self, source: Spot, destination: Spot) -> None:
        path = self._paths.between(source, destination)
        for protocol in PROTOCOLS:
            gates = (
                self._gates.passage(source, OUTBOUND, source, destination, protocol),
                self._gates.passage(destination, INBOUND, source, destination, protocol),
            )
            intended = self._intended.between(source, destination, protocol)
            if not (intended or gates[0].allowed or gates[1].allowed):
                continue  # closed twice, as intended
            cell = Cell(
                source=source,
                destination=destination,
                protocol=protocol,
                intended=intended,
                computed=self._computed(path, gates, source, destination, protocol),
            )
            if cell.computed or cell.intended:
                self._cells.append(cell)
            self._judge(cell, path, gates)

    def _computed(
        self, path: Path, gates: tuple[Passage, Passage], source: Spot, destination: Spot, protocol: str
    ) -> Ports:
        if not path.exists:
            return NONE
        found = intersection(gates[0].allowed, gates[1].allowed)
        for hop in path.through:
            for direction in (INBOUND, OUTBOUND):
                passed = self._gates.passage(hop, direction, source, destination, protocol)
                found = intersection(found, passed.allowed)
        return found

    def _judge(self, cell: Cell, path: Path, gates: tuple[Passage, Passage]) -> None:
        ends = (cell.source, cell.destination)
        if opened := cell.unintended:
            causes = [g.why_open(opened) for g, at in zip(gates, ends, strict=True) if at.subnet]
            if path.through or None in (cell.source.subnet, cell.destination.subnet):
                causes.append(path.reason)
            self._open["; ".join(dict.fromkeys(causes)), path.reason].append(_flow(cell, opened))
        for gate, at, other in zip(gates, ends, ("destination", "source"), strict=True):
            if at.subnet is None or not at.exists:
                continue
            if hole := difference(difference(gate.allowed, cell.intended), cell.computed):
                self._weak[gate.why_open(hole), other].append(_flow(cell, hole))
        if closed := cell.missing:
            reasons = [] if path.exists else [path.reason]
            reasons += [g.why_closed(closed) for g in gates]
            self._missing["; ".join(dict.fromkeys(filter(None, reasons)))].append(_flow(cell, closed))

    def _past_the_firewall(self) -> Iterator[Finding]:
        """Yield what leaves a party with a firewall by another way: the matrix says only that there
        is one.
        """
        for subnet in self._topology.subnets.values():
            firewall = self._firewalls.get(self._topology.network_of(subnet).party)
            default = next((route for route in subnet.routes if route.prefix.prefixlen == 0), None)
            leads_out = subnet.nat or subnet.default_outbound or default is not None
            if firewall is None or not leads_out or (default and default.address == firewall):
                continue
            yield Finding(
                kind=Kind.OPEN,
                proof=PROOF,
                rule="reach",
                what=f"{subnet.name} sends its packets past the firewall {firewall}",
                where=str(default or f"{subnet.name}: natGateway or defaultOutboundAccess"),
                why="the party's officers look at what leaves there, and would not see these",
                fix=f"route 0.0.0.0/0 of {subnet.name} to {firewall}; ./fed up --refresh restores it",
            )

    def _findings(self) -> Iterator[Finding]:
        yield from self._past_the_firewall()
        for (culprit, way), flows in self._open.items():
            yield Finding(
                kind=Kind.OPEN,
                proof=PROOF,
                rule="reach",
                what=_summary(flows, "can open"),
                where=culprit,
                why="nobody intended this connection; data could leave by it, or an intruder come in",
                fix=self._fix(culprit, f"the way is: {way}"),
            )
        for (culprit, other), flows in self._weak.items():
            yield Finding(
                kind=Kind.WEAKENED,
                proof=PROOF,
                rule="reach",
                what=_summary(flows, "would be let through to open"),
                where=culprit,
                why=f"only the {other}'s side still stops it: one more mistake there, and it is open",
                fix=self._fix(culprit),
            )
        for culprit, flows in self._missing.items():
            yield Finding(
                kind=Kind.MISSING,
                proof=PROOF,
                rule="reach",
                what=_summary(flows, "cannot open"),
                where=culprit,
                why="the federation needs this connection",
                fix=self._fix(culprit),
            )

    def _fix(self, culprit: str, otherwise: str = "") -> str:
        """Return how the groups or subnets that a culprit names differ from the intent, and what to do."""
        named = [text for name, text in self._mends.items() if name in culprit]
        return "; ".join(
            (*(named or filter(None, [otherwise])), "./fed up --refresh restores what the program says")
        )


def _firewalls(intent: Intent) -> Mapping[str, IPv4Address]:
    """Return the firewall of each party that has one."""
    return {flow.source.party: flow.through for flow in intent.flows if flow.through}


def _flow(cell: Cell, found: Ports) -> str:
    what = cell.protocol if found == EVERY else f"{cell.protocol} {text(found)}"
    return f"{cell.source}|{what}|{cell.destination}"


def _summary(flows: Iterable[str], can: str) -> str:
    """Join flows that have one cause, protocols of one pair together."""
    joined: Mapping[tuple[str, str], list[str]] = defaultdict(list)
    for flow in flows:
        source, what, destination = flow.split("|")
        joined[source, destination].append(what)
    lines = [
        f"{source} {can} {'anything' if set(whats) == set(PROTOCOLS) else ', '.join(whats)} at {destination}"
        for (source, destination), whats in joined.items()
    ]
    return lines[0] + (f" (and {len(lines) - 1} more of this kind)" if len(lines) > 1 else "")


def _address(prefix: str) -> int | str:
    return prefix if prefix == INTERNET else int(IPv4Network(prefix).network_address)
