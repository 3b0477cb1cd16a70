"""Route tables: where packets of a subnet go that no network of its own has.

https://learn.microsoft.com/azure/virtual-network/virtual-networks-udr-overview
"""

from __future__ import annotations

import uuid
from dataclasses import replace

from emulator.arm import answers
from emulator.arm.catalogue import WEAK_ETAG, described
from emulator.arm.context import Deletion, Write, new_etag
from emulator.arm.errors import bad_request
from emulator.arm.messages import Json
from emulator.arm.network import addresses
from emulator.arm.network.common import bad_name
from emulator.arm.network.virtual_networks import PEERING, SUBNET, space
from emulator.arm.store import Row, Transaction
from emulator.arm.writes import sources

TABLE = "Microsoft.Network/routeTables"
ROUTE = "Microsoft.Network/routeTables/routes"
IN_USE = "properties.routeTable.id"
APPLIANCE = "VirtualAppliance"
EVERYTHING = "0.0.0.0/0"


def appliance(tx: Transaction, subnet: Row) -> str | None:
    """Return the address to which a subnet's route table sends all that has no network of its own."""
    table = (subnet.properties.get("routeTable") or {}).get("id")
    for route in tx.children(table.lower(), ROUTE) if table else ():
        properties = route.properties
        if (properties["addressPrefix"], properties["nextHopType"]) == (EVERYTHING, APPLIANCE):
            return str(properties["nextHopIpAddress"])
    return None


def reaches_appliance(tx: Transaction, subnet: Row) -> bool:
    """Say whether that address can be a next hop: it has to be in the network, or in one peered with it."""
    wanted = appliance(tx, subnet)
    network = tx.get(subnet.parent)
    if wanted is None or network is None:
        return False
    peered = [tx.get(one.properties["remoteVirtualNetwork"]["id"]) for one in _connected(tx, network)]
    address = addresses.parse_prefix(f"{wanted}/32", subnet.id)
    return any(addresses.inside(address, one) for near in (network, *peered) if near for one in space(near))


def _connected(tx: Transaction, network: Row) -> list[Row]:
    found = tx.children(network.key, PEERING)
    return [one for one in found if one.properties["peeringState"] == "Connected"]


def _complete_table(write: Write) -> None:
    write.settle("properties.resourceGuid", str(uuid.uuid4()))


def _check_prefixes(write: Write) -> None:
    """Azure takes one route for a range: RouteConflict (terraform-provider-azurerm #6471)."""
    seen: dict[str, str] = {}
    for route in write.tx.children(write.id.key, ROUTE):
        other = seen.setdefault(route.properties["addressPrefix"], route.name)
        if other != route.name:
            raise bad_request("RouteConflict", f"Route {other} conflicts with route {route.name}.")


def _check_hop(write: Write) -> None:
    """An address belongs to a virtual appliance, and to nothing else."""
    addresses.parse_prefix(write.properties["addressPrefix"], write.id.path)
    hop, address = write.properties["nextHopType"], write.get("properties.nextHopIpAddress")
    if (hop == APPLIANCE) != bool(address):
        raise bad_request(
            "InvalidRouteNextHopIpAddress",
            f"Route {write.id.name}: a next hop IP address is needed for {APPLIANCE} and not allowed for "
            f"any other next hop type. Next hop type: {hop}.",
        )


def _render_table(tx: Transaction, row: Row, answer: Json) -> None:
    users = [{"id": identifier} for identifier in sources(tx, row, IN_USE, SUBNET)]
    if users:
        answer["properties"]["subnets"] = users


def _keep_used(deletion: Deletion) -> None:
    users = [via for _, _, via in deletion.tx.links_to(deletion.row.key, IN_USE)]
    if users:
        raise bad_request(
            "InUseRouteTableCannotBeDeleted",
            f"Route table {deletion.row.id} is in use and cannot be deleted. It is used by: "
            f"{', '.join(users)}.",
        )


def _stamp_table(write: Write) -> None:
    if not write.inline:
        table = write.parent()
        table.etag = new_etag()
        write.tx.put(table)


TYPES = (
    replace(
        described(TABLE, error=bad_name),
        answers=answers.NETWORK,
        inline={"routes": ROUTE},
        defaults={"properties": {"disableBgpRoutePropagation": False}},
        check=(_complete_table,),
        after=(_check_prefixes,),
        keep=(_keep_used,),
        render=_render_table,
        etag=WEAK_ETAG,
    ),
    replace(
        described(ROUTE, error=bad_name),
        answers=answers.NETWORK,
        required=("properties.addressPrefix", "properties.nextHopType"),
        check=(_check_hop,),
        after=(_stamp_table,),
        etag=WEAK_ETAG,
        patch=(),
    ),
)
