"""Virtual networks and their subnets.

A subnet is a resource of its own that also travels inside the body of its network. A PUT of the network
whose list lacks a subnet deletes it, or is refused when it is in use. A PUT without the list leaves subnets
as they are since api-version 2023-09-01 (Azure Networking blog, "Azure Virtual Network now supports updates
without subnet property"), and peerings in every version (recorded 2024-11-08, azure-service-operator
Test_Networking_VirtualNetworkPeering_CreatedThenVNetUpdated_20240301_PeeringStillExists).
Both carry the network's etag.
"""

from __future__ import annotations

import uuid
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from itertools import islice

from emulator.arm import answers
from emulator.arm.catalogue import WEAK_ETAG, Reference, described, same_value
from emulator.arm.context import Context, Deletion, Write, new_etag
from emulator.arm.errors import ArmError, bad_request
from emulator.arm.messages import Json, Request, Response
from emulator.arm.network import addresses
from emulator.arm.network.common import as_resource, bad_name, network_key
from emulator.arm.network.watchers import ensure_watcher
from emulator.arm.store import Row, Transaction
from emulator.arm.writes import delete

VIRTUAL_NETWORK = "Microsoft.Network/virtualNetworks"
SUBNET = "Microsoft.Network/virtualNetworks/subnets"
PEERING = "Microsoft.Network/virtualNetworks/virtualNetworkPeerings"
ZONE_LINK = "Microsoft.Network/privateDnsZones/virtualNetworkLinks"

SMALLEST_SUBNET = 29


# Virtual networks


def space(row: Row) -> list[addresses.Network]:
    """Return the address space of a virtual network."""
    return [
        addresses.parse_prefix(prefix, row.id) for prefix in row.properties["addressSpace"]["addressPrefixes"]
    ]


def _check_space(write: Write) -> None:
    prefixes = write.get("properties.addressSpace.addressPrefixes") or []
    if not prefixes:
        raise bad_request(
            "InvalidRequestFormat",
            f"Virtual network {write.id.name} needs at least one prefix in addressSpace.addressPrefixes.",
        )
    parsed = [addresses.parse_prefix(prefix, write.id.path) for prefix in prefixes]
    for index, network in enumerate(parsed):
        if addresses.forbidden(network):
            raise bad_request(
                "AddressPrefixNotAllowed",
                f"Address prefix {network} of virtual network {write.id.name} overlaps with a range that "
                "Azure "
                "reserves (multicast, broadcast, loopback, link-local or its internal DNS).",
            )
        if any(addresses.overlap(network, other) for other in parsed[:index]):
            raise bad_request(
                "AddressPrefixesOverlap",
                f"Address prefix {network} of virtual network {write.id.name} overlaps with another of its "
                "prefixes.",
            )


def _check_peers(write: Write) -> None:
    """An address space may not grow into that of a network that is already peered."""
    if write.old is None or same_value(
        write.before("properties.addressSpace"), write.get("properties.addressSpace")
    ):
        return
    mine = [
        addresses.parse_prefix(prefix, write.id.path)
        for prefix in write.properties["addressSpace"]["addressPrefixes"]
    ]
    for peering in write.tx.children(write.id.key, PEERING):
        remote = peering.properties["remoteAddressSpace"]["addressPrefixes"]
        theirs = [addresses.parse_prefix(prefix, peering.id) for prefix in remote]
        if any(addresses.overlap(one, other) for one in mine for other in theirs):
            raise bad_request(
                "VnetAddressSpaceOverlapsWithAlreadyPeeredVnet",
                f"Address space of virtual network {write.old.id} cannot be changed: it would overlap with "
                "that of "
                f"{peering.properties['remoteVirtualNetwork']['id']}, peered by {peering.id}.",
            )


def _complete_network(write: Write) -> None:
    write.settle("properties.resourceGuid", str(uuid.uuid4()))


def _check_layout(write: Write) -> None:
    check_layout(write.tx, write.row)


def check_layout(tx: Transaction, network: Row) -> None:
    """Raise when the subnets of a network do not fit in it or overlap each other."""
    whole = space(network)
    seen: list[tuple[str, addresses.Network]] = []
    for subnet in tx.children(network.key, SUBNET):
        for part in prefixes_of(subnet):
            if not any(addresses.inside(part, range_) for range_ in whole):
                if tx.addresses(subnet.key):
                    raise bad_request(
                        "InUsePrefixCannotBeDeleted",
                        f"IpPrefix {part} on virtual network {network.name} has active allocations and "
                        "cannot be "
                        "deleted.",
                    )
                raise _outside(subnet.name, network.name)
            for other_name, other in seen:
                if addresses.overlap(part, other):
                    raise bad_request(
                        "NetcfgSubnetRangesOverlap",
                        f"Subnet '{subnet.name}' is not valid because its IP address range overlaps with "
                        "that of an "
                        f"existing subnet '{other_name}'.",
                    )
        seen += [(subnet.name, part) for part in prefixes_of(subnet)]


def _outside(subnet: str, network: str) -> ArmError:
    return bad_request(
        "NetcfgInvalidSubnet", f"Subnet '{subnet}' is not valid in virtual network '{network}'."
    )


def _watch(write: Write) -> None:
    if write.id.subscription:
        ensure_watcher(write.context, write.id.subscription, write.body["location"])


def _keep_used_subnets(deletion: Deletion) -> None:
    for subnet in deletion.tx.children(deletion.row.key, SUBNET):
        _refuse_used(deletion.tx, subnet)


def _unlink_zones(deletion: Deletion) -> None:
    """Azure removes the links of private DNS zones together with the network that they name."""
    for source, _, _ in deletion.tx.links_to(deletion.row.key, "properties.virtualNetwork.id"):
        link = deletion.tx.get(source)
        if link is not None and link.type == ZONE_LINK:
            delete(deletion.context, link)


def _render_network(tx: Transaction, row: Row, answer: Json) -> None:
    logs = [tx.get(source) for source, _, _ in tx.links_to(row.key, "properties.targetResourceId")]
    if logs:
        answer["properties"]["flowLogs"] = [{"id": log.id} for log in logs if log is not None]


def _check_address(context: Context, row: Row, request: Request) -> Response:
    """Say whether an address of a network is free, and which else are.

    https://learn.microsoft.com/rest/api/virtualnetwork/virtual-networks/check-ip-address-availability
    """
    text = request.query.get("ipAddress", "")
    try:
        wanted = IPv4Address(text)
    except ValueError as wrong:
        raise bad_request(
            "InvalidIPAddressFormat", f"IP address {text} is not formatted correctly."
        ) from wrong
    for subnet in context.tx.children(row.key, SUBNET):
        taken = {address for address, _, _ in context.tx.addresses(subnet.key)}
        for prefix in prefixes_of(subnet):
            if isinstance(prefix, IPv4Network) and wanted in prefix:
                free = (one for one in addresses.usable(prefix) if one not in taken)
                others = [str(IPv4Address(one)) for one in islice(free, 5)]
                available = int(wanted) in addresses.usable(prefix) and int(wanted) not in taken
                found: Json = {"available": available, "isPlatformReserved": False}
                return Response(
                    status=200, body=found | ({} if available else {"availableIPAddresses": others})
                )
    raise bad_request(
        "PrivateIPAddressNotInAnySubnet",
        f"Private static IP address {text} does not belong to the range of any subnet in the virtual network "
        f"{row.id}.",
    )


# Subnets


def prefixes_of(subnet: Row) -> list[addresses.Network]:
    """Return the address ranges of a subnet."""
    properties = subnet.properties
    named = properties.get("addressPrefixes") or [properties["addressPrefix"]]
    return [addresses.parse_prefix(prefix, subnet.id) for prefix in named]


def _check_prefix(write: Write) -> None:
    single, several = write.get("properties.addressPrefix"), write.get("properties.addressPrefixes")
    if not single and not several:
        raise bad_request(
            "InvalidRequestFormat", f"Subnet {write.id.name} needs an addressPrefix or addressPrefixes."
        )
    if single and several and list(several) != [single]:
        raise bad_request(
            "InvalidRequestFormat",
            f"Subnet {write.id.name} may have an addressPrefix or addressPrefixes, not both.",
        )
    network = write.parent()
    for prefix in several or [single]:
        parsed = addresses.parse_prefix(prefix, write.id.path)
        fits = parsed.prefixlen == 64 if parsed.version == 6 else 2 <= parsed.prefixlen <= SMALLEST_SUBNET
        if not fits:
            raise _outside(write.id.name, network.name)
        if not write.inline and not any(addresses.inside(parsed, whole) for whole in space(network)):
            raise _outside(write.id.name, network.name)


def _check_delegations(write: Write) -> None:
    if not all(one.get("name") for one in write.properties["delegations"]):
        raise bad_request("InvalidRequestFormat", f"Each delegation of subnet {write.id.name} needs a name.")


def _check_used(write: Write) -> None:
    """Azure fixes the ranges and the outbound access of a subnet while something lives in it."""
    if write.old is None or not write.tx.addresses(write.id.key):
        return
    old, new = prefixes_of(write.old), prefixes_of(Row(id=write.old.id, type=SUBNET, body=write.body))
    if set(old) - set(new):
        raise bad_request(
            "InUseSubnetCannotBeUpdated",
            f"Subnet {write.old.name} is in use and cannot be updated: its address prefix is fixed until "
            f"{', '.join(via for _, _, via in write.tx.addresses(write.id.key))} are gone.",
        )
    for name in ("defaultOutboundAccess", "sharingScope"):
        if not same_value(write.before(f"properties.{name}"), write.get(f"properties.{name}")):
            raise bad_request(
                "InUseSubnetCannotBeUpdated",
                f"Subnet {write.old.name} is in use and cannot be updated: {name} can only be set while the "
                "subnet "
                "is empty.",
            )


def _check_gateways(write: Write) -> None:
    if write.get("properties.natGateway.id") and write.id.name.lower() == "gatewaysubnet":
        raise bad_request(
            "NatGatewayCannotBeUsedInGatewaySubnet", f"NAT gateway cannot be associated with {write.id.path}."
        )
    gateway = write.get("properties.natGateway.id")
    if gateway is None:
        return
    mine = write.id.parent.lower()
    for source, _, _ in write.tx.links_to(gateway, "properties.natGateway.id"):
        if source.rsplit("/", 2)[0] != mine:
            raise bad_request(
                "NatGatewayCannotBeUsedBySubnetsBelongingToDifferentVirtualNetworks",
                f"NAT gateway {gateway} is used by subnet {source}: one NAT gateway serves one virtual "
                "network.",
            )


def _stamp_network(write: Write) -> None:
    """A write of a subnet is a write of its network: both show the same new etag."""
    if write.inline:
        return
    network = write.parent()
    check_layout(write.tx, network)
    network.etag = new_etag()
    write.tx.put(network)


def _refuse_used(tx: Transaction, subnet: Row) -> None:
    users = list(dict.fromkeys(via for _, _, via in tx.addresses(subnet.key)))
    if users:
        raise bad_request(
            "InUseSubnetCannotBeDeleted",
            f"Subnet {subnet.name} is in use by {' and '.join(users)} and cannot be deleted. In order to "
            "delete the "
            "subnet, delete all the resources within the subnet. See aka.ms/deletesubnet.",
        )


def _keep_used(deletion: Deletion) -> None:
    _refuse_used(deletion.tx, deletion.row)


def _stamp_on_delete(deletion: Deletion) -> None:
    network = deletion.tx.get(deletion.row.parent)
    if network is not None and not deletion.with_parent:
        network.etag = new_etag()
        deletion.tx.put(network)


def _delegation(row: Row, one: Json) -> Json:
    allowed: Json = {"actions": ["Microsoft.Network/virtualNetworks/subnets/join/action"]}
    properties = allowed | (one.get("properties") or {})
    return as_resource(row, "delegations", one | {"properties": properties}, state="Succeeded")


def _render_subnet(tx: Transaction, row: Row, answer: Json) -> None:
    network = tx.get(row.parent)
    if network is not None:
        answer["etag"] = network.etag
    answer["properties"]["delegations"] = [
        _delegation(row, one) | {"etag": answer["etag"]} for one in row.properties["delegations"]
    ]
    held = tx.addresses(row.key)
    if held:
        answer["properties"]["ipConfigurations"] = [
            {"id": via} for via in dict.fromkeys(via for _, _, via in held)
        ]
    endpoints = [tx.get(source) for source, _, _ in tx.links_to(row.key, "properties.subnet.id")]
    if endpoints:
        answer["properties"]["privateEndpoints"] = [{"id": row.id} for row in endpoints if row is not None]
        answer["properties"]["purpose"] = "PrivateEndpoints"


def _own_network(key: str, _: Json) -> frozenset[str]:
    return frozenset({network_key(key)})


TYPES = (
    replace(
        described(VIRTUAL_NETWORK, error=bad_name),
        answers=answers.NETWORK,
        required=("properties.addressSpace",),
        defaults={
            "properties": {"enableDdosProtection": False, "privateEndpointVNetPolicies": "Disabled"},
        },
        inline={"subnets": SUBNET, "virtualNetworkPeerings": PEERING},
        kept={"subnets": "2023-09-01", "virtualNetworkPeerings": ""},
        check=(_check_space, _check_peers, _complete_network),
        after=(_check_layout, _watch),
        keep=(_keep_used_subnets,),
        gone=(_unlink_zones,),
        render=_render_network,
        views={"CheckIPAddressAvailability": _check_address},
        etag=WEAK_ETAG,
    ),
    replace(
        described(SUBNET, error=bad_name),
        answers=answers.NETWORK,
        defaults={
            "properties": {
                "delegations": [],
                "privateEndpointNetworkPolicies": "Disabled",
                "privateLinkServiceNetworkPolicies": "Enabled",
            }
        },
        references=(
            Reference(
                path="properties.networkSecurityGroup.id",
                types=("Microsoft.Network/networkSecurityGroups",),
                local=True,
            ),
            Reference(path="properties.routeTable.id", types=("Microsoft.Network/routeTables",), local=True),
            Reference(path="properties.natGateway.id", types=("Microsoft.Network/natGateways",), local=True),
        ),
        check=(_check_prefix, _check_delegations, _check_used, _check_gateways),
        after=(_stamp_network,),
        keep=(_keep_used,),
        gone=(_stamp_on_delete,),
        render=_render_subnet,
        holds=_own_network,
        etag=WEAK_ETAG,
        patch=(),
    ),
)
