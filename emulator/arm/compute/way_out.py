"""Whether a machine has a way to the internet, by addresses and subnets; rules on it are the datacentre's."""

from __future__ import annotations

from emulator.arm.messages import Json
from emulator.arm.network.routes import appliance, reaches_appliance
from emulator.arm.store import Row, Transaction


def has_way_out(tx: Transaction, machine: Row) -> bool:
    """Say whether any interface of a machine has a public address, a NAT gateway, a firewall, or default
    access.
    """
    interfaces = [tx.get(one["id"]) for one in machine.properties["networkProfile"]["networkInterfaces"]]
    return any(
        _leads_out(tx, configuration["properties"])
        for interface in interfaces
        if interface
        for configuration in interface.properties["ipConfigurations"]
    )


def _leads_out(tx: Transaction, address: Json) -> bool:
    subnet = tx.get(address["subnet"]["id"])
    if subnet is not None and appliance(tx, subnet) is not None:
        return reaches_appliance(tx, subnet)
    return subnet is not None and (
        "publicIPAddress" in address
        or "natGateway" in subnet.properties
        or subnet.properties.get("defaultOutboundAccess") is not False
    )
