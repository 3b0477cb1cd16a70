"""Azure's rules for who reaches whom, written again from the documentation, without the datacentre's code.

Works on the same ARM bodies. Security groups: rules by priority, then the default ones
(learn.microsoft.com/azure/virtual-network/network-security-groups-overview).
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from tests.datacentre.cloud import Cloud

Json = dict[str, Any]
PRIVATE = [IPv4Network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")]
DEFAULTS = [
    ("AllowVnetInBound", 65000, "Inbound", "Allow", "VirtualNetwork", "VirtualNetwork"),
    ("AllowAzureLoadBalancerInBound", 65001, "Inbound", "Allow", "AzureLoadBalancer", "*"),
    ("DenyAllInBound", 65500, "Inbound", "Deny", "*", "*"),
    ("AllowVnetOutBound", 65000, "Outbound", "Allow", "VirtualNetwork", "VirtualNetwork"),
    ("AllowInternetOutBound", 65001, "Outbound", "Allow", "*", "Internet"),
    ("DenyAllOutBound", 65500, "Outbound", "Deny", "*", "*"),
]


@dataclass(frozen=True)
class Packet:
    source: str
    destination: str
    protocol: str
    port: int
    source_port: int = 50000


class Oracle:
    def __init__(self, cloud: Cloud) -> None:
        bodies = [document["body"] for document in cloud.documents.values()]
        self.vnets = [body for body in bodies if body["type"].endswith("/virtualNetworks")]
        self.groups = {b["id"]: b for b in bodies if b["type"].endswith("/networkSecurityGroups")}
        self.halves = {
            (b["id"].rsplit("/", 2)[0], b["properties"]["remoteVirtualNetwork"]["id"]): b["properties"]
            for b in bodies
            if b["type"].endswith("/virtualNetworkPeerings")
            and b["properties"]["peeringState"] == "Connected"
        }

    def verdict(self, packet: Packet) -> tuple[bool, str]:
        """Return whether the packet passes, and the rule or reason that decided."""
        here, there = self.home(packet.source), self.home(packet.destination)
        assert here is not None
        if there is None and any(IPv4Address(packet.destination) in network for network in PRIVATE):
            return False, "a private range that no network of one's own covers"
        if there is not None and here["id"] != there["id"]:
            pair = (here["id"], there["id"])
            if pair not in self.halves or pair[::-1] not in self.halves:
                return False, "the networks are not peered, both halves Connected"
        allowed, name = self.ask(packet.source, "Outbound", packet)
        if not allowed:
            return False, name
        if there is None:
            subnet = self.subnet(packet.source)["properties"]
            if not subnet.get("natGateway") and subnet.get("defaultOutboundAccess") is False:
                return False, (
                    "the subnet has neither NAT gateway nor default outbound access nor a firewall within "
                    "reach"
                )
            return True, name
        return self.ask(packet.destination, "Inbound", packet)

    def home(self, address: str) -> Json | None:
        return next(
            (v for v in self.vnets if inside(address, v["properties"]["addressSpace"]["addressPrefixes"])),
            None,
        )

    def subnet(self, address: str) -> Json:
        home = self.home(address)
        assert home is not None
        subnets = home["properties"]["subnets"]
        return next(each for each in subnets if inside(address, [each["properties"]["addressPrefix"]]))

    def ask(self, address: str, direction: str, packet: Packet) -> tuple[bool, str]:
        """Ask the security group of a subnet."""
        group = self.groups[self.subnet(address)["properties"]["networkSecurityGroup"]["id"]]
        rules = [
            {"name": rule["name"], **rule["properties"]} for rule in group["properties"]["securityRules"]
        ]
        for name, priority, way, access, source, destination in DEFAULTS:
            rules.append(
                {
                    "name": name, "priority": priority, "direction": way, "access": access, "protocol": "*",
                    "sourceAddressPrefix": source, "destinationAddressPrefix": destination,
                    "sourcePortRange": "*", "destinationPortRange": "*",
                }
            )  # fmt: skip
        for rule in sorted(rules, key=lambda rule: rule["priority"]):
            if rule["direction"] == direction and self.matches(rule, address, packet):
                return rule["access"] == "Allow", f"{group['name']}/{rule['name']}"
        raise AssertionError("the last default rule matches everything")

    def matches(self, rule: Json, address: str, packet: Packet) -> bool:
        return (
            rule["protocol"].lower() in {"*", packet.protocol}
            and any(self.covers(each, address, packet.source) for each in both(rule, "sourceAddressPrefix"))
            and any(
                self.covers(each, address, packet.destination)
                for each in both(rule, "destinationAddressPrefix")
            )
            and any(in_range(each, packet.source_port) for each in both(rule, "sourcePortRange"))
            and any(in_range(each, packet.port) for each in both(rule, "destinationPortRange"))
        )

    def covers(self, prefix: str, own: str, address: str) -> bool:
        """Say whether a prefix or tag, as the subnet of `own` understands it, covers an address."""
        if prefix == "*":
            return True
        if prefix == "VirtualNetwork":
            return inside(address, self.tag(own))
        if prefix == "Internet":
            return not inside(address, self.tag(own)) and not any(
                IPv4Address(address) in net for net in PRIVATE
            )
        if prefix == "AzureLoadBalancer":
            return address == "168.63.129.16"
        if not prefix[0].isdigit():
            return False  # no service of that tag lives on this machine
        return inside(address, [prefix])

    def tag(self, own: str) -> list[str]:
        """Return what VirtualNetwork means: the own space, and peers' unless access is switched off."""
        home = self.home(own)
        assert home is not None
        found = list(home["properties"]["addressSpace"]["addressPrefixes"])
        for (local, remote), half in self.halves.items():
            if local == home["id"] and (remote, local) in self.halves and half["allowVirtualNetworkAccess"]:
                vnet = next(vnet for vnet in self.vnets if vnet["id"] == remote)
                found += vnet["properties"]["addressSpace"]["addressPrefixes"]
        return found


def inside(address: str, prefixes: list[str]) -> bool:
    return any(IPv4Address(address) in IPv4Network(prefix) for prefix in prefixes)


def both(rule: Json, name: str) -> list[str]:
    several = {"sourceAddressPrefix": "Prefixes", "destinationAddressPrefix": "Prefixes"}
    plural = name.removesuffix("Prefix") + several[name] if name in several else name + "s"
    return [rule[name]] if rule.get(name) else list(rule.get(plural, []))


def in_range(text: str, port: int) -> bool:
    first, _, last = text.partition("-")
    return text == "*" or int(first) <= port <= int(last or first)
