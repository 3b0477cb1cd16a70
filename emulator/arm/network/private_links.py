"""What a private endpoint may point at: the sub-resources (group ids) of each service and their names in DNS.

https://learn.microsoft.com/azure/private-link/private-endpoint-dns
"""

from __future__ import annotations

from dataclasses import dataclass

from azure_types.azure_type import NameRule
from azure_types.types import BY_ARM_TYPE
from emulator.arm.answers import Answers
from emulator.arm.catalogue import Level, Names, Place, ResourceType
from emulator.arm.context import Context, Deletion, Write
from emulator.arm.errors import bad_request
from emulator.arm.messages import Json, Request, Response
from emulator.arm.store import Row, Transaction

ACCOUNT = "Microsoft.Storage/storageAccounts"
VAULT = "Microsoft.KeyVault/vaults"
REGISTRY = "Microsoft.ContainerRegistry/registries"

STATES = ("Pending", "Approved", "Rejected", "Disconnected")
"""What the state of a connection may be."""
OF_CONNECTION = "connection"
"""The link from a private endpoint to its connection on the target."""
TO_SERVICE = (
    "properties.privateLinkServiceConnections[].properties.privateLinkServiceId",
    "properties.manualPrivateLinkServiceConnections[].properties.privateLinkServiceId",
)

STORAGE_GROUPS = ("blob", "dfs", "file", "queue", "table", "web")


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One address that an endpoint has: `fqdn` is the public name, `record` in `zone` the private one."""

    name: str
    fqdn: str
    record: str
    zone: str


def members(target: Row, group: str) -> list[Member] | None:
    """Return the addresses that an endpoint to a sub-resource of a service has; None for an unknown group
    id.
    """
    name = target.name.lower()
    if target.type == ACCOUNT:
        service, _, secondary = group.partition("_")
        if service not in STORAGE_GROUPS or secondary not in {"", "secondary"}:
            return None
        host = f"{name}-secondary" if secondary else name
        zone = f"{service}.core.windows.net"
        return [Member(name=group, fqdn=f"{host}.{zone}", record=host, zone=f"privatelink.{zone}")]
    if target.type == VAULT and group == "vault":
        fqdn = f"{name}.vault.azure.net"
        return [Member(name="default", fqdn=fqdn, record=name, zone="privatelink.vaultcore.azure.net")]
    if target.type == REGISTRY and group == "registry":
        region, zone = target.location, "privatelink.azurecr.io"
        data = f"{name}.{region}.data"
        return [
            Member(name=f"registry_data_{region}", fqdn=f"{data}.azurecr.io", record=data, zone=zone),
            Member(name="registry", fqdn=f"{name}.azurecr.io", record=name, zone=zone),
        ]
    return None


def group_ids(target: Row) -> tuple[str, ...]:
    """Return the group ids that a service has."""
    if target.type == ACCOUNT:
        return tuple(name for group in STORAGE_GROUPS for name in (group, f"{group}_secondary"))
    return {VAULT: ("vault",), REGISTRY: ("registry",)}.get(target.type, ())


# Connections: what an endpoint looks like from its target


def connection_type(service: str) -> str:
    """Return the type of the connections of a service."""
    return f"{service}/privateEndpointConnections"


def render_connections(tx: Transaction, row: Row, answer: Json) -> None:
    """Show on a service who is connected to it privately."""
    answer["properties"]["privateEndpointConnections"] = [
        {"id": child.id, "name": child.name, "type": child.type}
        | {"properties": child.properties | {"provisioningState": child.state}}
        for child in tx.children(row.key, connection_type(row.type))
    ]


def disconnect_endpoints(deletion: Deletion) -> None:
    """A service that goes leaves its endpoints behind, disconnected."""
    for connection in deletion.tx.children(deletion.row.key, connection_type(deletion.row.type)):
        tell_endpoint(deletion.tx, connection, "Disconnected", "The resource has been deleted.")


def tell_endpoint(tx: Transaction, connection: Row, status: str, description: str) -> None:
    """Write the state of a connection into its endpoint."""
    endpoint = tx.get(connection.properties["privateEndpoint"]["id"])
    if endpoint is None:
        return
    state = {"status": status, "description": description, "actionsRequired": "None"}
    for list_ in ("privateLinkServiceConnections", "manualPrivateLinkServiceConnections"):
        for one in endpoint.properties.get(list_) or []:
            one["properties"]["privateLinkServiceConnectionState"] = state
    tx.put(endpoint)


def _keep_endpoint(write: Write) -> None:
    """The owner of a service changes the state of a connection and nothing else."""
    if write.old is not None:
        state = write.get("properties.privateLinkServiceConnectionState") or {}
        if not isinstance(state, dict) or state.get("status", "Approved") not in STATES:
            raise bad_request(
                "InvalidValuesForRequestParameters",
                "Values for request parameters are invalid: privateLinkServiceConnectionState.status.",
            )
        write.body["properties"] = write.old.properties | {
            "privateLinkServiceConnectionState": write.old.properties["privateLinkServiceConnectionState"]
            | state
        }


def _tell(write: Write) -> None:
    state = write.row.properties["privateLinkServiceConnectionState"]
    tell_endpoint(write.tx, write.row, state["status"], state.get("description", ""))
    write.tx.touch(write.row.parent)


def _forget(deletion: Deletion) -> None:
    deletion.tx.touch(deletion.row.parent)
    if not deletion.with_parent:
        tell_endpoint(deletion.tx, deletion.row, "Disconnected", "The connection has been removed.")


def connections(service: str, answers: Answers) -> ResourceType:
    """Return the entry of the connections of a service; endpoints make them, their owner approves or
    removes them.
    """
    return ResourceType(
        name=connection_type(service),
        versions=BY_ARM_TYPE[service].versions,
        answers=answers,
        names=Names(rule=NameRule(pattern=r"[A-Za-z0-9._-]+", maximum=128)),
        level=Level.PARENT,
        place=Place.NONE,
        tags=False,
        schema=False,
        patch=(),
        check=(_keep_endpoint,),
        after=(_tell,),
        gone=(_forget,),
        creatable=False,
    )


def answer_link_resources(_: Context, row: Row, __: Request) -> Response:
    """Answer the private link resources of a service: its group ids with their members and zones."""
    found = []
    for group in group_ids(row):
        parts = members(row, group) or []
        found.append(
            {
                "id": f"{row.id}/privateLinkResources/{group}",
                "name": group,
                "type": f"{row.type}/privateLinkResources",
                "properties": {
                    "groupId": group,
                    "requiredMembers": [part.name for part in parts],
                    "requiredZoneNames": sorted({part.zone for part in parts}),
                },
            }
        )
    return Response(status=200, body={"value": found})
