"""The rules of a subnet's network security group, built from the statement of intent.

Every group ends in a denial of its own, both ways: Azure's default rules would allow everything between
peered networks, because the tag `VirtualNetwork` includes them
(https://learn.microsoft.com/azure/virtual-network/network-security-groups-overview#default-security-rules).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from federation.stated import Flow, Intent

#: Azure's limits: priorities 100 to 4096, the lowest is looked at first; descriptions up to 140 characters.
FIRST_PRIORITY: Final = 100
LAST_PRIORITY: Final = 4096
PRIORITY_STEP: Final = 10
DESCRIPTION_LENGTH: Final = 140

Direction = Literal["Inbound", "Outbound"]


@dataclass(frozen=True, kw_only=True)
class SecurityRule:
    """One rule; its name is unique in its group whatever its direction.

    Prefixes are CIDR ranges, one service tag, or `*`; ports are numbers or `*`.
    """

    name: str
    direction: Direction
    access: Literal["Allow", "Deny"]
    priority: int
    protocol: str
    sources: tuple[str, ...]
    destinations: tuple[str, ...]
    ports: tuple[str, ...]
    description: str


def security_rules(intent: Intent, party: str, subnet: str) -> tuple[SecurityRule, ...]:
    """The rules of one subnet: what the intent allows in, what it allows out, and the denial of all else."""
    flows = [flow for flow in intent.flows_by_subnet.get((party, subnet), ()) if flow.enforced_by == "nsg"]
    inside = (party, subnet)
    inbound = [flow for flow in flows if (flow.destination.party, flow.destination.subnet) == inside]
    outbound = [flow for flow in flows if (flow.source.party, flow.source.subnet) == inside]
    return (
        *_allow("Inbound", inbound),
        _deny("Inbound"),
        *_allow("Outbound", outbound),
        _deny("Outbound"),
    )


def _allow(direction: Direction, flows: Iterable[Flow]) -> Iterable[SecurityRule]:
    groups: dict[str, list[Flow]] = {}
    for flow in flows:
        groups.setdefault(flow.name, []).append(flow)
    for number, (name, members) in enumerate(groups.items()):
        first = members[0]
        yield SecurityRule(
            name=f"allow-{direction.lower()}-{name}",
            direction=direction,
            access="Allow",
            priority=FIRST_PRIORITY + number * PRIORITY_STEP,
            protocol=first.protocol,
            sources=_distinct(flow.source.prefix for flow in members),
            destinations=_distinct(flow.destination.prefix for flow in members),
            ports=tuple(str(port) for port in first.ports),
            description=first.why[:DESCRIPTION_LENGTH],
        )


def _deny(direction: Direction) -> SecurityRule:
    return SecurityRule(
        name=f"deny-{direction.lower()}-everything-else",
        direction=direction,
        access="Deny",
        priority=LAST_PRIORITY,
        protocol="*",
        sources=("*",),
        destinations=("*",),
        ports=("*",),
        description="What the statement of intent does not list, peered networks included",
    )


def _distinct(prefixes: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(prefixes))
