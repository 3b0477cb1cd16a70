"""Zone groups: the private DNS zones in which an endpoint's addresses have names."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from emulator.arm import answers
from emulator.arm.catalogue import WEAK_ETAG, Reference, described
from emulator.arm.context import Deletion, Write
from emulator.arm.errors import bad_request
from emulator.arm.messages import Json
from emulator.arm.network import private_dns
from emulator.arm.network.common import as_resource, bad_name
from emulator.arm.network.endpoint_records import ZONE_GROUP, creator, endpoint_addresses, refresh_records
from emulator.arm.network.record_sets import ZONE
from emulator.arm.store import Row, Transaction

MOST_ZONES = 5


def _check_zones(write: Write) -> None:
    configurations: list[Any] = write.properties.get("privateDnsZoneConfigs") or []
    if len(configurations) > MOST_ZONES:
        raise bad_request(
            "InvalidRequestFormat",
            f"Private DNS zone group {write.id.path} names {len(configurations)} zones; the limit is "
            f"{MOST_ZONES}.",
        )
    for one in configurations:
        if not one.get("name") or not (one.get("properties") or {}).get("privateDnsZoneId"):
            raise bad_request(
                "InvalidRequestFormat",
                f"Each zone config of {write.id.path} needs a name and a privateDnsZoneId.",
            )
    others = [row for row in write.tx.children(write.id.parent, ZONE_GROUP) if row.key != write.id.key]
    if others:
        raise bad_request(
            "PrivateEndpointCannotHaveMoreThanOnePrivateDnsZoneGroup",
            f"Private endpoint {write.id.parent} has the private DNS zone group {others[0].id} already; it "
            "can have only one.",
        )


def _write_records(write: Write) -> None:
    endpoint = write.parent()
    refresh_records(write.tx, endpoint)
    write.tx.touch(endpoint.key)


def _remove_records(deletion: Deletion) -> None:
    endpoint = deletion.tx.get(deletion.row.parent)
    if endpoint is not None:
        private_dns.sync_records(deletion.tx, creator(endpoint), {})
        deletion.tx.touch(endpoint.key)


def _render_group(tx: Transaction, row: Row, answer: Json) -> None:
    endpoint = tx.get(row.parent)
    addresses = endpoint_addresses(tx, endpoint) if endpoint else []
    configurations = [
        as_resource(row, "privateDnsZoneConfigs", one) for one in row.properties["privateDnsZoneConfigs"]
    ]
    answer["properties"]["privateDnsZoneConfigs"] = configurations
    for one in configurations:
        zone = one["properties"]["privateDnsZoneId"].rsplit("/", 1)[-1]
        one["properties"]["recordSets"] = [
            {
                "recordType": "A",
                "recordSetName": member.record,
                "fqdn": f"{member.record}.{zone}",
                "ttl": private_dns.ENDPOINT_TTL,
                "provisioningState": "Succeeded",
                "ipAddresses": [address],
            }
            for member, address in addresses
            if member.zone == zone.lower()
        ]


def _of_endpoint(key: str, _: Json) -> frozenset[str]:
    return frozenset({key.split("/privatednszonegroups/", maxsplit=1)[0]})


TYPES = (
    replace(
        described(ZONE_GROUP, error=bad_name),
        answers=answers.NETWORK,
        required=("properties.privateDnsZoneConfigs",),
        references=(
            Reference(
                path="properties.privateDnsZoneConfigs[].properties.privateDnsZoneId",
                types=(ZONE,),
                action="join/action",
            ),
        ),
        check=(_check_zones,),
        after=(_write_records,),
        gone=(_remove_records,),
        render=_render_group,
        holds=_of_endpoint,
        etag=WEAK_ETAG,
        patch=(),
    ),
)
