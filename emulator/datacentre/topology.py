"""The networks as the datacentre builds them: plain data, made from ARM's state by `inventory`.

Ids are ARM ids in lower case. Addresses and prefixes are IPv4 in text form; IPv6 is not emulated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeVar

from azure_types import security_rules

Key = TypeVar("Key")
Value = TypeVar("Value")

PRIVATE_RANGES = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")
"""Where Azure's default routes lead nowhere, unless a network of one's own is there
(learn.microsoft.com/azure/virtual-network/virtual-networks-udr-overview)."""

AZURE_LOAD_BALANCER = "168.63.129.16"
"""The address behind the service tag AzureLoadBalancer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One security rule. Sources and destinations are prefixes, addresses, service tags or ``*``.

    `protocol` is ``*``, ``tcp``, ``udp``, ``icmp``, ``esp`` or ``ah``; ports are ``*``, numbers, or ranges
    like ``8000-8010``.
    """

    name: str
    priority: int
    inbound: bool
    allow: bool
    protocol: str = "*"
    sources: tuple[str, ...] = ("*",)
    source_ports: tuple[str, ...] = ("*",)
    destinations: tuple[str, ...] = ("*",)
    destination_ports: tuple[str, ...] = ("*",)


DEFAULT_RULES = tuple(
    Rule(
        name=rule.name,
        priority=rule.priority,
        inbound=rule.inbound,
        allow=rule.allow,
        sources=(rule.source,),
        destinations=(rule.destination,),
    )
    for rule in security_rules.DEFAULT_RULES
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A network security group: its own rules, the default ones left out."""

    id: str
    name: str
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A virtual network."""

    id: str
    name: str
    prefixes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Peering:
    """One half of a peering whose two halves are Connected: what `local` says about `remote`.

    `access` puts the remote ranges into `local`'s VirtualNetwork tag; `forwarded` lets in what the remote
    network only passes on.
    """

    local: str
    remote: str
    access: bool = True
    forwarded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """Where something touches a network: a VM's interface or a private endpoint.

    `groups` are the security groups in force, the one nearest to the port first (interface, then subnet).
    `egress` says whether the subnet has a way to the internet; a port that is not `running` is silent.
    """

    id: str
    owner: str
    name: str
    network: str
    subnet: str
    addresses: tuple[str, ...]
    endpoint: bool = False
    groups: tuple[str, ...] = ()
    egress: bool = False
    forwarding: bool = False
    running: bool = True


def _frozen(values: Mapping[Key, Value]) -> Mapping[Key, Value]:
    return MappingProxyType(dict(values))


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """All networks of the emulated cloud, keyed by id."""

    networks: Mapping[str, Network] = field(default_factory=lambda: _frozen({}))
    groups: Mapping[str, Group] = field(default_factory=lambda: _frozen({}))
    ports: Mapping[str, Port] = field(default_factory=lambda: _frozen({}))
    peerings: tuple[Peering, ...] = ()
    tags: Mapping[str, frozenset[str]] = field(default_factory=lambda: _frozen({}))
    """Service tag -> addresses behind it on this machine: none, unless a test puts a target there."""
