"""The ends of connections: addresses that every rule of a deployment treats alike, and what is outside.

A subnet is cut wherever any rule, interface or statement of intent draws a line. So one spot is a VM, one a
private endpoint, and one is "any other address" of the subnet: where an intruder's machine would be. A subnet
that is delegated to a service is one spot as a whole, where the statement of intent says so.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network

from automation.verify.reach.network import Interface, Interval, Rule, Side, Subnet, Topology
from federation.stated import INTERNET, Intent, Place
from policies.addresses import is_internal

OUTSIDE = "internet"


@dataclass(frozen=True, kw_only=True, eq=False)
class Spot:
    """Addresses of one subnet (or outside of every network) that all rules treat alike.

    ``address`` is one of them, None outside. ``tags`` are the service tags an outside spot belongs to.
    ``exists`` is False for an address that is meant to be there and is not, ``last`` the spot's last address.
    """

    party: str
    part: str
    address: int | None
    text: str
    subnet: Subnet | None = None
    interface: Interface | None = None
    tags: frozenset[str] = field(default_factory=frozenset)
    exists: bool = True
    last: int | None = None

    @property
    def name(self) -> str:
        """Party and part, as in the statement of intent."""
        return f"{self.party}/{self.part}"

    @property
    def address_text(self) -> str:
        """The address as people write it, empty outside."""
        return "" if self.address is None else str(IPv4Address(self.address))

    def __str__(self) -> str:
        return f"{self.name} ({self.text})"

    @property
    def opens(self) -> bool:
        """Whether something there could open a connection: private endpoints only answer."""
        return self.exists and not (self.interface and self.interface.is_endpoint)

    def in_side(self, side: Side, virtual_network: Iterable[Interval]) -> bool:
        """Say whether one side of a rule matches, with what VirtualNetwork means where the rule is."""
        if side.everything or self.tags & side.tags:
            return True
        if self.address is None:
            return False
        return side.has(self.address) or (
            "virtualnetwork" in side.tags
            and any(low <= self.address <= high for low, high in virtual_network)
        )


def spots(topology: Topology, intent: Intent) -> tuple[Spot, ...]:
    """Return every spot of a deployment, inside first."""
    meant, services = _meant(intent), _services(intent)
    drawn = _drawn(topology)
    inside = [
        spot
        for subnet in topology.subnets.values()
        for spot in _inside(topology, subnet, meant, drawn, services.get(subnet.prefixes))
    ]
    seen = {s.address for s in inside}
    absent = [
        Spot(
            party=place.party,
            part=place.part,
            address=address,
            text=f"{IPv4Address(address)}, where nothing is",
            exists=False,
        )
        for address, place in meant.items()
        if address not in seen
    ]
    return (*inside, *absent, *_outside(topology, drawn))


def _meant(intent: Intent) -> dict[int, Place]:
    """Return the single addresses that the statement of intent names, with their places."""
    found: dict[int, Place] = {}
    for flow in intent.flows:
        for place in (flow.source, flow.destination):
            if place.subnet is not None and not place.is_range:
                found.setdefault(int(IPv4Network(place.prefix).network_address), place)
    return found


def _services(intent: Intent) -> dict[tuple[IPv4Network, ...], Place]:
    """Return the whole subnets that the statement of intent names, by their ranges."""
    places = (place for flow in intent.flows for place in (flow.source, flow.destination))
    return {(IPv4Network(place.prefix),): place for place in places if place.subnet and place.is_range}


def _inside(
    topology: Topology,
    subnet: Subnet,
    meant: Mapping[int, Place],
    drawn: tuple[Interval, ...],
    service: Place | None,
) -> Iterator[Spot]:
    party = topology.network_of(subnet).party
    present = {int(i.address): i for i in topology.interfaces if i.subnet == subnet.key}
    lines = _lines(drawn, [*present, *meant])
    alike: dict[tuple[Interval, ...], list[Interval]] = {}
    for prefix in subnet.prefixes:
        for low, high in _atoms(prefix, lines):
            interface = present.get(low) if low == high else None
            place = meant.get(low) if low == high else None
            if interface is not None:
                ours = place is not None and place.party == party
                yield Spot(
                    party=party,
                    part=place.part if place is not None and ours else interface.name,
                    address=low,
                    text=str(IPv4Address(low)),
                    subnet=subnet,
                    interface=interface,
                )
            elif place is not None:
                yield Spot(
                    party=place.party,
                    part=place.part,
                    address=low,
                    text=f"{IPv4Address(low)}, where nothing is",
                    subnet=subnet,
                    exists=False,
                )
            else:
                mark = tuple(r for r in drawn if r[0] <= low and high <= r[1])
                alike.setdefault(mark, []).append((low, high))
    for ranges in alike.values():
        yield Spot(
            party=party,
            part=service.part
            if service is not None and service.party == party
            else f"any other address of {subnet.name}",
            address=ranges[0][1],
            last=ranges[-1][1],
            text=_ranges(ranges),
            subnet=subnet,
        )


def _lines(drawn: tuple[Interval, ...], addresses: Iterable[int]) -> list[int]:
    """Return the addresses at which something begins or has just ended, sorted."""
    cuts = {cut for address in addresses for cut in (address, address + 1)}
    cuts.update(cut for low, high in drawn for cut in (low, high + 1))
    return sorted(cuts)


def _drawn(topology: Topology) -> tuple[Interval, ...]:
    """Return every range that a rule or route names."""
    found: dict[Interval, None] = {}
    for rule in _rules(topology):
        found.update(dict.fromkeys((*rule.source.ranges, *rule.destination.ranges)))
    for subnet in topology.subnets.values():
        for route in subnet.routes:
            found[int(route.prefix.network_address), int(route.prefix.broadcast_address)] = None
    return tuple(found)


def _rules(topology: Topology) -> Iterator[Rule]:
    """Yield every rule in force anywhere."""
    groups = [s.group for s in topology.subnets.values()] + [i.group for i in topology.interfaces]
    for group in {g.id: g for g in groups if g}.values():
        yield from group.rules


def _atoms(prefix: IPv4Network, lines: list[int]) -> Iterator[Interval]:
    low, last = int(prefix.network_address), int(prefix.broadcast_address)
    while low <= last:
        following = bisect_right(lines, low)
        high = min(lines[following] - 1, last) if following < len(lines) else last
        yield low, high
        low = high + 1


def _outside(topology: Topology, drawn: tuple[Interval, ...]) -> Iterator[Spot]:
    """Yield the internet, and each tag and range outside every network that some rule names."""
    yield Spot(
        party="internet", part="any", address=None, text=INTERNET, tags=frozenset({OUTSIDE, "azurecloud"})
    )
    spaces = [
        (int(p.network_address), int(p.broadcast_address))
        for network in topology.networks.values()
        for p in network.space
    ]
    tags: dict[str, None] = {}
    for rule in _rules(topology):
        tags.update(dict.fromkeys(sorted(rule.source.tags | rule.destination.tags)))
    for tag in tags:
        if tag not in _NOT_OUTSIDE:
            yield Spot(
                party="internet",
                part=tag,
                address=None,
                text=tag,
                tags=frozenset({tag, OUTSIDE, "azurecloud"}),
            )
    for low, high in drawn:
        if not any(low <= space_high and space_low <= high for space_low, space_high in spaces):
            public = not is_internal(IPv4Address(low))
            yield Spot(
                party="internet" if public else "elsewhere",
                part=_ranges([(low, high)]),
                address=low,
                text=_ranges([(low, high)]),
                tags=frozenset({OUTSIDE}) if public else frozenset(),
            )


_NOT_OUTSIDE = frozenset(
    {"internet", "virtualnetwork", "azurecloud", "azureloadbalancer", "azureplatformdns", "azureplatformimds",
     "azureplatformlkm"}
)  # fmt: skip


def _ranges(ranges: Iterable[Interval]) -> str:
    return ", ".join(
        str(IPv4Address(low)) if low == high else f"{IPv4Address(low)}-{IPv4Address(high)}"
        for low, high in ranges
    )
