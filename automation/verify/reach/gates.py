"""What security groups let through, port by port, with the rule that decides.

A gate is everything that filters at one end of a connection: the group of the interface and that of its
subnet. Each alone must let a connection pass, and Azure looks at a group's rules in the order of their
priority until one matches.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from automation.verify.reach.network import Group, Interval, Rule, Topology
from automation.verify.reach.ports import EVERY, NONE, Ports, difference, intersection, union
from automation.verify.reach.spots import Spot


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What one group decides about one protocol between two spots: (ports, rule) in order of decision."""

    parts: tuple[tuple[Ports, Rule | None], ...]

    @cached_property
    def allowed(self) -> Ports:
        """The ports let through."""
        return union(r for found, rule in self.parts if rule is None or rule.allows for r in found)

    def rules_for(self, wanted: Ports) -> tuple[Rule, ...]:
        """Return the rules that decide about any of the given ports."""
        return tuple(rule for found, rule in self.parts if rule and intersection(found, wanted))


@dataclass(frozen=True, kw_only=True)
class Passage:
    """What one gate lets through: the ports that every group at it allows."""

    decisions: tuple[Decision, ...]
    unfiltered: str | None = None

    @cached_property
    def allowed(self) -> Ports:
        """The ports let through."""
        found = EVERY
        for decision in self.decisions:
            found = intersection(found, decision.allowed)
        return found

    def why_open(self, wanted: Ports) -> str:
        """Name the rules that let the given ports through."""
        rules = dict.fromkeys(str(r) for d in self.decisions for r in d.rules_for(wanted) if r.allows)
        return "; ".join(rules) or self.unfiltered or "no security group filters here"

    def why_closed(self, wanted: Ports) -> str:
        """Name the rules that stop any of the given ports."""
        rules = dict.fromkeys(str(r) for d in self.decisions for r in d.rules_for(wanted) if not r.allows)
        return "; ".join(rules)


class Gates:
    """Answers for one topology; equal questions are computed once."""

    def __init__(self, topology: Topology) -> None:
        self._topology = topology
        self._tags = {network: _virtual_network(topology, network) for network in topology.networks}
        self._masks: dict[tuple[str, str, str, int], tuple[int, int]] = {}
        self._decisions: dict[tuple[str, str, str, int], Decision] = {}

    def passage(self, at: Spot, direction: str, source: Spot, destination: Spot, protocol: str) -> Passage:
        """Return what the gate at one end lets through in one direction."""
        subnet = at.subnet
        if subnet is None:
            return Passage(decisions=())
        if at.interface is not None and at.interface.is_endpoint and not subnet.filters_endpoints:
            return Passage(
                decisions=(),
                unfiltered=f"{subnet.name}: privateEndpointNetworkPolicies keeps its security group away "
                f"from {at.interface.name}",
            )
        groups = [g for g in (at.interface.group if at.interface else None, subnet.group) if g is not None]
        return Passage(
            decisions=tuple(
                self._decide(group, subnet.network, direction, (source, destination), protocol)
                for group in groups
            ),
            unfiltered=None if groups else f"{subnet.name}: it has no security group",
        )

    def _decide(
        self, group: Group, network: str, direction: str, pair: tuple[Spot, Spot], protocol: str
    ) -> Decision:
        source, destination = pair
        as_source, _ = self._mask(group, network, direction, source)
        _, as_destination = self._mask(group, network, direction, destination)
        matched = as_source & as_destination
        key = (f"{group.id}|{network}", direction, protocol, matched)
        if key not in self._decisions:
            rules = [r for n, r in enumerate(group.ordered(direction)) if matched >> n & 1]
            self._decisions[key] = _first_match(rules, protocol)
        return self._decisions[key]

    def _mask(self, group: Group, network: str, direction: str, spot: Spot) -> tuple[int, int]:
        """Return which rules match a spot as source and as destination, one bit each."""
        key = (group.id, network, direction, id(spot))
        if key not in self._masks:
            tag = self._tags[network]
            as_source = as_destination = 0
            for n, rule in enumerate(group.ordered(direction)):
                as_source |= spot.in_side(rule.source, tag) << n
                as_destination |= spot.in_side(rule.destination, tag) << n
            self._masks[key] = as_source, as_destination
        return self._masks[key]


def _first_match(rules: Sequence[Rule], protocol: str) -> Decision:
    """Go through the rules in order.

    A rule limited to some source ports still allows (whoever connects chooses the source port), but its
    denial can be avoided in the same way.
    """
    left, parts = EVERY, []
    for rule in rules:
        if not rule.allows and not rule.any_source_port:
            continue
        if taken := intersection(left, rule.ports_for(protocol)):
            parts.append((taken, rule))
            left = difference(left, taken)
        if left == NONE:
            break
    return Decision(parts=tuple(parts))


def _virtual_network(topology: Topology, network: str) -> tuple[Interval, ...]:
    """Return what the tag VirtualNetwork means in a network: its own and peered ranges, and routed ones.

    https://learn.microsoft.com/azure/virtual-network/service-tags-overview#available-service-tags
    """
    here = topology.networks[network]
    spaces = list(here.space)
    for peering in topology.peerings:
        if peering.local == network and peering.connected and peering.access:
            remote = topology.networks.get(peering.remote)
            spaces.extend(remote.space if remote else ())
    spaces.extend(r.prefix for s in here.subnets for r in s.routes if r.prefix.prefixlen)
    return tuple((int(p.network_address), int(p.broadcast_address)) for p in spaces)
