"""Which routes and security rules hold for an interface: asked by people who look for a lost packet.

https://learn.microsoft.com/azure/virtual-network/virtual-networks-udr-overview#system-routes
https://learn.microsoft.com/rest/api/virtualnetwork/network-interfaces/list-effective-network-security-groups
"""

from __future__ import annotations

from collections.abc import Iterator

from emulator.arm.context import Context
from emulator.arm.errors import bad_request
from emulator.arm.messages import Json, Request, Response
from emulator.arm.network.interface_links import endpoint_of, machine_of, subnets_of
from emulator.arm.network.routes import APPLIANCE, EVERYTHING, appliance
from emulator.arm.network.security_groups import RULE, default_rules
from emulator.arm.network.virtual_networks import PEERING, SUBNET
from emulator.arm.operations import answer_later
from emulator.arm.store import Row, Transaction
from emulator.arm.writes import render

PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")
"""Ranges that lead nowhere unless a network has them itself."""


def effective_routes(context: Context, row: Row, request: Request) -> Response:
    """Answer the routes of an interface."""
    _refuse_idle(context.tx, row)
    subnet = context.tx.get(subnets_of(row)[0])
    network = context.tx.get(subnet.parent) if subnet else None
    routes = list(_routes(context.tx, network, appliance(context.tx, subnet))) if network and subnet else []
    return answer_later(context, row, request, {"value": routes})


def effective_groups(context: Context, row: Row, request: Request) -> Response:
    """Answer the security groups of an interface, its own and its subnet's, with their rules."""
    _refuse_idle(context.tx, row)
    subnet = context.tx.get(subnets_of(row)[0])
    owners = [("networkInterface", row)] + ([("subnet", subnet)] if subnet else [])
    groups = [
        {
            "networkSecurityGroup": {"id": group.id},
            "association": {what: {"id": owner.id}},
            "effectiveSecurityRules": [_rule(one) for one in _rules(context, group)],
        }
        for what, owner in owners
        if (group := _group_of(context.tx, owner)) is not None
    ]
    return answer_later(context, row, request, {"value": groups})


def _refuse_idle(tx: Transaction, row: Row) -> None:
    """Azure knows the answer for a running machine only, and says so with 400."""
    machine = machine_of(tx, row.key)
    if machine is None or machine.hidden.get("power") != "running":
        raise bad_request(
            "NetworkInterfaceNotAttachedToRunningVm",
            f"Network interface {row.id} is not attached to a running virtual machine: nothing is in effect.",
        )


# Routes


def _routes(tx: Transaction, network: Row, firewall: str | None) -> Iterator[Json]:
    own = list(network.properties["addressSpace"]["addressPrefixes"])
    peered = [one for one in tx.children(network.key, PEERING) if _carries(one)]
    remote = [prefix for one in peered for prefix in one.properties["remoteAddressSpace"]["addressPrefixes"]]
    yield from (_route(prefix, "VnetLocal") for prefix in own)
    yield from (_route(prefix, "VNetPeering") for prefix in remote)
    yield _route(EVERYTHING, "Internet", overruled=firewall is not None)
    if firewall is not None:
        yield _route(EVERYTHING, APPLIANCE, via=firewall)
    yield from (_route(prefix, "None") for prefix in PRIVATE if prefix not in (*own, *remote))
    networks = [network.key, *(one.properties["remoteVirtualNetwork"]["id"] for one in peered)]
    for key in networks:
        yield from (_route(f"{address}/32", "InterfaceEndpoint") for address in _endpoints(tx, key))


def _carries(peering: Row) -> bool:
    properties = peering.properties
    return properties["peeringState"] == "Connected" and bool(properties["allowVirtualNetworkAccess"])


def _endpoints(tx: Transaction, network: str) -> Iterator[str]:
    """Yield the addresses of the private endpoints in a network."""
    for subnet in tx.children(network, SUBNET):
        for owner in dict.fromkeys(owner for _, owner, _ in tx.addresses(subnet.key)):
            interface = tx.get(owner)
            if interface is not None and endpoint_of(tx, owner) is not None:
                for one in interface.properties["ipConfigurations"]:
                    yield str(one["properties"]["privateIPAddress"])


def _route(prefix: str, hop: str, *, via: str | None = None, overruled: bool = False) -> Json:
    """A route: Azure's own, or the user's that leads to an appliance, which overrules Azure's."""
    return {
        "source": "User" if via else "Default",
        "state": "Invalid" if overruled else "Active",
        "addressPrefix": [prefix],
        "nextHopType": hop,
        "nextHopIpAddress": [via] if via else [],
        "disableBgpRoutePropagation": False,
    }


# Rules


def _group_of(tx: Transaction, owner: Row) -> Row | None:
    named = (owner.properties.get("networkSecurityGroup") or {}).get("id")
    return tx.get(named) if named else None


def _rules(context: Context, group: Row) -> list[Json]:
    own = [render(context, one) for one in context.tx.children(group.key, RULE)]
    return [*own, *default_rules(group.id)]


def _rule(rule: Json) -> Json:
    properties = rule["properties"]
    where = "defaultSecurityRules" if "/defaultSecurityRules/" in rule["id"] else "securityRules"
    answer: Json = {
        "name": f"{where}/{rule['name']}",
        "protocol": "All" if properties["protocol"] == "*" else properties["protocol"],
    }
    answer |= {name: properties[name] for name in ("access", "priority", "direction")}
    for side in ("source", "destination"):
        ports = properties.get(f"{side}PortRanges") or [properties.get(f"{side}PortRange", "*")]
        prefixes = properties.get(f"{side}AddressPrefixes") or [properties.get(f"{side}AddressPrefix", "*")]
        answer[f"{side}PortRanges"] = [_range(one) for one in ports]
        answer[f"{side}AddressPrefixes"] = prefixes
        answer[f"{side}PortRange"] = _range(ports[0])
        answer[f"{side}AddressPrefix"] = prefixes[0]
    return answer


def _range(ports: str) -> str:
    """Return a range of ports as Azure writes one in effect: ``22-22``."""
    return "0-65535" if ports == "*" else ports if "-" in ports else f"{ports}-{ports}"
