"""Public addresses and NAT gateways: how a network reaches the internet."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

from emulator.arm import answers
from emulator.arm.catalogue import WEAK_ETAG, Fixed, Reference, described
from emulator.arm.context import Deletion, Write
from emulator.arm.errors import ArmError, bad_request, not_found
from emulator.arm.messages import Json
from emulator.arm.network.common import bad_name
from emulator.arm.network.interfaces import OF_PUBLIC_ADDRESS, PUBLIC_ADDRESS, refuse_used_address
from emulator.arm.network.virtual_networks import SUBNET
from emulator.arm.refusals import missing_value
from emulator.arm.store import Row, Transaction
from emulator.arm.writes import sources

GATEWAY = "Microsoft.Network/natGateways"
OF_GATEWAY = "properties.publicIpAddresses[].id"

PUBLIC_RANGE = IPv4Network("198.18.0.0/15")
"""Where the emulator takes public addresses from: reserved for tests, routed nowhere (RFC 2544)."""
_SPACE = "public-address"


def zones_fixed(write: Write) -> None:
    """Raise when the availability zones of a resource change."""
    if write.old is None:
        return
    old, new = write.old.body.get("zones") or [], write.body.get("zones") or []
    if sorted(old) != sorted(new):
        raise bad_request(
            "ResourceAvailabilityZonesCannotBeModified",
            f"Resource {write.old.id} has an existing availability zone constraint "
            f"{', '.join(old) or 'NoZone'} and the request has availability zone constraint "
            f"{', '.join(new) or 'NoZone'}, which do not match. Zones cannot be added/updated/removed once "
            "the resource is created. The resource cannot be updated from regional to zonal or vice-versa.",
        )


def _sku_fixed(what: str) -> Callable[[str], ArmError]:
    return lambda _: bad_request("SkuCannotBeChangedOnUpdate", f"The sku of a {what} cannot be changed.")


def _not_found(wanted: str, _: str) -> ArmError:
    """Recorded: Test_Networking_PublicIP_20240301_CRUD and ..._NatGateway_20240301_CRUD, 2025."""
    return not_found("NotFound", f"Resource {wanted} not found.", details=[])


# Public addresses


def _check_sku(write: Write) -> None:
    sku = (write.body.get("sku") or {}).get("name", "Basic")
    if sku == "Basic":
        raise bad_request(
            "IPv4BasicSkuPublicIpCountLimitReached",
            "Cannot create more than 0 IPv4 Basic SKU public IP addresses for this subscription in this "
            "region.",
        )
    if write.properties["publicIPAllocationMethod"] != "Static":
        raise bad_request(
            "StandardSkuPublicIPAddressesCannotHaveDynamicAllocation",
            f"Standard sku publicIp {write.id.path} must have AllocationMethod set to Static.",
        )


def _assign(write: Write) -> None:
    write.settle("properties.resourceGuid", str(uuid.uuid4()))
    if write.before("properties.ipAddress") is None:
        first = int(PUBLIC_RANGE.network_address) + 1
        for number in range(first, first + PUBLIC_RANGE.num_addresses - 2):
            text = str(IPv4Address(number))
            if write.tx.claimed(_SPACE, text) is None:
                write.tx.claim(_SPACE, text, write.id.key)
                write.settle("properties.ipAddress", text)
                return
        raise bad_request(
            "PublicIPCountLimitReached", "Cannot create more public IP addresses in this region."
        )
    write.settle("properties.ipAddress", None)


def _address_user(tx: Transaction, row: Row) -> str | None:
    return next((via for _, _, via in tx.links_to(row.key)), None)


def _render_address(tx: Transaction, row: Row, answer: Json) -> None:
    for _, path, via in tx.links_to(row.key):
        if path == OF_PUBLIC_ADDRESS:
            answer["properties"]["ipConfiguration"] = {"id": via}
        else:
            answer["properties"]["natGateway"] = {"id": via}


def _keep_allocated(deletion: Deletion) -> None:
    user = _address_user(deletion.tx, deletion.row)
    if user is not None:
        raise bad_request(
            "PublicIPAddressCannotBeDeleted",
            f"Public IP address {deletion.row.id} can not be deleted since it is still allocated to "
            f"resource {user}. In order to delete the public IP, disassociate/detach the Public IP address "
            "from the resource. To learn how to do this, see aka.ms/deletepublicip.",
        )


# NAT gateways


def _check_addresses(write: Write) -> None:
    for one in write.properties.get("publicIpAddresses") or []:
        if not one.get("id"):
            raise missing_value(write.type, OF_GATEWAY)
        refuse_used_address(write.tx, one["id"], write.id.key, write.id.path)
        address = write.tx.get(one["id"])
        zones, theirs = write.body.get("zones") or [], (address.body.get("zones") or []) if address else []
        if zones and theirs and not set(zones) <= set(theirs):
            raise bad_request(
                "NatGatewayZonesDoNotMatchPublicIpZones",
                f"NAT gateway {write.id.path} in zone {', '.join(zones)} cannot use public IP address "
                f"{one['id']} in zones {', '.join(theirs)}.",
            )
    if len(write.body.get("zones") or []) > 1:
        raise bad_request(
            "NatGatewayMultipleZonesNotSupported",
            f"NAT gateway {write.id.path} may be in one zone or in none.",
        )


def _complete_gateway(write: Write) -> None:
    write.settle("properties.resourceGuid", str(uuid.uuid4()))


def _render_gateway(tx: Transaction, row: Row, answer: Json) -> None:
    subnets = [{"id": identifier} for identifier in sources(tx, row, "properties.natGateway.id", SUBNET)]
    if subnets:
        answer["properties"]["subnets"] = subnets


def _keep_used_gateway(deletion: Deletion) -> None:
    users = [via for _, _, via in deletion.tx.links_to(deletion.row.key, "properties.natGateway.id")]
    if users:
        raise bad_request(
            "InUseNatGatewayCannotBeDeleted",
            f"NAT gateway {deletion.row.id} cannot be deleted because it is in use by the following "
            f"resources: {', '.join(users)}. In order to delete the NAT gateway, remove the association "
            "with the resource(s).",
        )


TYPES = (
    replace(
        described(PUBLIC_ADDRESS, error=bad_name),
        answers=answers.NETWORK,
        defaults={
            "sku": {"name": "Basic", "tier": "Regional"},
            "properties": {
                "publicIPAddressVersion": "IPv4",
                "publicIPAllocationMethod": "Static",
                "idleTimeoutInMinutes": 4,
                "ipTags": [],
                "ddosSettings": {"protectionMode": "VirtualNetworkInherited"},
            },
        },
        fixed=(Fixed(path="sku", error=_sku_fixed("public IP address")),),
        references=(
            Reference(
                path="properties.publicIPPrefix.id",
                types=("Microsoft.Network/publicIPPrefixes",),
                error=_not_found,
            ),
        ),
        check=(_check_sku, zones_fixed, _assign),
        keep=(_keep_allocated,),
        render=_render_address,
        etag=WEAK_ETAG,
    ),
    replace(
        described(GATEWAY, error=bad_name),
        answers=answers.NETWORK,
        required=("sku.name",),
        defaults={"properties": {"idleTimeoutInMinutes": 4}},
        fixed=(Fixed(path="sku", error=_sku_fixed("NAT gateway")),),
        references=(Reference(path=OF_GATEWAY, types=(PUBLIC_ADDRESS,), local=True, error=_not_found),),
        check=(_check_addresses, zones_fixed, _complete_gateway),
        keep=(_keep_used_gateway,),
        render=_render_gateway,
        etag=WEAK_ETAG,
    ),
)
