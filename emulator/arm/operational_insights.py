"""Microsoft.OperationalInsights: Log Analytics workspaces."""

from __future__ import annotations

import base64
import secrets
import uuid
from dataclasses import replace

from azure_types.types import BY_ARM_TYPE
from emulator.arm import answers
from emulator.arm.catalogue import described, listed
from emulator.arm.context import Context, Deletion, Write
from emulator.arm.errors import ArmError, bad_request
from emulator.arm.ids import ResourceId, subscription_of
from emulator.arm.messages import Json, Request, Response
from emulator.arm.store import Row
from emulator.arm.times import stamp

WORKSPACE = "Microsoft.OperationalInsights/workspaces"
DELETED = "Microsoft.OperationalInsights/deletedWorkspaces"

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


DAY = 24 * 3600.0
RECOVERABLE_SECONDS = 14 * DAY
"""How long a deleted workspace is kept, and its name with it."""


def _lost(write: Write) -> Json | None:
    """Return what a new workspace recovers: the deleted one of the same name, group and location.

    https://learn.microsoft.com/rest/api/loganalytics/workspaces/delete
    """
    found = None if write.old else write.tx.remnant(write.id.key)
    if found is None or write.tx.now - found["deleted"] >= RECOVERABLE_SECONDS:
        return None
    if found["location"] != write.body["location"]:
        raise ArmError(
            409,
            "Conflict",
            f"The workspace name '{write.id.name}' is not available: a workspace of this name was deleted in "
            f"'{found['location']}' and can be recovered there for 14 days.",
        )
    return found


def _complete(write: Write) -> None:
    now = stamp(write.tx.now)
    lost = _lost(write)
    write.settle("properties.customerId", lost["customerId"] if lost else str(uuid.uuid4()))
    write.settle("properties.createdDate", lost["createdDate"] if lost else now)
    write.properties["modifiedDate"] = now
    write.properties["workspaceCapping"].setdefault("dataIngestionStatus", "RespectQuota")
    if lost:
        write.tx.drop_remnant(write.id.key)


def _remember(deletion: Deletion) -> None:
    properties = deletion.row.properties
    kept = {name: properties[name] for name in ("customerId", "createdDate")}
    kept |= {"id": deletion.row.id, "name": deletion.row.name, "deleted": deletion.tx.now}
    kept["location"] = deletion.row.body["location"]
    deletion.tx.keep_remnant(deletion.row.key, WORKSPACE, kept)


def _deleted(context: Context, path: ResourceId, _: Request) -> list[Row]:
    """Return the workspaces of a subscription that can still be recovered."""
    return [
        Row(
            id=lost["id"],
            type=DELETED,
            body={name: lost[name] for name in ("id", "name", "location")} | {"properties": {}},
        )
        for lost in context.tx.remnants(WORKSPACE)
        if subscription_of(lost["id"]) == path.subscription
        and context.tx.now - lost["deleted"] < RECOVERABLE_SECONDS
    ]


def _usages(context: Context, _: Row, __: Request) -> Response:
    """Answer how much was taken in: nothing is, here (test_monitor_log_analytics_workspace_default, 2020)."""
    tomorrow = stamp((context.tx.now // DAY + 1) * DAY)
    usage: Json = {
        "name": {"value": "DataAnalyzed", "localizedValue": "Data Analyzed"},
        "unit": "Bytes",
        "currentValue": 0.0,
        "limit": -1.0,
        "nextResetTime": tomorrow,
        "quotaPeriod": "P1D",
    }
    return Response(status=200, body={"value": [usage]})


def _packs(_: Context, __: Row, ___: Request) -> Response:
    """Answer the solutions of a workspace: the one that every workspace has."""
    return Response(
        status=200, body=[{"name": "LogManagement", "enabled": True, "displayName": "Log Management"}]
    )


def _shared_keys(context: Context, row: Row, _: Request) -> Response:
    """Answer the keys of a workspace, which nothing here accepts."""
    keys = row.hidden.get("sharedKeys")
    if keys is None:
        keys = row.hidden["sharedKeys"] = [base64.b64encode(secrets.token_bytes(64)).decode() for _ in "12"]
        context.tx.put(row)
    return Response(status=200, body=dict(zip(("primarySharedKey", "secondarySharedKey"), keys, strict=True)))


TYPES = (
    listed(DELETED, BY_ARM_TYPE[WORKSPACE].versions, _deleted),
    replace(
        described(
            WORKSPACE,
            error=lambda name: bad_request(
                "InvalidResourceName",
                f"The workspace name '{name}' is invalid: 4 to 63 letters, digits and '-', which must not be "
                "the first or the last.",
            ),
        ),
        answers=answers.WORKSPACE,
        patch=("tags", "identity", "properties"),
        defaults={
            "properties": {
                "sku": {"name": "PerGB2018"},
                "retentionInDays": 30,
                "features": {
                    "legacy": 0,
                    "searchVersion": 1,
                    "enableLogAccessUsingOnlyResourcePermissions": True,
                },
                "workspaceCapping": {"dailyQuotaGb": -1.0},
                "publicNetworkAccessForIngestion": "Enabled",
                "publicNetworkAccessForQuery": "Enabled",
            }
        },
        check=(_check_retention, _complete),
        read_only=("features.legacy", "features.searchVersion"),
        gone=(_remember,),
        views={"usages": _usages, "intelligencePacks": _packs},
        actions={"sharedKeys": _shared_keys},
    ),
)
