"""Microsoft.OperationalInsights: Log Analytics workspaces."""

from __future__ import annotations

import uuid

from emulator.arm.catalogue import Names, ResourceType
from emulator.arm.context import Deletion, Write
from emulator.arm.errors import bad_request
from emulator.arm.times import stamp

WORKSPACE = "Microsoft.OperationalInsights/workspaces"
VERSIONS = ("2023-09-01", "2025-07-01", "2025-02-01", "2022-10-01")

RETENTION = range(30, 731)
"""Days, besides 7 of the free tier (facts of the pricing tier PerGB2018)."""


def _check_retention(write: Write) -> None:
    days = write.properties["retentionInDays"]
    if days not in RETENTION and days != 7:
        raise bad_request(
            "InvalidParameter",
            f"'RetentionInDays' property doesn't match the SKU limits: {days} is not between "
            f"{RETENTION.start} and {RETENTION.stop - 1}.",
            target="properties.retentionInDays",
        )


def _complete(write: Write) -> None:
    """A workspace of the same name in the same group within 14 days of its deletion is recovered."""
    now = stamp(write.tx.now)
    lost = None if write.old else write.tx.remnant(write.id.key)
    write.settle("properties.customerId", lost["customerId"] if lost else str(uuid.uuid4()))
    write.settle("properties.createdDate", lost["createdDate"] if lost else now)
    write.properties["modifiedDate"] = now
    write.properties["workspaceCapping"].setdefault("dataIngestionStatus", "RespectQuota")
    if lost:
        write.tx.drop_remnant(write.id.key)


def _remember(deletion: Deletion) -> None:
    properties = deletion.row.properties
    kept = {name: properties[name] for name in ("customerId", "createdDate")}
    deletion.tx.keep_remnant(deletion.row.key, WORKSPACE, kept)


TYPES = (
    ResourceType(
        name=WORKSPACE,
        versions=VERSIONS,
        names=Names(
            pattern=r"[A-Za-z0-9][A-Za-z0-9-]+[A-Za-z0-9]",
            minimum=4,
            maximum=63,
            error=lambda name: bad_request(
                "InvalidResourceName",
                f"The workspace name '{name}' is invalid: 4 to 63 letters, digits and '-', which must not be "
                "the first or the last.",
            ),
        ),
        identity=True,
        defaults={
            "properties": {
                "sku": {"name": "PerGB2018"},
                "retentionInDays": 30,
                "features": {"enableLogAccessUsingOnlyResourcePermissions": True},
                "workspaceCapping": {"dailyQuotaGb": -1.0},
                "publicNetworkAccessForIngestion": "Enabled",
                "publicNetworkAccessForQuery": "Enabled",
            }
        },
        check=(_check_retention, _complete),
        gone=(_remember,),
        seconds=(46, 15),
    ),
)
