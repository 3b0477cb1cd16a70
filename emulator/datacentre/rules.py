"""Azure's network policy as nftables: pure text, made from a `Topology`, applied by `router`.

One table in a router through which every packet between two ports passes. The order gives Azure's semantics:
an established flow survives a change of its security group (it was accepted once) but not the loss of its
peering, its machine or its address, which are looked at first.

Every decision is written down: a packet's mark names the rules that decided, and the sets `passed` and
`dropped` keep (source, destination, protocol, port, mark). They are the flow log (`flows`).
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path

from emulator.datacentre.topology import (
    AZURE_LOAD_BALANCER,
    DEFAULT_RULES,
    PRIVATE_RANGES,
    Group,
    Network,
    Port,
    Rule,
    Topology,
)

TABLE = "ip datacentre"
INTERNET = "internet"
"""The router's interface to everything that is no virtual network."""

_UNENFORCED = {"azureplatformdns", "azureplatformimds", "azureplatformlkm"}


class Reason(IntEnum):
    """Why a packet was dropped when no security rule decided."""

    SPOOFED = 1
    STOPPED = 2
    NOT_PEERED = 3
    NO_ROUTE = 4
    NO_EGRESS = 5
    ENDPOINT_ORIGINATES = 6
    FROM_INTERNET = 7
    FORWARDING_REFUSED = 8


REASONS: Mapping[int, str] = {
    Reason.SPOOFED: "the source address is not the sender's",
    Reason.STOPPED: "the machine is stopped or the endpoint not approved",
    Reason.NOT_PEERED: "the networks are not peered, both halves Connected",
    Reason.NO_ROUTE: "a private range that no network of one's own covers",
    Reason.NO_EGRESS: "the subnet has neither NAT gateway nor default outbound access nor a firewall within "
    "reach",
    Reason.ENDPOINT_ORIGINATES: "a private endpoint opens no connections",
    Reason.FROM_INTERNET: "nothing enters from the internet",
    Reason.FORWARDING_REFUSED: "the peering does not accept forwarded traffic",
}
FIRST_RULE_NUMBER = 16

_SKELETON = Path(__file__).with_name("skeleton.nft")


def skeleton() -> str:
    """Return the table without any network."""
    defines = {reason.name: str(reason.value) for reason in Reason}
    defines |= {"INTERNET": f'"{INTERNET}"', "PRIVATE": "{ " + ", ".join(PRIVATE_RANGES) + " }"}
    return "".join(f"define {name} = {value}\n" for name, value in defines.items()) + _SKELETON.read_text()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the table of one router must hold besides the skeleton.

    `chains` are the rules by chain, `sets` the elements by set or map, `tags` the sets of service tags,
    `problems` what a person must know is not enforced.
    """

    chains: Mapping[str, tuple[str, ...]]
    sets: Mapping[str, frozenset[str]]
    tags: frozenset[str]
    problems: tuple[str, ...] = ()


@dataclass(slots=True)
class RuleNumbers:
    """Numbers for rules, which fit half of a packet's mark; the same rule keeps its number."""

    names: dict[int, str] = field(default_factory=dict)
    _numbers: dict[str, int] = field(default_factory=dict)

    def number(self, name: str) -> int:
        """Return the number of a rule's full name."""
        if name not in self._numbers:
            number = FIRST_RULE_NUMBER + len(self._numbers)
            if number > 0xFFFF:
                raise OverflowError("more security rules were seen than a packet's mark can name: 65519")
            self._numbers[name] = number
            self.names[number] = name
        return self._numbers[name]


def interface(port: str) -> str:
    """Return the name that a port's interface has in the router: at most 15 characters, from its id."""
    return "p" + hashlib.sha256(port.encode()).hexdigest()[:11]


def compile_plan(topology: Topology, numbers: RuleNumbers) -> Plan:
    """Return the policy of a topology whose networks do not overlap."""
    compiler = _Compiler(topology, numbers)
    used = {
        (group, port.endpoint)
        for port in topology.ports.values()
        for group in port.groups
        if group in topology.groups
    }
    chains: dict[str, tuple[str, ...]] = {}
    for group, endpoint in sorted(used):
        for inbound in (True, False):
            name = _chain_name(group, inbound=inbound, endpoint=endpoint)
            chains[name] = compiler.chain(topology.groups[group], inbound=inbound, endpoint=endpoint)
    return Plan(
        chains=chains,
        sets=_sets(topology),
        tags=frozenset(compiler.tags),
        problems=tuple(sorted(compiler.problems)),
    )


def _chain_name(group: str, *, inbound: bool, endpoint: bool) -> str:
    mark = hashlib.sha256(group.encode()).hexdigest()[:12]
    return f"{'in' if inbound else 'out'}_{mark}{'_endpoint' if endpoint else ''}"


class _Compiler:
    """Turns security rules into lines of nftables."""

    def __init__(self, topology: Topology, numbers: RuleNumbers) -> None:
        self.tags: set[str] = set()
        self.problems: set[str] = set()
        self._topology = topology
        self._numbers = numbers

    def chain(self, group: Group, *, inbound: bool, endpoint: bool) -> tuple[str, ...]:
        """Return the lines of a group's rules in one direction, the default rules last."""
        rules = [rule for rule in (*group.rules, *DEFAULT_RULES) if rule.inbound == inbound]
        return tuple(
            line
            for rule in sorted(rules, key=lambda rule: rule.priority)
            for line in self._rule(group, rule, endpoint=endpoint)
        )

    def _rule(self, group: Group, rule: Rule, *, endpoint: bool) -> Iterable[str]:
        number = self._numbers.number(f"{group.name}/{rule.name}")
        mark = f"meta mark and 0xffff0000 or {number:#x}" if rule.inbound else f"{number << 16:#x}"
        verdict = "return" if rule.allow else "goto denied"
        source_ports = ("*",) if endpoint else rule.source_ports  # Azure ignores them at endpoints
        for transport in _transport(rule.protocol, source_ports, rule.destination_ports):
            for source in self._side(rule, rule.sources, source=True):
                for destination in self._side(rule, rule.destinations, source=False):
                    matches = " ".join(part for part in (source, destination, transport) if part)
                    yield f"{matches} meta mark set {mark} {verdict}".strip()

    def _side(self, rule: Rule, wanted: Sequence[str], *, source: bool) -> list[str]:
        """Return the alternatives that match one side; none at all when nothing can match."""
        field_, own_side = ("saddr" if source else "daddr"), source != rule.inbound
        prefixes, alternatives = [], []
        for value in wanted:
            name = value.lower()
            if name in {"*", "any", "0.0.0.0/0"}:
                return [""]
            if name == "virtualnetwork":
                if own_side:
                    return [""]
                alternatives.append(_pair(rule) + " @virtual_network")
            elif name == "internet":
                if not own_side:
                    alternatives.append(f"{_pair(rule)} != @virtual_network ip {field_} != @private")
            elif name == "azureloadbalancer":
                prefixes.append(AZURE_LOAD_BALANCER)
            elif name in _UNENFORCED:
                self.problems.add(f"security rule {rule.name}: the tag {value} is not enforced here")
            elif name[0].isdigit():
                prefixes.append(value)
            elif ":" not in name:
                self.tags.add(tag_set(name))
                alternatives.append(f"ip {field_} @{tag_set(name)}")
        if prefixes:
            alternatives.append(f"ip {field_} {_braces(collapse(prefixes))}")
        return alternatives


def tag_set(tag: str) -> str:
    """Return the name of the set that holds a service tag's addresses."""
    return "tag_" + re.sub(r"[^a-z0-9]", "_", tag.lower())


def collapse(prefixes: Iterable[str]) -> list[str]:
    """Return prefixes and addresses merged and sorted, IPv6 left out: nftables refuses overlaps in a set."""
    networks = [ipaddress.IPv4Network(prefix, strict=False) for prefix in prefixes if ":" not in prefix]
    return [str(network) for network in ipaddress.collapse_addresses(networks)]


def _pair(rule: Rule) -> str:
    """Return the expression (own address . other address), seen from the port that the rule protects."""
    return "ip daddr . ip saddr" if rule.inbound else "ip saddr . ip daddr"


def _transport(protocol: str, source_ports: Sequence[str], destination_ports: Sequence[str]) -> list[str]:
    header = {"*": "th", "any": "th"}.get(protocol, protocol)
    ports = [
        f"{header} {field_} {_braces(_port_ranges(wanted))}"
        for field_, wanted in (("sport", source_ports), ("dport", destination_ports))
        if "*" not in wanted
    ]
    if protocol in {"*", "any"}:
        return ["meta l4proto { tcp, udp } " + " ".join(ports)] if ports else [""]
    if protocol in {"tcp", "udp"} and ports:
        return [" ".join(ports)]
    return [f"meta l4proto {protocol}"]


def _port_ranges(ports: Sequence[str]) -> list[str]:
    """Return port ranges merged and sorted."""
    spans = sorted((int(first), int(last or first)) for first, _, last in (p.partition("-") for p in ports))
    merged: list[tuple[int, int]] = []
    for first, last in spans:
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return [str(first) if first == last else f"{first}-{last}" for first, last in merged]


def _braces(values: Sequence[str]) -> str:
    return "{ " + ", ".join(values) + " }"


def _sets(topology: Topology) -> Mapping[str, frozenset[str]]:
    ports = topology.ports.values()
    found = {
        "sources": {_element(port, address) for port in ports for address in port.addresses},
        "stopped": {_name(port) for port in ports if not port.running},
        "endpoints": {_name(port) for port in ports if port.endpoint},
        "forwarders": {_name(port) for port in ports if port.forwarding},
        "forwarding": {
            _element(port, prefix)
            for port in ports
            if port.forwarding
            for prefix in _forwarding_targets(topology, port)
        },
        "egress": {_name(port) for port in ports if port.egress},
        "routes": set(_pairs(topology, only_access=False)),
        "virtual_network": set(_pairs(topology, only_access=True)),
    }
    for name, inbound, place in (
        ("out_first", False, 0), ("out_second", False, 1), ("in_first", True, 0), ("in_second", True, 1),
    ):  # fmt: skip
        found[name] = {
            f"{_name(port)} : jump {_chain_name(group, inbound=inbound, endpoint=port.endpoint)}"
            for port in ports
            for group in _ordered(topology, port, inbound=inbound)[place : place + 1]
        }
    for tag, addresses in topology.tags.items():
        found[tag_set(tag)] = set(collapse(addresses))
    return {name: frozenset(elements) for name, elements in found.items()}


def _ordered(topology: Topology, port: Port, *, inbound: bool) -> list[str]:
    """Return a port's groups in the order in which a packet meets them: inbound, the subnet's first."""
    known = [group for group in port.groups if group in topology.groups]
    return known[::-1] if inbound else known


def _name(port: Port) -> str:
    return f'"{interface(port.id)}"'


def _element(port: Port, address: str) -> str:
    return f"{_name(port)} . {address}"


def _pairs(topology: Topology, *, only_access: bool) -> Iterable[str]:
    sides = [(network, network) for network in topology.networks.values()]
    sides += [
        (topology.networks[peering.local], topology.networks[peering.remote])
        for peering in topology.peerings
        if peering.access or not only_access
    ]
    for own, other in sides:
        yield from _product(own, other)


def _product(own: Network, other: Network) -> Iterable[str]:
    return (f"{one} . {two}" for one in own.prefixes for two in other.prefixes)


def _forwarding_targets(topology: Topology, port: Port) -> Iterable[str]:
    """Return where a forwarding port may pass on what others sent: its own network, and willing peers."""
    yield from topology.networks[port.network].prefixes
    for peering in topology.peerings:
        if peering.remote == port.network and peering.forwarded:
            yield from topology.networks[peering.local].prefixes
