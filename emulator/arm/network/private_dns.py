"""Private DNS: zones, the records that endpoints make in them, the networks that they are linked to."""

from __future__ import annotations

import base64
import re
import uuid
from dataclasses import replace

from emulator.arm import answers
from emulator.arm.catalogue import PLAIN_ETAG, Fixed, Place, Reference, described
from emulator.arm.context import Context, Deletion, Write, new_etag
from emulator.arm.errors import ArmError, bad_request, conflict
from emulator.arm.messages import Json, Request, Response
from emulator.arm.network.common import bad_name
from emulator.arm.network.record_sets import AUTHORITY, RECORD, ZONE, fqdn_of
from emulator.arm.network.virtual_networks import VIRTUAL_NETWORK, ZONE_LINK
from emulator.arm.store import Row, Transaction
from emulator.arm.writes import render
from federation.azure_facts import TAGS_OF_A_ZONE

_ZONE_TAG = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")

LINK = ZONE_LINK
TO_NETWORK = "properties.virtualNetwork.id"

ENDPOINT_TTL = 10
"""Seconds that the records of private endpoints live."""

MAXIMA = {
    "maxNumberOfRecordSets": 25000,
    "maxNumberOfVirtualNetworkLinks": 1000,
    "maxNumberOfVirtualNetworkLinksWithRegistration": 100,
}
"""https://learn.microsoft.com/azure/azure-resource-manager/management/azure-subscription-service-
limits#azure-dns-limits
"""


# Zones


def _zone_name_error(name: str) -> ArmError:
    return bad_request(
        "BadRequest",
        f"The zone '{name}' is not valid: it needs 2 to 34 labels of letters, digits, '-' and '_', "
        "separated by dots, each up to 63 characters.",
    )


def _settle_zone(write: Write) -> None:
    internal = base64.b64encode(f"SW1tdXRhYmxlWm9uZUlkZW50aXR5;{uuid.uuid4()};0".encode()).decode()
    write.settle("properties.internalId", internal)


def _add_authority(write: Write) -> None:
    if write.old is not None:
        return
    zone = write.row
    record = {
        "email": "azureprivatedns-host.microsoft.com",
        "host": "azureprivatedns.net",
        "serialNumber": 1,
        "refreshTime": 3600,
        "retryTime": 300,
        "expireTime": 2419200,
        "minimumTtl": 10,
    }
    write.tx.put(
        Row(
            id=f"{zone.id}/SOA/@",
            type=AUTHORITY,
            body={
                "properties": {
                    "fqdn": f"{zone.name}.",
                    "isAutoRegistered": False,
                    "ttl": 3600,
                    "soaRecord": record,
                }
            },
            etag=new_etag(PLAIN_ETAG),
            parent=zone.key,
        )
    )


def _render_zone(tx: Transaction, row: Row, answer: Json) -> None:
    links = tx.children(row.key, LINK)
    answer["properties"] |= MAXIMA | {
        "numberOfRecordSets": len(tx.children(row.key)) - len(links),
        "numberOfVirtualNetworkLinks": len(links),
        "numberOfVirtualNetworkLinksWithRegistration": sum(
            1 for link in links if link.properties["registrationEnabled"]
        ),
    }


def _keep_linked(deletion: Deletion) -> None:
    links = deletion.tx.children(deletion.row.key, LINK)
    if links:
        named = "', '".join(link.id.partition("/providers/")[2] for link in links)
        raise conflict(
            "CannotDeleteResource",
            "Cannot delete resource while nested resources exist. Some existing nested resource IDs include: "
            f"'{named}'. Please delete all nested resources before deleting this resource.",
        )


def _all_records(context: Context, row: Row, _: Request) -> Response:
    records = [child for child in context.tx.children(row.key) if child.type != LINK]
    return Response(status=200, body={"value": [render(context, child) for child in records]})


# Records of private endpoints


def record_id(zone: Row, name: str) -> str:
    """Return the id of an A record."""
    return f"{zone.id}/A/{name}"


def sync_records(tx: Transaction, creator: str, wanted: dict[str, str]) -> None:
    """Make the records of one creator these (id -> address): write what is missing, remove what is too
    many.
    """
    kept = {identifier.lower() for identifier in wanted}
    for source, _, _ in tx.links_to(creator, "creator"):
        row = tx.get(source)
        if row is not None and row.key not in kept:
            tx.touch(row.parent)
            tx.delete(row)
    for identifier, address in wanted.items():
        _put_record(tx, identifier, address, creator)


def _put_record(tx: Transaction, identifier: str, address: str, creator: str) -> None:
    zone_id, _, name = identifier.rsplit("/", 2)
    zone, found = tx.get(zone_id), tx.get(identifier)
    if zone is None:
        return
    properties = {
        "metadata": {"creator": creator},
        "fqdn": fqdn_of(name, zone),
        "isAutoRegistered": False,
        "ttl": ENDPOINT_TTL,
        "aRecords": [{"ipv4Address": address}],
    }
    if found is not None and found.properties == properties:
        return
    row = found or Row(id=identifier, type=RECORD, body={}, parent=zone.key)
    row.body = {"properties": properties}
    row.etag = new_etag(PLAIN_ETAG)
    tx.put(row)
    tx.link(row.key, [("creator", creator, row.id)])
    tx.touch(zone.key)


def _touch_zone(write: Write) -> None:
    write.tx.touch(write.id.parent)


def _touch_zone_on_delete(deletion: Deletion) -> None:
    if not deletion.with_parent:
        deletion.tx.touch(deletion.row.parent)


# Links


def _check_link(write: Write) -> None:
    zone, network = write.parent(), write.target(TO_NETWORK)
    if network is None:
        return
    for source, _, _ in write.tx.links_to(network.key, TO_NETWORK):
        other = write.tx.get(source)
        if other is None or other.key == write.id.key:
            continue
        other_zone = other.parent.rsplit("/", 1)[-1]
        if other_zone == zone.name.lower():
            raise bad_request(
                "BadRequest",
                "A virtual network cannot be linked to multiple zones with overlapping namespaces. You "
                f"tried to link virtual network with '{zone.name}' and '{other_zone}' zones.",
            )
        if other.properties["registrationEnabled"] and write.properties["registrationEnabled"]:
            raise bad_request(
                "BadRequest",
                f"The virtual network {network.id} can be linked with registration to one zone only; it is "
                f"to '{other_zone}'.",
            )
    _settle_resolution_policy(write, zone)
    write.properties["virtualNetworkLinkState"] = "Completed"


def _check_tags(write: Write) -> None:
    """Zones and links take fewer tags than anything else.

    https://github.com/Azure/bicep-registry-modules/issues/1541 has the words of the refusal,
    https://learn.microsoft.com/azure/azure-resource-manager/management/tag-resources#limitations the names.
    """
    tags = write.body.get("tags") or {}
    if len(tags) > TAGS_OF_A_ZONE or not all(_ZONE_TAG.fullmatch(name) for name in tags):
        raise bad_request(
            "BadRequest",
            f"The resource tags are invalid. A maximum of {TAGS_OF_A_ZONE} tags are allowed with keys no "
            "longer than 512 and values no longer than 256 characters.",
        )


def _settle_resolution_policy(write: Write, zone: Row) -> None:
    """Azure knows the policy in privatelink zones only, and elsewhere refuses even `Default`:
    https://github.com/Azure/Azure-Landing-Zones/issues/4088
    """
    if zone.name.lower().startswith("privatelink."):
        write.properties.setdefault("resolutionPolicy", "Default")
    elif "resolutionPolicy" in write.properties:
        raise bad_request(
            "BadRequest", f"ResolutionPolicy is not supported for the private DNS zone '{zone.name}'."
        )


TYPES = (
    replace(
        described(ZONE, error=_zone_name_error, place=Place.GLOBAL),
        answers=answers.PRIVATE_DNS,
        patch=("tags", "location", "etag", "properties"),
        check=(_check_tags, _settle_zone),
        after=(_add_authority,),
        keep=(_keep_linked,),
        render=_render_zone,
        views={"ALL": _all_records, "recordsets": _all_records},
        etag=PLAIN_ETAG,
    ),
    replace(
        described(LINK, error=bad_name, place=Place.GLOBAL),
        answers=answers.PRIVATE_DNS,
        patch=("tags", "location", "etag", "properties"),
        required=(TO_NETWORK,),
        defaults={"properties": {"registrationEnabled": False}},
        fixed=(
            Fixed(
                path=TO_NETWORK,
                error=lambda _: bad_request(
                    "BadRequest", "The virtual network of a virtual network link cannot be changed."
                ),
            ),
        ),
        references=(Reference(path=TO_NETWORK, types=(VIRTUAL_NETWORK,), action="join/action"),),
        check=(_check_tags, _check_link),
        after=(_touch_zone,),
        gone=(_touch_zone_on_delete,),
        etag=PLAIN_ETAG,
    ),
)
