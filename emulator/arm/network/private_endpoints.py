"""Private endpoints: an interface in a subnet that stands for a service."""

from __future__ import annotations

import uuid
from dataclasses import replace

from emulator.arm import answers
from emulator.arm.catalogue import WEAK_ETAG, Fixed, Reference, described, value_at
from emulator.arm.context import Deletion, Write
from emulator.arm.errors import ArmError, bad_request
from emulator.arm.messages import Json
from emulator.arm.network.common import as_resource, bad_name, network_key
from emulator.arm.network.endpoint_records import (
    LISTS,
    ZONE_GROUP,
    connection_of,
    endpoint_addresses,
    refresh_records,
    target_of,
)
from emulator.arm.network.interface_links import OF_ENDPOINT
from emulator.arm.network.interfaces import interface_for_endpoint, take_address
from emulator.arm.network.private_links import (
    OF_CONNECTION,
    TO_SERVICE,
    Member,
    connection_type,
    group_ids,
    members,
)
from emulator.arm.network.virtual_networks import SUBNET
from emulator.arm.store import Row, Transaction
from emulator.arm.writes import remove

ENDPOINT = "Microsoft.Network/privateEndpoints"
APPROVE = "privateEndpointConnectionsApproval/action"


def _check_connection(write: Write) -> None:
    given = [one for name in LISTS for one in write.properties.get(name) or []]
    if len(given) != 1:
        raise bad_request(
            "InvalidRequestFormat",
            f"Private endpoint {write.id.path} needs exactly one private link service connection, not "
            f"{len(given)}.",
        )
    connection = given[0]
    properties = connection.setdefault("properties", {})
    if not connection.get("name") or not properties.get("privateLinkServiceId"):
        raise bad_request(
            "InvalidRequestFormat",
            f"The connection of private endpoint {write.id.path} needs a name and a privateLinkServiceId.",
        )
    target = write.tx.get(properties["privateLinkServiceId"])
    if target is None:
        return
    groups = properties.get("groupIds") or []
    if len(groups) > 1:
        raise bad_request(
            "OnlyOneGroupIdPermitted",
            f"Private link service connection {write.id.path}/{LISTS[0]}/{connection['name']} has the "
            f"following group Ids: {', '.join(groups)}. Only one group Id is permitted when connecting to a "
            f"first-party resource ({target.id}).",
        )
    if not groups or members(target, groups[0]) is None:
        raise _called(
            target,
            "InvalidValuesForRequestParameters",
            f"Values for request parameters are invalid: GroupId: {', '.join(groups) or '(none)'}. Possible "
            f"group ids: {', '.join(group_ids(target)) or 'none'}.",
        )
    if target.type == "Microsoft.ContainerRegistry/registries" and target.body["sku"]["name"] != "Premium":
        raise _called(
            target,
            "BadRequest",
            f"Private endpoint connections of registry {target.name} need the Premium sku; it has "
            f"{target.body['sku']['name']}.",
        )


def _called(target: Row, code: str, message: str) -> ArmError:
    return bad_request(code, f"Call to {target.type} failed. Error message: {message}")


def _check_fixed_target(write: Write) -> None:
    if write.old is None:
        return
    old, new = connection_of(write.old.properties), connection_of(write.properties)
    same = (
        old[0]["properties"]["privateLinkServiceId"].lower()
        == new[0]["properties"]["privateLinkServiceId"].lower()
        and old[0]["properties"].get("groupIds") == new[0]["properties"].get("groupIds")
        and old[1] == new[1]
    )
    if not same:
        raise bad_request(
            "PrivateLinkServiceIdCannotBeChanged",
            f"The private link service connection of private endpoint {write.old.id} cannot be changed: "
            "delete the endpoint and create it again.",
        )


def _check_static(write: Write) -> None:
    """Static addresses name members of the service, and all of them when they name any."""
    static = write.properties.get("ipConfigurations") or []
    connection, _ = connection_of(write.properties)
    target = write.tx.get(connection["properties"]["privateLinkServiceId"])
    if not static or target is None:
        return
    group = connection["properties"]["groupIds"][0]
    wanted = {member.name for member in members(target, group) or []}
    given = [(one.get("properties") or {}).get("memberName") for one in static]
    groups = {(one.get("properties") or {}).get("groupId") for one in static}
    if groups - {group} or sorted(str(name) for name in given) != sorted(wanted):
        raise bad_request(
            "InvalidPrivateEndpointIpConfigurations",
            f"The ipConfigurations of private endpoint {write.id.path} must name each member of group "
            f"'{group}' once: {', '.join(sorted(wanted))}. Named: {', '.join(map(str, given))}.",
        )


def _connect(write: Write) -> None:
    """Make or keep the interface with its addresses, and the connection on the service."""
    row = write.row
    connection, manual = connection_of(row.properties)
    target, subnet = target_of(write.tx, row), write.tx.get(row.properties["subnet"]["id"])
    if subnet is None:
        return
    before = connection_of(write.old.properties)[0] if write.old else None
    connection["properties"]["privateLinkServiceConnectionState"] = (
        before["properties"]["privateLinkServiceConnectionState"]
        if before
        else _first_state(connection, manual)
    )
    interface = _interface(write, row, target, subnet)
    row.properties["networkInterfaces"] = [{"id": interface.id}]
    write.tx.put(row)
    write.tx.add_link(row.key, OF_ENDPOINT, interface.key, row.id)
    if target is not None:
        accepted = _accept(write, row, target, connection)
        write.tx.add_link(row.key, OF_CONNECTION, accepted.key, row.id)
    refresh_records(write.tx, row)


def _first_state(connection: Json, manual: bool) -> Json:
    if manual:
        message = connection["properties"].get("requestMessage") or "Awaiting Approval"
        return {"status": "Pending", "description": message, "actionsRequired": "None"}
    return {"status": "Approved", "description": "Auto-Approved", "actionsRequired": "None"}


def _interface(write: Write, row: Row, target: Row | None, subnet: Row) -> Row:
    found = next(
        (write.tx.get(one["id"]) for one in write.before("properties.networkInterfaces") or []), None
    )
    static = {one["properties"]["memberName"]: one for one in write.properties.get("ipConfigurations") or []}
    if found is not None and (not static or target is None):
        return found
    if target is None:
        raise bad_request("InvalidRequestFormat", f"The service of private endpoint {row.id} is gone.")
    connection, _ = connection_of(row.properties)
    parts = members(target, connection["properties"]["groupIds"][0]) or []
    known = {
        one["properties"]["privateLinkConnectionProperties"]["requiredMemberName"]: one
        for one in (found.properties["ipConfigurations"] if found else [])
    }
    configurations = [
        _configuration(connection, one, static.get(one.name), known.get(one.name), primary=one is parts[0])
        | {"subnet": subnet.id}
        for one in parts
    ]
    if found is None:
        found = interface_for_endpoint(
            write.tx,
            name=write.properties.get("customNetworkInterfaceName") or f"{row.name}.nic.{uuid.uuid4()}",
            group=row.parent_id(),
            location=row.location or "",
            configurations=[],
        )
    _place(write.tx, found, subnet, configurations)
    return found


def _configuration(
    connection: Json, member: Member, static: Json | None, known: Json | None, *, primary: bool
) -> Json:
    asked = static["properties"].get("privateIPAddress") if static else None
    name = static["name"] if static else known["name"] if known else f"privateEndpointIpConfig.{uuid.uuid4()}"
    return {
        "name": name,
        "properties": {
            "privateIPAddress": asked or (known["properties"]["privateIPAddress"] if known else None),
            "privateIPAllocationMethod": "Static" if asked else "Dynamic",
            "privateIPAddressVersion": "IPv4",
            "primary": primary,
            "privateLinkConnectionProperties": {
                "groupId": connection["properties"]["groupIds"][0],
                "requiredMemberName": member.name,
                "fqdns": [member.fqdn],
            },
        },
    }


def _place(tx: Transaction, interface: Row, subnet: Row, configurations: list[Json]) -> None:
    tx.free_addresses(interface.key)
    for one in sorted(
        configurations, key=lambda one: one["properties"]["privateIPAllocationMethod"] != "Static"
    ):
        properties = one["properties"]
        static = properties["privateIPAllocationMethod"] == "Static"
        properties["subnet"] = {"id": one.pop("subnet")}
        properties["privateIPAddress"] = take_address(
            tx,
            subnet,
            owner=interface.key,
            via=f"{interface.id}/ipConfigurations/{one['name']}",
            static=properties["privateIPAddress"] if static else None,
            before=None if static else properties["privateIPAddress"],
        )
    interface.properties["ipConfigurations"] = configurations
    tx.put(interface)


def _accept(write: Write, row: Row, target: Row, connection: Json) -> Row:
    """Show the endpoint on the service."""
    found = next(
        (
            child
            for child in write.tx.children(target.key, connection_type(target.type))
            if child.properties["privateEndpoint"]["id"].lower() == row.key
        ),
        None,
    )
    state = connection["properties"]["privateLinkServiceConnectionState"]
    accepted = found or Row(
        id=f"{target.id}/privateEndpointConnections/{target.name}.{uuid.uuid4()}",
        type=connection_type(target.type),
        body={},
        parent=target.key,
    )
    accepted.body["properties"] = {
        "privateEndpoint": {"id": row.id},
        "groupIds": connection["properties"]["groupIds"],
        "privateLinkServiceConnectionState": state,
    }
    write.tx.put(accepted)
    write.tx.touch(target.key)
    return accepted


def _render_endpoint(tx: Transaction, row: Row, answer: Json) -> None:
    properties = answer["properties"]
    for name in LISTS:
        given = properties.get(name) or []
        properties[name] = [as_resource(row, name, one, state="Succeeded") for one in given]
    properties["resourceGuid"] = row.hidden["resourceGuid"]
    names = [] if tx.children(row.key, ZONE_GROUP) else endpoint_addresses(tx, row)
    properties["customDnsConfigs"] = [
        {"fqdn": member.fqdn, "ipAddresses": [address]} for member, address in names
    ]
    properties["ipConfigurations"] = [
        {"type": f"{ENDPOINT}/ipConfigurations", "etag": row.etag} | one
        for one in properties.get("ipConfigurations") or []
    ]


def _withdraw(deletion: Deletion) -> None:
    for _, target, _ in deletion.tx.links_from(deletion.row.key):
        row = deletion.tx.get(target)
        if row is not None and row.type.endswith(("/networkInterfaces", "/privateEndpointConnections")):
            remove(deletion.context, row)


def _networks(key: str, body: Json) -> frozenset[str]:
    subnet = value_at(body, "properties.subnet.id")
    return frozenset({key, network_key(subnet)} if isinstance(subnet, str) else {key})


def _remember_guid(write: Write) -> None:
    write.hidden.setdefault("resourceGuid", str(uuid.uuid4()))


TYPES = (
    replace(
        described(ENDPOINT, error=bad_name),
        answers=answers.NETWORK,
        required=("properties.subnet.id",),
        fixed=(
            Fixed(
                path="properties.subnet",
                error=lambda _: bad_request(
                    "PrivateEndpointSubnetCannotBeChanged",
                    "The subnet of a private endpoint cannot be changed: delete the endpoint and create it "
                    "again.",
                ),
            ),
            Fixed(
                path="properties.customNetworkInterfaceName",
                error=lambda _: bad_request(
                    "CustomNetworkInterfaceNameCannotBeChanged",
                    "The name of a private endpoint's network interface cannot be changed.",
                ),
            ),
        ),
        references=(
            Reference(path="properties.subnet.id", types=(SUBNET,), local=True),
            *(Reference(path=path, action=APPROVE) for path in TO_SERVICE),
        ),
        check=(_check_connection, _check_fixed_target, _check_static, _remember_guid),
        after=(_connect,),
        gone=(_withdraw,),
        render=_render_endpoint,
        holds=_networks,
        read_only=("customDnsConfigs", "resourceGuid"),
        etag=WEAK_ETAG,
    ),
)
