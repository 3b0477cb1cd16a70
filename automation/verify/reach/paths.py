"""How packets travel: within a network, over a peering, through a forwarding VM, or out to the internet.

Only Azure's own routing is believed; what a guest does with a packet it is given (forward it or not) is
assumed to be the worst. A party's own firewall is outside the federation: it may pass on whatever it gets.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address

from automation.verify.reach.network import Peering, Route, Subnet, Topology
from automation.verify.reach.spots import OUTSIDE, Spot

MOST_HOPS = 4


@dataclass(frozen=True, kw_only=True)
class Path:
    """Whether there is a way, what makes or prevents it, and the spots' interfaces it passes through."""

    exists: bool
    reason: str
    through: tuple[Spot, ...] = ()


class Paths:
    """Answers for one topology."""

    def __init__(
        self, topology: Topology, spots: tuple[Spot, ...], firewalls: Mapping[str, IPv4Address]
    ) -> None:
        self._topology = topology
        self._firewalls = firewalls
        self._peerings = {(p.local, p.remote): p for p in topology.peerings}
        self._forwarders = {s.address: s for s in spots if s.interface is not None}

    def between(self, source: Spot, destination: Spot) -> Path:
        """Return the way from one spot to another."""
        for spot in (source, destination):
            if not spot.exists:
                return Path(exists=False, reason=f"nothing has the address of {spot}")
        if source.subnet is None:
            return self._inward(destination)
        if destination.interface is not None and not destination.interface.approved:
            return Path(exists=False, reason=f"{destination.interface.name}: its connection is not approved")
        return self._onward(source, source.subnet, destination, ())

    def _inward(self, destination: Spot) -> Path:
        interface = destination.interface
        if interface is None or interface.public_address is None:
            return Path(exists=False, reason="it has no public address")
        return Path(exists=True, reason=f"{interface.name}: publicIPAddress {interface.public_address}")

    def _onward(self, source: Spot, subnet: Subnet, destination: Spot, through: tuple[Spot, ...]) -> Path:
        route = self._route(subnet, destination)
        if route is None or route.hop == "VnetLocal":
            return self._direct(source, subnet, destination, through)
        match route.hop:
            case "VirtualAppliance":
                return self._forwarded(source, route, destination, through)
            case "Internet":
                return self._outward(source, subnet, str(route), through)
            case _:
                return Path(exists=False, reason=str(route))

    def _route(self, subnet: Subnet, destination: Spot) -> Route | None:
        """Return the user-defined route that Azure would choose, None where its own apply.

        The longest prefix wins, and at the same length the user's. Azure's own are the ranges of the network
        and of those peered with it (https://learn.microsoft.com/azure/virtual-network/virtual-networks-udr-overview).
        """
        if destination.address is None:
            return next((r for r in subnet.routes if r.prefix.prefixlen == 0), None)
        address, own = IPv4Address(destination.address), -1
        if destination.subnet is not None:
            there = destination.subnet.network
            half = self._peerings.get((subnet.network, there))
            if there == subnet.network or (half is not None and half.connected):
                spaces = self._topology.networks[there].space
                own = max((p.prefixlen for p in spaces if address in p), default=-1)
        fitting = [r for r in subnet.routes if address in r.prefix and r.prefix.prefixlen >= own]
        return max(fitting, key=lambda r: r.prefix.prefixlen, default=None)

    def _direct(self, source: Spot, subnet: Subnet, destination: Spot, through: tuple[Spot, ...]) -> Path:
        if destination.subnet is None:
            if OUTSIDE in destination.tags:
                return self._outward(source, subnet, "", through)
            return Path(exists=False, reason="no network of this stack has this range")
        here, there = subnet.network, destination.subnet.network
        if here == there:
            return Path(exists=True, reason="both are in one network", through=through)
        half, other = self._peerings.get((here, there)), self._peerings.get((there, here))
        if half is None or other is None or not (half.connected and other.connected):
            names = (self._topology.networks[here].name, self._topology.networks[there].name)
            return Path(exists=False, reason=f"{names[0]} and {names[1]} are not peered in both directions")
        if through and not other.forwarded:
            return Path(exists=False, reason=f"{other}: allowForwardedTraffic is false")
        return Path(exists=True, reason=_because(half, other), through=through)

    def _forwarded(self, source: Spot, route: Route, destination: Spot, through: tuple[Spot, ...]) -> Path:
        hop = self._forwarders.get(int(route.address)) if route.address else None
        if route.address and route.address == self._firewalls.get(source.party):
            return Path(exists=True, reason=f"{route}, the party's own firewall", through=through)
        if hop is None or hop.subnet is None or hop.interface is None:
            return Path(exists=False, reason=f"{route}: nothing has that address")
        if not hop.interface.forwards:
            return Path(exists=False, reason=f"{hop.interface.name}: enableIPForwarding is false")
        if hop in through or len(through) == MOST_HOPS:
            return Path(exists=False, reason=f"{route}: the packets go round in circles")
        start = through[-1].subnet if through else source.subnet
        first = self._direct(source, start or hop.subnet, hop, through)
        if not first.exists:
            return first
        onward = self._onward(source, hop.subnet, destination, (*through, hop))
        return Path(
            exists=onward.exists,
            reason=f"{route}; {hop.interface.name}: enableIPForwarding; {onward.reason}",
            through=onward.through,
        )

    def _outward(self, source: Spot, subnet: Subnet, route: str, through: tuple[Spot, ...]) -> Path:
        at = through[-1] if through else source
        ways = [
            way
            for way, there in (
                (f"{subnet.name}: natGateway", subnet.nat),
                (f"{subnet.name}: defaultOutboundAccess is not false", subnet.default_outbound),
                (
                    f"{at.interface.name}: publicIPAddress" if at.interface else "",
                    bool(at.interface and at.interface.public_address),
                ),
            )
            if there
        ]
        if not ways:
            return Path(exists=False, reason=f"{subnet.name} has no way to the internet")
        return Path(exists=True, reason="; ".join(filter(None, (route, *ways))), through=through)


def _because(half: Peering, other: Peering) -> str:
    return f"{half} and {other}"
