"""What the control plane's feed said so far, and the networks that follow from it.

`Inventory` holds ARM bodies by id and gives typed access; `topology` reads the networks out of it. Nothing
here acts: the same inventory gives the same topology.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from emulator.datacentre.topology import Group, Network, Peering, Port, Rule, Topology

Json = dict[str, Any]

VNET = "microsoft.network/virtualnetworks"
SUBNET = "microsoft.network/virtualnetworks/subnets"
PEERING = "microsoft.network/virtualnetworks/virtualnetworkpeerings"
NSG = "microsoft.network/networksecuritygroups"
NSG_RULE = "microsoft.network/networksecuritygroups/securityrules"
NIC = "microsoft.network/networkinterfaces"
ENDPOINT = "microsoft.network/privateendpoints"
VM = "microsoft.compute/virtualmachines"

_FILTERED_ENDPOINTS = {"enabled", "networksecuritygroupenabled"}


@dataclass(frozen=True, slots=True)
class Document:
    """One resource: its id and type as ARM writes them, and the body of a GET (plus `emulator`)."""

    id: str
    type: str
    body: Json

    @property
    def key(self) -> str:
        """The id as it is compared."""
        return self.id.lower()

    @property
    def name(self) -> str:
        """The last name of the id."""
        return self.id.rsplit("/", 1)[-1]

    @property
    def parent(self) -> str:
        """The key of the resource above."""
        return self.key.rsplit("/", 2)[0]

    @property
    def properties(self) -> Json:
        """The ARM properties."""
        properties: Json = self.body.get("properties") or {}
        return properties

    @property
    def hidden(self) -> Json:
        """What only the feed tells: power, boot, customData, userData."""
        hidden: Json = self.body.get("emulator") or {}
        return hidden


class Inventory:
    """ARM's resources as last heard."""

    def __init__(self) -> None:
        self.revision = 0
        self.images: list[Json] = []
        self._documents: dict[str, Document] = {}
        self._by_type: dict[str, dict[str, Document]] = {}

    def apply(self, changes: Json) -> bool:
        """Take in an answer of ``GET /emulator/changes``; say whether a resource or an image differs."""
        changed = False
        for upsert in changes["upserts"]:
            document = Document(upsert["id"], upsert["type"], upsert["body"])
            changed |= self._documents.get(document.key) != document
            self._documents[document.key] = document
            self._by_type.setdefault(document.type.lower(), {})[document.key] = document
        for identifier in changes["deletes"]:
            gone = self._documents.pop(identifier.lower(), None)
            if gone:
                del self._by_type[gone.type.lower()][gone.key]
                changed = True
        new = [image for image in changes.get("images", []) if image not in self.images]
        self.images.extend(new)
        self.revision = changes["revision"]
        return changed or bool(new)

    def get(self, identifier: str | None) -> Document | None:
        """Return a resource by id, in any case."""
        return self._documents.get(identifier.lower()) if identifier else None

    def of_type(self, kind: str) -> Iterator[Document]:
        """Yield the resources of a type, in the order of their ids."""
        return (document for _, document in sorted(self._by_type.get(kind.lower(), {}).items()))

    def children(self, parent: Document, kind: str, inline: str) -> list[Document]:
        """Return the children of a type: resources of their own, or else those inside the parent's body."""
        if kind in self._by_type:
            return [document for document in self.of_type(kind) if document.parent == parent.key]
        name = kind.rsplit("/", 1)[-1]
        return [
            Document(item.get("id") or f"{parent.id}/{name}/{item['name']}", kind, item)
            for item in parent.properties.get(inline) or []
        ]


def topology(inventory: Inventory, tags: Mapping[str, frozenset[str]] | None = None) -> Topology:
    """Return the networks, security groups, peerings and ports of an inventory."""
    networks = {vnet.key: _network(vnet) for vnet in inventory.of_type(VNET)}
    subnets = {
        subnet.key: subnet
        for vnet in inventory.of_type(VNET)
        for subnet in inventory.children(vnet, SUBNET, "subnets")
    }
    members = _asg_members(inventory)
    groups = {
        document.key: Group(
            id=document.key,
            name=document.name,
            rules=tuple(
                _rule(rule, members) for rule in inventory.children(document, NSG_RULE, "securityRules")
            ),
        )
        for document in inventory.of_type(NSG)
    }
    ports = [*_interfaces(inventory, subnets), *_endpoints(inventory, subnets)]
    return Topology(
        networks=networks,
        groups=groups,
        ports={port.id: port for port in ports if port.network in networks},
        peerings=tuple(_peerings(inventory, networks)),
        tags=dict(tags or {}),
    )


def reference(value: Any) -> str | None:
    """Return the key of ``{"id": ...}``, None when there is none."""
    return value["id"].lower() if value and value.get("id") else None


def texts(*values: str | Sequence[str] | None) -> tuple[str, ...]:
    """Join single values and lists, as in ``addressPrefix`` and ``addressPrefixes``."""
    found: list[str] = []
    for value in values:
        found.extend([value] if isinstance(value, str) and value else value or ())
    return tuple(dict.fromkeys(found))


def _network(vnet: Document) -> Network:
    prefixes = vnet.properties["addressSpace"]["addressPrefixes"]
    return Network(id=vnet.key, name=vnet.name, prefixes=tuple(p for p in prefixes if ":" not in p))


def _asg_members(inventory: Inventory) -> Mapping[str, tuple[str, ...]]:
    members: dict[str, list[str]] = {}
    for nic in inventory.of_type(NIC):
        for configuration in nic.properties.get("ipConfigurations") or []:
            properties = configuration["properties"]
            for group in properties.get("applicationSecurityGroups") or []:
                members.setdefault(group["id"].lower(), []).append(properties["privateIPAddress"])
    return {group: tuple(sorted(addresses)) for group, addresses in members.items()}


def _rule(document: Document, members: Mapping[str, tuple[str, ...]]) -> Rule:
    properties = document.properties

    def side(which: str) -> tuple[str, ...]:
        groups = properties.get(f"{which}ApplicationSecurityGroups") or []
        inside = [address for group in groups for address in members.get(group["id"].lower(), ())]
        named = texts(properties.get(f"{which}AddressPrefix"), properties.get(f"{which}AddressPrefixes"))
        return (*named, *inside)

    def ports(which: str) -> tuple[str, ...]:
        return texts(properties.get(f"{which}PortRange"), properties.get(f"{which}PortRanges"))

    return Rule(
        name=document.name,
        priority=int(properties["priority"]),
        inbound=properties["direction"].lower() == "inbound",
        allow=properties["access"].lower() == "allow",
        protocol=properties["protocol"].lower(),
        sources=side("source"),
        source_ports=ports("source") or ("*",),
        destinations=side("destination"),
        destination_ports=ports("destination") or ("*",),
    )


def _peerings(inventory: Inventory, networks: Mapping[str, Network]) -> Iterable[Peering]:
    halves: dict[tuple[str, str], Json] = {}
    for vnet in inventory.of_type(VNET):
        for half in inventory.children(vnet, PEERING, "virtualNetworkPeerings"):
            remote = reference(half.properties.get("remoteVirtualNetwork"))
            if remote and remote in networks and half.properties.get("peeringState") == "Connected":
                halves[vnet.key, remote] = half.properties
    for (local, remote), properties in sorted(halves.items(), key=lambda item: item[0]):
        if (remote, local) in halves:
            yield Peering(
                local=local,
                remote=remote,
                access=properties.get("allowVirtualNetworkAccess", True),
                forwarded=properties.get("allowForwardedTraffic", False),
            )


def _interfaces(inventory: Inventory, subnets: Mapping[str, Document]) -> Iterable[Port]:
    for nic in inventory.of_type(NIC):
        vm = inventory.get(reference(nic.properties.get("virtualMachine")))
        if vm is None:
            continue
        configurations = nic.properties["ipConfigurations"]
        subnet = subnets.get(reference(configurations[0]["properties"].get("subnet")) or "")
        if subnet is None:
            continue
        own = reference(nic.properties.get("networkSecurityGroup"))
        nearest = (own, reference(subnet.properties.get("networkSecurityGroup")))
        yield Port(
            id=nic.key,
            owner=vm.key,
            name=vm.name,
            network=subnet.parent,
            subnet=subnet.key,
            addresses=tuple(item["properties"]["privateIPAddress"] for item in configurations),
            groups=tuple(group for group in nearest if group),
            egress=_egress(inventory, subnet),
            forwarding=bool(nic.properties.get("enableIPForwarding")),
            running=vm.hidden.get("power", "running") == "running",
        )


def _endpoints(inventory: Inventory, subnets: Mapping[str, Document]) -> Iterable[Port]:
    for endpoint in inventory.of_type(ENDPOINT):
        subnet = subnets.get(reference(endpoint.properties.get("subnet")) or "")
        addresses = tuple(sorted({address for _, address in endpoint_addresses(inventory, endpoint)}))
        if subnet is None or not addresses:
            continue
        policies = str(subnet.properties.get("privateEndpointNetworkPolicies") or "Disabled").lower()
        group = reference(subnet.properties.get("networkSecurityGroup"))
        yield Port(
            id=endpoint.key,
            owner=endpoint.key,
            name=endpoint.name,
            network=subnet.parent,
            subnet=subnet.key,
            addresses=addresses,
            endpoint=True,
            groups=(group,) if group and policies in _FILTERED_ENDPOINTS else (),
            running=endpoint_target(endpoint) is not None,
        )


def endpoint_target(endpoint: Document) -> tuple[str, str] | None:
    """Return (key of the target, group such as ``blob``) of an approved private endpoint, else None."""
    for kind in ("privateLinkServiceConnections", "manualPrivateLinkServiceConnections"):
        for connection in endpoint.properties.get(kind) or []:
            properties = connection["properties"]
            state = properties.get("privateLinkServiceConnectionState") or {}
            if state.get("status") == "Approved":
                return properties["privateLinkServiceId"].lower(), (properties.get("groupIds") or [""])[0]
    return None


def endpoint_addresses(inventory: Inventory, endpoint: Document) -> list[tuple[str, str]]:
    """Return (member name, address) of a private endpoint, as its interface has them."""
    found = []
    for link in endpoint.properties.get("networkInterfaces") or []:
        nic = inventory.get(link["id"])
        for configuration in (nic.properties.get("ipConfigurations") or []) if nic else []:
            properties = configuration["properties"]
            member = (properties.get("privateLinkConnectionProperties") or {}).get("requiredMemberName", "")
            found.append((member, properties["privateIPAddress"]))
    return found


def _egress(inventory: Inventory, subnet: Document) -> bool:
    """Say whether a subnet reaches the internet: through a NAT gateway, or by Azure's default access.

    A default route to a firewall overrules both. No firewall is imitated: it lets through whatever reaches
    it, if its address is in the subnet's network or in one peered with it, as Azure demands of a next hop.
    """
    properties = subnet.properties
    firewall = _firewall(inventory, subnet)
    if firewall is not None:
        return any(firewall in space for space in _near(inventory, subnet.parent))
    return (
        bool(reference(properties.get("natGateway"))) or properties.get("defaultOutboundAccess") is not False
    )


def _firewall(inventory: Inventory, subnet: Document) -> IPv4Address | None:
    table = inventory.get(reference(subnet.properties.get("routeTable")))
    for route in table.properties.get("routes") or () if table else ():
        properties = route["properties"]
        if (properties["addressPrefix"], properties["nextHopType"]) == ("0.0.0.0/0", "VirtualAppliance"):
            return IPv4Address(properties["nextHopIpAddress"])
    return None


def _near(inventory: Inventory, network: str) -> Iterator[IPv4Network]:
    """Yield the ranges of a network and of those that are peered with it."""
    keys = [network]
    for peering in inventory.of_type(PEERING):
        if peering.parent == network and peering.properties["peeringState"] == "Connected":
            keys.append(reference(peering.properties.get("remoteVirtualNetwork")) or "")
    for vnet in filter(None, map(inventory.get, keys)):
        yield from map(IPv4Network, vnet.properties["addressSpace"]["addressPrefixes"])
