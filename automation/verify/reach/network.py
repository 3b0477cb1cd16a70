"""Networks, subnets, security groups, interfaces and endpoints, read from a deployment's resources.

Only what decides about reachability is kept, in the terms of Azure's documentation. What cannot be read
(application security groups, IPv6, a subnet without a range) is not guessed: it is listed in
`Topology.unreadable` and becomes a finding.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from ipaddress import AddressValueError, IPv4Address, IPv4Network, NetmaskValueError
from typing import Any, Final

from automation.verify.facts.resources import Deployment, Resource, key_of, reference
from automation.verify.reach.ports import EVERY, Ports, ports
from azure_types.security_rules import DEFAULT_RULES

INBOUND: Final = "Inbound"
OUTBOUND: Final = "Outbound"
PROTOCOLS: Final = ("Tcp", "Udp", "Icmp", "Esp", "Ah")
_PORTLESS: Final = frozenset({"Icmp", "Esp", "Ah"})

Interval = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Side:
    """One side of a rule: every address, address ranges, or service tags (lower case)."""

    everything: bool
    ranges: tuple[Interval, ...]
    tags: frozenset[str]
    text: str

    def has(self, address: int) -> bool:
        """Say whether a range contains an address."""
        return any(low <= address <= high for low, high in self.ranges)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A security rule. ``any_source_port`` is False where it is limited to some source ports.

    Azure's own rules have ``default`` set (priorities 65000 and above).
    """

    group: str
    name: str
    direction: str
    access: str
    priority: int
    protocol: str
    source: Side
    destination: Side
    ports: Ports
    port_text: str
    any_source_port: bool
    default: bool = False

    @property
    def allows(self) -> bool:
        """Whether the rule allows what it matches."""
        return self.access == "Allow"

    def __str__(self) -> str:
        kind = "Azure's default rule" if self.default else "rule"
        return f"{self.group}: {kind} {self.name} ({self.direction}, priority {self.priority}, {self.access})"

    def ports_for(self, protocol: str) -> Ports:
        """Return the ports that the rule matches for one protocol."""
        if self.protocol not in ("*", protocol):
            return ()
        return EVERY if protocol in _PORTLESS else self.ports


@dataclass(frozen=True, kw_only=True)
class Group:
    """A network security group with Azure's own rules, in the order in which Azure looks at them."""

    id: str
    name: str
    rules: tuple[Rule, ...]

    def ordered(self, direction: str) -> tuple[Rule, ...]:
        """Return the rules of one direction, first decisive first."""
        return self._by_direction[direction]

    @cached_property
    def _by_direction(self) -> dict[str, tuple[Rule, ...]]:
        return {
            direction: tuple(
                sorted((r for r in self.rules if r.direction == direction), key=lambda r: r.priority)
            )
            for direction in (INBOUND, OUTBOUND)
        }


@dataclass(frozen=True, kw_only=True)
class Route:
    """A user-defined route."""

    table: str
    name: str
    prefix: IPv4Network
    hop: str
    address: IPv4Address | None

    def __str__(self) -> str:
        return f"{self.table}: route {self.name} ({self.prefix} to {self.hop} {self.address or ''})".rstrip()


@dataclass(frozen=True, kw_only=True)
class Subnet:
    """A subnet: what decides about what leaves and enters it."""

    id: str
    name: str
    network: str
    prefixes: tuple[IPv4Network, ...]
    group: Group | None
    nat: bool
    default_outbound: bool
    filters_endpoints: bool
    routes: tuple[Route, ...]

    @property
    def key(self) -> str:
        """The id as it is compared."""
        return key_of(self.id)


@dataclass(frozen=True, kw_only=True)
class Network:
    """A virtual network."""

    id: str
    name: str
    party: str
    space: tuple[IPv4Network, ...]
    subnets: tuple[Subnet, ...]
    dns_servers: tuple[str, ...]

    @property
    def key(self) -> str:
        """The id as it is compared."""
        return key_of(self.id)


@dataclass(frozen=True, kw_only=True)
class Peering:
    """One half of a peering."""

    id: str
    name: str
    local: str
    remote: str
    connected: bool
    access: bool
    forwarded: bool

    def __str__(self) -> str:
        return f"peering {self.name}"


@dataclass(frozen=True, kw_only=True)
class Interface:
    """A network interface of a VM, or one address of a private endpoint (``target`` is then set)."""

    id: str
    name: str
    party: str
    address: IPv4Address
    subnet: str
    group: Group | None = None
    public_address: str | None = None
    forwards: bool = False
    target: str | None = None
    approved: bool = True

    @property
    def is_endpoint(self) -> bool:
        """Whether it is a private endpoint's."""
        return self.target is not None


@dataclass(frozen=True, kw_only=True)
class Topology:
    """All that decides about reachability; keys are ids as they are compared.

    `outside` are endpoints in subnets that are not of this stack (`doors.py`).
    """

    networks: Mapping[str, Network]
    subnets: Mapping[str, Subnet]
    interfaces: tuple[Interface, ...]
    peerings: tuple[Peering, ...]
    unreadable: tuple[tuple[str, str], ...]
    outside: tuple[Interface, ...] = ()

    def network_of(self, subnet: Subnet) -> Network:
        """Return the network that a subnet is part of."""
        return self.networks[subnet.network]


def topology(deployment: Deployment, parties: Mapping[str, str]) -> Topology:
    """Read the networks of a deployment. ``parties`` maps subscription ids (lower case) to names."""
    return _Reader(deployment, parties).read()


class _Reader:
    def __init__(self, deployment: Deployment, parties: Mapping[str, str]) -> None:
        self._all = deployment
        self._parties = parties
        self._unreadable: list[tuple[str, str]] = []

    def read(self) -> Topology:
        groups = {g.key: self._group(g) for g in self._all.of("network:NetworkSecurityGroup")}
        tables = {t.key: self._routes(t) for t in self._all.of("network:RouteTable")}
        networks = {v.key: self._network(v, groups, tables) for v in self._all.of("network:VirtualNetwork")}
        subnets = {s.key: s for n in networks.values() for s in n.subnets}
        interfaces = [
            *(i for nic in self._all.of("network:NetworkInterface") for i in self._interfaces(nic, groups)),
            *(i for e in self._all.of("network:PrivateEndpoint") for i in self._endpoint(e)),
        ]
        for interface in interfaces:
            if interface.subnet not in subnets and not interface.is_endpoint:
                self._cannot(
                    interface.name, f"it is in subnet {interface.subnet}, which is not of this stack"
                )
        return Topology(
            networks=networks,
            subnets=subnets,
            interfaces=tuple(i for i in interfaces if i.subnet in subnets),
            peerings=tuple(self._peering(p) for p in self._all.of("network:VirtualNetworkPeering")),
            unreadable=tuple(self._unreadable),
            outside=tuple(i for i in interfaces if i.is_endpoint and i.subnet not in subnets),
        )

    def _cannot(self, resource: str, why: str) -> None:
        self._unreadable.append((resource, why))

    def _party(self, resource: Resource) -> str:
        return self._parties.get(resource.subscription, f"unknown subscription {resource.subscription}")

    def _network(
        self, vnet: Resource, groups: Mapping[str, Group], tables: Mapping[str, tuple[Route, ...]]
    ) -> Network:
        return Network(
            id=vnet.id,
            name=vnet.name,
            party=self._party(vnet),
            space=tuple(self._prefixes(vnet.name, vnet.at("addressSpace.addressPrefixes") or ())),
            subnets=tuple(self._subnet(vnet, s, groups, tables) for s in vnet.each("subnets")),
            dns_servers=tuple(vnet.at("dhcpOptions.dnsServers") or ()),
        )

    def _subnet(
        self,
        vnet: Resource,
        subnet: Mapping[str, Any],
        groups: Mapping[str, Group],
        tables: Mapping[str, tuple[Route, ...]],
    ) -> Subnet:
        name = str(subnet["name"])
        group = reference(subnet.get("networkSecurityGroup"))
        table = reference(subnet.get("routeTable"))
        for what, arm_id, known in (("security group", group, groups), ("route table", table, tables)):
            if arm_id and key_of(arm_id) not in known:
                self._cannot(f"{vnet.name}/{name}", f"its {what} {arm_id} is not of this stack")
        policies = str(subnet.get("privateEndpointNetworkPolicies") or "Disabled")
        return Subnet(
            id=subnet.get("id") or f"{vnet.id}/subnets/{name}",
            name=name,
            network=vnet.key,
            prefixes=tuple(
                self._prefixes(f"{vnet.name}/{name}", _texts(subnet, "addressPrefix", "addressPrefixes"))
            ),
            group=groups.get(key_of(group)) if group else None,
            nat=reference(subnet.get("natGateway")) is not None,
            default_outbound=subnet.get("defaultOutboundAccess") is not False,
            filters_endpoints=policies in ("Enabled", "NetworkSecurityGroupEnabled"),
            routes=tables.get(key_of(table), ()) if table else (),
        )

    def _group(self, group: Resource) -> Group:
        own = tuple(self._rule(group.name, entry) for entry in group.each("securityRules"))
        return Group(id=group.id, name=group.name, rules=(*own, *_default_rules(group.name)))

    def _rule(self, group: str, entry: Mapping[str, Any]) -> Rule:
        return Rule(
            group=group,
            name=str(entry["name"]),
            direction=str(entry["direction"]),
            access=str(entry["access"]),
            priority=int(entry["priority"]),
            protocol=str(entry["protocol"]).capitalize() if entry["protocol"] != "*" else "*",
            source=self._side(group, entry, "source"),
            destination=self._side(group, entry, "destination"),
            ports=ports(*_texts(entry, "destinationPortRange", "destinationPortRanges")),
            port_text=", ".join(_texts(entry, "destinationPortRange", "destinationPortRanges")),
            any_source_port=ports(*_texts(entry, "sourcePortRange", "sourcePortRanges")) in (EVERY, ()),
        )

    def _side(self, group: str, entry: Mapping[str, Any], side: str) -> Side:
        texts = _texts(entry, f"{side}AddressPrefix", f"{side}AddressPrefixes")
        unclear = bool(entry.get(f"{side}ApplicationSecurityGroups"))
        if unclear:
            self._cannot(f"{group}/{entry['name']}", "it names application security groups")
        return _side(texts, everything=unclear and entry["access"] == "Allow")

    def _routes(self, table: Resource) -> tuple[Route, ...]:
        return tuple(
            Route(
                table=table.name,
                name=str(entry["name"]),
                prefix=prefix,
                hop=str(entry["nextHopType"]),
                address=IPv4Address(entry["nextHopIpAddress"]) if entry.get("nextHopIpAddress") else None,
            )
            for entry in table.each("routes")
            for prefix in self._prefixes(table.name, [str(entry["addressPrefix"])])
        )

    def _interfaces(self, nic: Resource, groups: Mapping[str, Group]) -> Iterator[Interface]:
        group = reference(nic.at("networkSecurityGroup"))
        for configuration in nic.each("ipConfigurations"):
            subnet, address = reference(configuration.get("subnet")), configuration.get("privateIPAddress")
            if subnet is None or address is None:
                self._cannot(nic.name, "it has no subnet or no address")
                continue
            yield Interface(
                id=nic.id,
                name=nic.name,
                party=self._party(nic),
                address=IPv4Address(address),
                subnet=key_of(subnet),
                group=groups.get(key_of(group)) if group else None,
                public_address=reference(configuration.get("publicIPAddress")),
                forwards=nic.at("enableIPForwarding") is True,
            )

    def _endpoint(self, endpoint: Resource) -> Iterator[Interface]:
        subnet = reference(endpoint.at("subnet"))
        connections = [
            *endpoint.each("privateLinkServiceConnections"),
            *endpoint.each("manualPrivateLinkServiceConnections"),
        ]
        addresses = dict.fromkeys(
            str(c["privateIPAddress"]) for c in endpoint.each("ipConfigurations") if c.get("privateIPAddress")
        ) or dict.fromkeys(
            str(a) for c in endpoint.each("customDnsConfigs") for a in c.get("ipAddresses") or ()
        )
        if subnet is None or len(connections) != 1 or not addresses:
            self._cannot(endpoint.name, "it has no subnet, no address, or not exactly one connection")
            return
        state = connections[0].get("privateLinkServiceConnectionState") or {}
        for address in addresses:
            yield Interface(
                id=endpoint.id,
                name=endpoint.name,
                party=self._party(endpoint),
                address=IPv4Address(address),
                subnet=key_of(subnet),
                target=str(connections[0].get("privateLinkServiceId")),
                approved=state.get("status", "Approved") == "Approved",
            )

    def _peering(self, peering: Resource) -> Peering:
        # A state keeps what each half was when it was made: the first was waiting for the second.
        good = {"Connected"} if self._all.live else {"Connected", "Initiated"}
        return Peering(
            id=peering.id,
            name=peering.name,
            local=key_of(peering.id.rsplit("/", 2)[0]),
            remote=key_of(reference(peering.at("remoteVirtualNetwork")) or ""),
            connected=peering.at("peeringState") in good,
            access=peering.at("allowVirtualNetworkAccess") is not False,
            forwarded=peering.at("allowForwardedTraffic") is True,
        )

    def _prefixes(self, owner: str, texts: Iterable[Any]) -> Iterator[IPv4Network]:
        for text in texts:
            try:
                yield IPv4Network(text)
            except (AddressValueError, NetmaskValueError, ValueError):
                self._cannot(owner, f"{text!r} is no IPv4 range that verification understands")


def _texts(entry: Mapping[str, Any], single: str, several: str) -> list[str]:
    found = [entry.get(single), *(entry.get(several) or ())]
    return [str(value) for value in found if value not in (None, "")]


def _side(texts: Sequence[str], *, everything: bool = False) -> Side:
    ranges: list[Interval] = []
    tags: set[str] = set()
    for text in texts:
        if text in ("*", "0.0.0.0/0", "Any"):
            everything = True
            continue
        try:
            network = IPv4Network(text, strict=False)
        except (AddressValueError, NetmaskValueError, ValueError):
            tags.add(text.lower())
        else:
            ranges.append((int(network.network_address), int(network.broadcast_address)))
    return Side(
        everything=everything, ranges=tuple(sorted(ranges)), tags=frozenset(tags), text=", ".join(texts)
    )


def _default_rules(group: str) -> Iterator[Rule]:
    """Yield the six rules that every group ends with."""
    for rule in DEFAULT_RULES:
        yield Rule(
            group=group,
            name=rule.name,
            direction=INBOUND if rule.inbound else OUTBOUND,
            access="Allow" if rule.allow else "Deny",
            priority=rule.priority,
            protocol="*",
            source=_side([rule.source]),
            destination=_side([rule.destination]),
            ports=EVERY,
            port_text="*",
            any_source_port=True,
            default=True,
        )
