"""Network interfaces: private addresses in subnets, and to whom they belong."""

from __future__ import annotations

import base64
import hashlib
import secrets
import uuid
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

from emulator.arm import answers
from emulator.arm.catalogue import WEAK_ETAG, Reference, described, values_at
from emulator.arm.context import Deletion, Write, new_etag
from emulator.arm.errors import ArmError, bad_request
from emulator.arm.messages import Json
from emulator.arm.network import addresses
from emulator.arm.network.common import as_resource, bad_name, network_key
from emulator.arm.network.effective import effective_groups, effective_routes
from emulator.arm.network.interface_links import endpoint_of, machine_of
from emulator.arm.network.security_groups import GROUP
from emulator.arm.network.virtual_networks import SUBNET, prefixes_of
from emulator.arm.store import Row, Transaction

INTERFACE = "Microsoft.Network/networkInterfaces"
PUBLIC_ADDRESS = "Microsoft.Network/publicIPAddresses"
OF_SUBNET = "properties.ipConfigurations[].properties.subnet.id"
OF_PUBLIC_ADDRESS = "properties.ipConfigurations[].properties.publicIPAddress.id"


def take_address(
    tx: Transaction, subnet: Row, *, owner: str, via: str, static: str | None, before: str | None = None
) -> str:
    """Give an interface an address of a subnet: the static one asked for, the one before, or the first free.

    `via` is the id of its ip configuration. Raises the provider's error when the address cannot be had.
    """
    prefix = next((part for part in prefixes_of(subnet) if isinstance(part, IPv4Network)), None)
    if prefix is None:
        raise bad_request("SubnetHasNoIPv4Prefix", f"Subnet {subnet.id} has no IPv4 prefix.")
    network, taken = subnet.parent, {address for address, _, _ in tx.addresses(subnet.key)}
    if static is not None:
        address = addresses.check_static(prefix, str(prefix), static)
        holder = tx.address_holder(network, address)
        if holder is not None:
            raise bad_request(
                "PrivateIPAddressIsAllocated",
                f"IP configuration {via} is using the private IP address {static} which is already "
                f"allocated to resource {holder[1]}.",
            )
    elif before is not None and _still_free(prefix, taken, before):
        address = int(IPv4Address(before))
    else:
        free = addresses.first_free(prefix, taken)
        if free is None:
            raise addresses.subnet_full(subnet.name, str(prefix))
        address = free
    tx.hold_address(network, subnet.key, address, owner=owner, via=via)
    return str(IPv4Address(address))


def _still_free(prefix: IPv4Network, taken: set[int], address: str) -> bool:
    number = int(IPv4Address(address))
    return number in addresses.usable(prefix) and number not in taken


def new_mac() -> str:
    """Return a hardware address of Microsoft's range, as Azure writes it."""
    return "-".join(("00", "0D", "3A", *(f"{part:02X}" for part in secrets.token_bytes(3))))


def _check_configurations(write: Write) -> None:
    configurations: list[Json] = write.get("properties.ipConfigurations") or []
    seen: set[str] = set()
    for configuration in configurations:
        name = str(configuration.get("name") or "")
        if not name or name.lower() in seen:
            raise bad_request(
                "InvalidRequestFormat",
                f"Each ip configuration of {write.id.path} needs a name of its own, not '{name}'.",
            )
        seen.add(name.lower())
        properties = configuration.setdefault("properties", {})
        if not (properties.get("subnet") or {}).get("id"):
            raise bad_request(
                "InvalidRequestFormat",
                f"IP configuration {write.id.path}/ipConfigurations/{name} needs a subnet.",
            )
        properties.setdefault("privateIPAddressVersion", "IPv4")
        properties.setdefault("privateIPAllocationMethod", "Dynamic")
        if properties["privateIPAllocationMethod"] == "Static" and not properties.get("privateIPAddress"):
            raise bad_request(
                "InvalidRequestFormat",
                f"IP configuration {write.id.path}/ipConfigurations/{name} is Static and needs a "
                "privateIPAddress.",
            )
    _check_primary(write, configurations)


def _check_primary(write: Write, configurations: list[Json]) -> None:
    primaries = [one for one in configurations if one["properties"].get("primary")]
    if not primaries and len(configurations) == 1:
        configurations[0]["properties"]["primary"] = True
    elif len(primaries) != 1:
        raise bad_request(
            "InvalidRequestFormat",
            f"Network interface {write.id.path} needs exactly one primary ip configuration, not "
            f"{len(primaries)}.",
        )
    for configuration in configurations:
        configuration["properties"].setdefault("primary", False)


def _check_one_network(write: Write) -> None:
    networks = {
        network_key(one["properties"]["subnet"]["id"]) for one in write.properties["ipConfigurations"]
    }
    before = {
        network_key(one["properties"]["subnet"]["id"])
        for one in write.before("properties.ipConfigurations") or []
    }
    if len(networks | before) > 1:
        raise bad_request(
            "SubnetsNotInSameVnet",
            f"Subnets of network interface {write.id.path} are not in the same virtual network: "
            f"{', '.join(sorted(networks | before))}. An interface stays in the network in which it was "
            "created.",
        )


def _check_not_managed(write: Write) -> None:
    """The interface of a private endpoint is written by the endpoint alone."""
    endpoint = endpoint_of(write.tx, write.id.key) if write.old else None
    if endpoint is not None:
        raise bad_request(
            "NicInUseWithPrivateEndpoint",
            f"Network interface {write.id.path} cannot be updated because it is currently in use with an "
            f"private endpoint ({endpoint.id}).",
        )


def _check_public_address(write: Write) -> None:
    for one in write.properties["ipConfigurations"]:
        address = (one["properties"].get("publicIPAddress") or {}).get("id")
        if address:
            via = f"{write.id.path}/ipConfigurations/{one['name']}"
            refuse_used_address(write.tx, address, write.id.key, via)


def refuse_used_address(tx: Transaction, address: str, owner: str, via: str) -> None:
    """Raise when a public address belongs to another resource already."""
    for source, _, held_by in tx.links_to(address):
        if source != owner:
            raise bad_request(
                "PublicIPAddressInUse",
                f"Resource {via} is referencing public IP address {address} that is already allocated to "
                f"resource {held_by}.",
            )


def _complete(write: Write) -> None:
    write.settle("properties.macAddress", new_mac())
    write.settle("properties.resourceGuid", str(uuid.uuid4()))


def _allocate(write: Write) -> None:
    """Give each configuration its address; what a configuration had it keeps when it may."""
    row = write.row
    before = {
        one["name"].lower(): one["properties"] for one in write.before("properties.ipConfigurations") or []
    }
    write.tx.free_addresses(row.key)
    configurations = row.properties["ipConfigurations"]
    by_static = sorted(
        configurations, key=lambda one: one["properties"]["privateIPAllocationMethod"] != "Static"
    )
    for one in by_static:
        properties, old = one["properties"], before.get(one["name"].lower(), {})
        subnet = write.tx.get(properties["subnet"]["id"])
        if subnet is None:
            continue
        static = properties["privateIPAllocationMethod"] == "Static"
        via = f"{row.id}/ipConfigurations/{one['name']}"
        kept = (old.get("subnet") or {}).get("id", "").lower() == subnet.key
        properties["privateIPAddress"] = take_address(
            write.tx,
            subnet,
            owner=row.key,
            via=via,
            static=properties["privateIPAddress"] if static else None,
            before=old.get("privateIPAddress") if kept else None,
        )
    write.tx.put(row)


def describe_configurations(row: Row, answer: Json) -> None:
    """Complete the ip configurations of an answer."""
    answer["properties"]["ipConfigurations"] = [
        as_resource(row, "ipConfigurations", one) for one in row.properties["ipConfigurations"]
    ]


def _suffix(row: Row) -> str:
    """Return the name under which Azure's own DNS knows the machines of the interface's network."""
    subnets = [one["properties"]["subnet"]["id"] for one in row.properties["ipConfigurations"]]
    network = network_key(subnets[0]) if subnets else row.key
    label = base64.b32encode(hashlib.sha256(network.encode()).digest())[:26].decode().lower()
    return f"{label}.ax.internal.cloudapp.net"


def _render(tx: Transaction, row: Row, answer: Json) -> None:
    """An interface has a hardware address once a machine has it.

    Recorded: Test_Network_v1api20240301_CreationAndDeletion and Test_Compute_VM_20220301_CRUD, 2025.
    """
    describe_configurations(row, answer)
    properties = answer["properties"]
    properties["dnsSettings"] = properties["dnsSettings"] | {"internalDomainNameSuffix": _suffix(row)}
    machine, endpoint = machine_of(tx, row.key), endpoint_of(tx, row.key)
    if machine is None:
        properties.pop("macAddress", None)
    else:
        answer["properties"]["virtualMachine"] = {"id": machine.id}
        references = machine.properties["networkProfile"]["networkInterfaces"]
        own: Json = next((one for one in references if one["id"].lower() == row.key), {})
        answer["properties"]["primary"] = (own.get("properties") or {}).get("primary", len(references) == 1)
    if endpoint is not None:
        answer["properties"]["privateEndpoint"] = {"id": endpoint.id}


def in_use(interface: Row, user: Row) -> ArmError:
    """Return the refusal to delete an interface that a machine has."""
    return bad_request(
        "NicInUse",
        f"Network Interface {interface.id} is used by existing resource {user.id}. In order to delete the "
        "network interface, it must be dissociated from the resource. To learn more, see aka.ms/deletenic.",
    )


def _keep_used(deletion: Deletion) -> None:
    machine, endpoint = machine_of(deletion.tx, deletion.row.key), endpoint_of(deletion.tx, deletion.row.key)
    if machine is not None:
        raise in_use(deletion.row, machine)
    if endpoint is not None:
        raise bad_request(
            "NicInUseWithPrivateEndpoint",
            f"Network interface {deletion.row.id} cannot be deleted because it is currently in use with an "
            f"private endpoint ({endpoint.id}).",
        )


def _networks(key: str, body: Json) -> frozenset[str]:
    subnets = values_at(body, "properties.ipConfigurations[].properties.subnet.id")
    return frozenset({key, *(network_key(subnet) for _, subnet in subnets if isinstance(subnet, str))})


def interface_for_endpoint(
    tx: Transaction, *, name: str, group: str, location: str, configurations: list[Json]
) -> Row:
    """Make the interface of a private endpoint, without addresses yet."""
    row = Row(
        id=f"{group}/providers/{INTERFACE}/{name}",
        type=INTERFACE,
        body={
            "location": location,
            "properties": DEFAULTS
            | {
                "ipConfigurations": configurations,
                "macAddress": new_mac(),
                "resourceGuid": str(uuid.uuid4()),
            },
        },
        etag=new_etag(),
        parent=group,
    )
    tx.put(row)
    return row


DEFAULTS: Json = {
    "enableAcceleratedNetworking": False,
    "enableIPForwarding": False,
    "disableTcpStateTracking": False,
    "vnetEncryptionSupported": False,
    "nicType": "Standard",
    "allowPort25Out": True,
    "auxiliaryMode": "None",
    "auxiliarySku": "None",
    "dnsSettings": {"dnsServers": [], "appliedDnsServers": []},
    "hostedWorkloads": [],
    "tapConfigurations": [],
}
"""What Azure fills in."""

TYPES = (
    replace(
        described(INTERFACE, error=bad_name),
        answers=answers.NETWORK_AT_ONCE,
        required=("properties.ipConfigurations",),
        defaults={"properties": DEFAULTS},
        references=(
            Reference(path=OF_SUBNET, types=(SUBNET,), local=True),
            Reference(path="properties.networkSecurityGroup.id", types=(GROUP,), local=True),
            Reference(path=OF_PUBLIC_ADDRESS, types=(PUBLIC_ADDRESS,), local=True),
        ),
        check=(
            _check_not_managed,
            _check_configurations,
            _check_one_network,
            _check_public_address,
            _complete,
        ),
        after=(_allocate,),
        keep=(_keep_used,),
        render=_render,
        actions={
            "effectiveRouteTable": effective_routes,
            "effectiveNetworkSecurityGroups": effective_groups,
        },
        read_only=("allowPort25Out",),
        holds=_networks,
        etag=WEAK_ETAG,
    ),
)
