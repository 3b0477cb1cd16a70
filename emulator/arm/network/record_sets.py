"""The record sets of private DNS zones. Those of type A have an effect: virtual machines are told them.

https://learn.microsoft.com/azure/dns/private-dns-records
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

from azure_types.azure_type import NameRule
from azure_types.types import BY_ARM_TYPE
from emulator.arm.catalogue import PLAIN_ETAG, Level, Names, Place, ResourceType, described
from emulator.arm.context import Deletion, Write
from emulator.arm.errors import bad_request, conflict
from emulator.arm.messages import Json
from emulator.arm.store import Row

ZONE = "Microsoft.Network/privateDnsZones"
RECORD = f"{ZONE}/A"
ALIAS = f"{ZONE}/CNAME"
AUTHORITY = f"{ZONE}/SOA"
LARGEST_TTL = 2**31 - 1
MOST_RECORDS = 20
LONGEST_TEXT = 1024

LISTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "A": ("aRecords", ("ipv4Address",)),
    "AAAA": ("aaaaRecords", ("ipv6Address",)),
    "MX": ("mxRecords", ("preference", "exchange")),
    "PTR": ("ptrRecords", ("ptrdname",)),
    "SRV": ("srvRecords", ("priority", "weight", "port", "target")),
    "TXT": ("txtRecords", ("value",)),
}
"""Type of record -> (property, what each record needs)."""


def fqdn_of(name: str, zone: Row) -> str:
    """Return the full name of a record set, with its last dot."""
    return f"{zone.name}." if name == "@" else f"{name}.{zone.name}."


def _check_ttl(write: Write) -> None:
    ttl = write.get("properties.ttl")
    if not isinstance(ttl, int) or not 0 <= ttl <= LARGEST_TTL:
        raise bad_request(
            "BadRequest", f"The TTL '{ttl}' of record set '{write.id.name}' must be 0 to {LARGEST_TTL}."
        )
    write.properties["fqdn"] = fqdn_of(write.id.name, write.parent())
    write.properties["isAutoRegistered"] = False


def _check_records(write: Write) -> None:
    kind = write.type.kind.rpartition("/")[2]
    property_, needed = LISTS[kind]
    records: list[Json] = write.properties[property_]
    if len(records) > MOST_RECORDS:
        raise bad_request(
            "BadRequest",
            f"The record set '{write.id.name}' of type {kind} takes up to {MOST_RECORDS} records, not "
            f"{len(records)}.",
        )
    for record in records:
        missing = [name for name in needed if record.get(name) is None]
        if missing:
            raise bad_request(
                "BadRequest", f"A record of '{write.id.name}' of type {kind} needs {', '.join(missing)}."
            )
        _check_values(record)


def _check_values(record: Json) -> None:
    for name, version, of in (("ipv4Address", "IPv4", IPv4Address), ("ipv6Address", "IPv6", IPv6Address)):
        if name in record:
            try:
                of(record[name])
            except ValueError as wrong:
                raise bad_request(
                    "BadRequest", f"The {version} address '{record[name]}' is not valid."
                ) from wrong
    if sum(len(part) for part in record.get("value", ())) > LONGEST_TEXT:
        raise bad_request("BadRequest", f"A text record holds up to {LONGEST_TEXT} characters.")


def _check_alias(write: Write) -> None:
    if write.id.name == "@":
        raise bad_request("BadRequest", "The record set '@' of a zone cannot be of type CNAME.")


def _alone(write: Write) -> None:
    """An alias stands alone under its name.

    https://learn.microsoft.com/azure/dns/dns-zones-records#cname-records
    """
    for other in write.tx.children(write.id.parent):
        same = other.name.lower() == write.id.name.lower() and other.type.startswith(f"{ZONE}/")
        if same and other.key != write.id.key and ALIAS in {other.type, write.type.name}:
            raise conflict(
                "Conflict",
                f"The record set '{write.id.name}' cannot be made: '{other.id}' has the name, and a CNAME "
                "cannot share its name.",
            )


def _keep_authority(write: Write) -> None:
    """The record that every zone has may be changed (18 of 18 recorded), host and fqdn aside."""
    if write.old is not None:
        fixed = {"fqdn": write.old.properties["fqdn"], "isAutoRegistered": False}
        given = write.properties.get("soaRecord") or {}
        if not isinstance(given, dict):
            raise bad_request("BadRequest", "The soaRecord of a zone is an object.")
        record = write.old.properties["soaRecord"] | given
        write.body["properties"] = write.old.properties | write.properties | fixed | {"soaRecord": record}


def _touch_zone(write: Write) -> None:
    write.tx.touch(write.id.parent)


def _touch_zone_on_delete(deletion: Deletion) -> None:
    if not deletion.with_parent:
        deletion.tx.touch(deletion.row.parent)


def _records(
    type_: str, *checks: Callable[[Write], None], defaults: Json, required: tuple[str, ...] = ()
) -> ResourceType:
    return replace(
        described(type_),
        required=("properties.ttl", *required),
        defaults=defaults,
        check=(_check_ttl, *checks, _alone),
        after=(_touch_zone,),
        gone=(_touch_zone_on_delete,),
        provisioning=False,
        parent_first=True,
        etag=PLAIN_ETAG,
        patch=("properties", "etag"),
    )


TYPES = (
    *(
        _records(f"{ZONE}/{kind}", _check_records, defaults={"properties": {property_: []}})
        for kind, (property_, _) in LISTS.items()
    ),
    _records(ALIAS, _check_alias, defaults={}, required=("properties.cnameRecord.cname",)),
    ResourceType(
        name=AUTHORITY,
        versions=BY_ARM_TYPE[ZONE].versions,
        names=Names(rule=NameRule(pattern="@", maximum=1)),
        level=Level.PARENT,
        place=Place.NONE,
        tags=False,
        schema=False,
        provisioning=False,
        etag=PLAIN_ETAG,
        creatable=False,
        parent_first=True,
        patch=("properties", "etag"),
        check=(_keep_authority,),
        methods=frozenset({"GET", "HEAD", "PUT", "PATCH"}),
    ),
)
