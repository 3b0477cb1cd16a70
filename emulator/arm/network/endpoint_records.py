"""The addresses of a private endpoint, and the A records that its zone group keeps of them."""

from __future__ import annotations

from emulator.arm.messages import Json
from emulator.arm.network import private_dns
from emulator.arm.network.private_links import Member, members
from emulator.arm.store import Row, Transaction

ZONE_GROUP = "Microsoft.Network/privateEndpoints/privateDnsZoneGroups"
LISTS = ("privateLinkServiceConnections", "manualPrivateLinkServiceConnections")


def connection_of(properties: Json) -> tuple[Json, bool]:
    """Return the one connection of an endpoint and whether it waits for approval by hand."""
    automatic, manual = (properties.get(name) or [] for name in LISTS)
    return (automatic or manual)[0], not automatic


def target_of(tx: Transaction, endpoint: Row) -> Row | None:
    """Return the service that an endpoint stands for, None when it has been deleted."""
    connection, _ = connection_of(endpoint.properties)
    return tx.get(connection["properties"]["privateLinkServiceId"])


def endpoint_addresses(tx: Transaction, row: Row) -> list[tuple[Member, str]]:
    """Return each member of an approved endpoint with its address; nothing while it waits or is
    disconnected.
    """
    connection, _ = connection_of(row.properties)
    target = target_of(tx, row)
    interface = next((tx.get(one["id"]) for one in row.properties["networkInterfaces"]), None)
    state = connection["properties"]["privateLinkServiceConnectionState"]["status"]
    if target is None or interface is None or state != "Approved":
        return []
    by_member = {
        one["properties"]["privateLinkConnectionProperties"]["requiredMemberName"]: one["properties"]
        for one in interface.properties["ipConfigurations"]
    }
    group = connection["properties"]["groupIds"][0]
    return [(part, by_member[part.name]["privateIPAddress"]) for part in members(target, group) or []]


def creator(endpoint: Row) -> str:
    """Return the mark that Azure leaves in the records of a zone group."""
    guid = endpoint.hidden.get("resourceGuid", "")
    return f"created by private endpoint {endpoint.name} with resource guid {guid}"


def refresh_records(tx: Transaction, endpoint: Row) -> None:
    """Bring the A records of an endpoint's zone group in line with its addresses."""
    group = next(iter(tx.children(endpoint.key, ZONE_GROUP)), None)
    zones = (
        [one["properties"]["privateDnsZoneId"] for one in group.properties["privateDnsZoneConfigs"]]
        if group
        else []
    )
    wanted: dict[str, str] = {}
    for zone_id in zones:
        zone = tx.get(zone_id)
        if zone is not None:
            for part, address in endpoint_addresses(tx, endpoint):
                if part.zone == zone.name.lower():
                    wanted[private_dns.record_id(zone, part.record)] = address
    private_dns.sync_records(tx, creator(endpoint), wanted)
