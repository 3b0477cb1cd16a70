"""All networks together: ports in their namespaces, and as many routers as overlapping ranges need."""

from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Iterable, Mapping

from emulator.datacentre.errors import DatacentreError
from emulator.datacentre.kernel import Namespace
from emulator.datacentre.router import Router, join_internet, new_port_namespace
from emulator.datacentre.rules import RuleNumbers, interface
from emulator.datacentre.topology import Network, Port, Topology


class Networks:
    """What a topology looks like in the kernel. `apply` is the only way to change it.

    `namespaces` are those of the ports, `internet` is where everything ends that leaves a network: it holds
    no address but those that are put there on purpose, and so swallows the rest. `offices` are machines out
    there, by the id of their port.
    """

    def __init__(self) -> None:
        self.namespaces: dict[str, Namespace] = {}
        self.topology = Topology()
        self.numbers = RuleNumbers()
        self.internet = Namespace("internet")
        self.internet.ip(["link set lo up"])
        self.routers: list[Router] = []
        self.problems: tuple[str, ...] = ()
        self._places: dict[str, int] = {}
        self._retired: list[Namespace] = []
        self.offices: dict[str, Namespace] = {}

    def apply(self, topology: Topology) -> None:
        """Build what is new, change what differs, cut off what is gone.

        Namespaces that are no port's any more stay open until `release`, so that what lives in them can be
        ended in order.
        """
        places = place(topology, self._places)
        for index in range(len(self.routers), max(places.values(), default=-1) + 1):
            self.routers.append(Router(index, self.internet, self.numbers))
        stale = [
            key
            for key, port in self.topology.ports.items()
            if not _same_place(port, topology.ports.get(key))
            or self._places[port.network] != places[port.network]
        ]
        # A port that moved goes first and comes back as a new one.
        parts = [_part(topology, places, index) for index in range(len(self.routers))]
        problems: list[str] = []
        if stale:
            for router, part in zip(self.routers, parts, strict=True):
                kept = {key: port for key, port in part.ports.items() if key not in stale}
                known = {key: port for key, port in kept.items() if key in self.namespaces}
                router.apply(dataclasses.replace(part, ports=known), self.namespaces)
            self._retired += [self.namespaces.pop(key) for key in stale]
        for key, port in topology.ports.items():
            if key not in self.namespaces:
                self.namespaces[key] = new_port_namespace(port)
        for router, part in zip(self.routers, parts, strict=True):
            problems += router.apply(part, self.namespaces)
        self.topology, self._places, self.problems = topology, places, tuple(problems)

    def office(self, port: Port) -> Namespace:
        """Return the namespace of a machine on the internet; whoever had its address before is gone."""
        before = [key for key in self.offices if key != port.id and key.startswith(f"{port.addresses[0]}/")]
        for key in before:
            self.internet.ip([f"link del {interface(key)}"])
            self.offices.pop(key).close()
        if port.id not in self.offices:
            self.offices[port.id] = join_internet(port, self.internet)
        return self.offices[port.id]

    def router_index(self, network: str) -> int:
        """Return which of the routers serves a network."""
        return self._places[network]

    def settled(self) -> bool:
        """Say whether every link carries packets."""
        return all(router.settled() for router in self.routers)

    def release(self) -> None:
        """Let go of the namespaces that are no port's any more."""
        for namespace in self._retired:
            namespace.close()
        self._retired.clear()

    def close(self) -> None:
        """Let go of every namespace."""
        self.release()
        for namespace in self.namespaces.values():
            namespace.close()
        for router in self.routers:
            router.close()
        for office in self.offices.values():
            office.close()
        self.internet.close()


def place(topology: Topology, before: Mapping[str, int]) -> dict[str, int]:
    """Return the router of each network: peered ones share one, overlapping ones never do.

    Networks stay where they are (`before`) if they can. Raises DatacentreError when peered networks overlap,
    which Azure refuses.
    """
    places: dict[str, int] = {}
    groups = sorted(
        _connected(topology), key=lambda group: (not any(key in before for key in group), min(group))
    )
    for group in groups:
        _refuse_overlap(topology, group)
        wishes = [before[key] for key in sorted(group) if key in before]
        candidates = [*wishes, *range(len(topology.networks))]
        free = (
            index
            for index in candidates
            if not any(
                _overlap(topology.networks[key], topology.networks[other])
                for key in group
                for other, used in places.items()
                if used == index
            )
        )
        places.update(dict.fromkeys(group, next(free)))
    return places


def _connected(topology: Topology) -> Iterable[frozenset[str]]:
    """Return the sets of networks that peerings join, directly or not."""
    group_of = {key: frozenset({key}) for key in topology.networks}
    for peering in topology.peerings:
        joined = group_of[peering.local] | group_of[peering.remote]
        group_of.update(dict.fromkeys(joined, joined))
    return set(group_of.values())


def _refuse_overlap(topology: Topology, group: frozenset[str]) -> None:
    ordered = [topology.networks[key] for key in sorted(group)]
    for index, one in enumerate(ordered):
        for other in ordered[:index]:
            if _overlap(one, other):
                raise DatacentreError(
                    f"virtual networks {one.name} ({', '.join(one.prefixes)}) and {other.name} "
                    f"({', '.join(other.prefixes)}) overlap and are joined by peerings: packets for one "
                    "would reach the other. Azure refuses such a peering; give one of them other ranges."
                )


def _overlap(one: Network, other: Network) -> bool:
    return any(
        ipaddress.IPv4Network(first).overlaps(ipaddress.IPv4Network(second))
        for first in one.prefixes
        for second in other.prefixes
    )


def _part(topology: Topology, places: Mapping[str, int], index: int) -> Topology:
    """Return what is behind one router."""
    return dataclasses.replace(
        topology,
        networks={key: value for key, value in topology.networks.items() if places[key] == index},
        ports={key: port for key, port in topology.ports.items() if places[port.network] == index},
        peerings=tuple(peering for peering in topology.peerings if places[peering.local] == index),
    )


def _same_place(port: Port, other: Port | None) -> bool:
    return other is not None and (port.owner, port.network, port.addresses) == (
        other.owner,
        other.network,
        other.addresses,
    )
