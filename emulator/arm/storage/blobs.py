"""The blob service of an account, its containers and lifecycle rules."""

from __future__ import annotations

from dataclasses import replace

from emulator.arm import answers
from emulator.arm.catalogue import described
from emulator.arm.context import Write
from emulator.arm.errors import ArmError, bad_request, conflict, not_found
from emulator.arm.ids import ResourceId
from emulator.arm.messages import Json
from emulator.arm.storage.common import BLOB_SERVICE, CONTAINER, LIFECYCLE, of_account
from emulator.arm.store import Row, Transaction
from emulator.arm.times import stamp

BLOB_DEFAULTS: Json = {
    "cors": {"corsRules": []},
    "deleteRetentionPolicy": {"allowPermanentDelete": False, "enabled": False},
}
"""What the blob service of a new account says."""


def _check_blob_service(write: Write) -> None:
    properties = write.properties
    deletion, restore = properties.get("deleteRetentionPolicy") or {}, properties.get("restorePolicy") or {}
    for name in ("deleteRetentionPolicy", "containerDeleteRetentionPolicy"):
        policy = properties.get(name) or {}
        if policy.get("enabled") and not 1 <= int(policy.get("days") or 0) <= 365:
            raise _bad_service(f"{name}.days must be 1 to 365 while it is enabled.")
    account = write.tx.get(write.id.parent)
    if account is not None and account.properties.get("isHnsEnabled"):
        for name in ("isVersioningEnabled", "changeFeed", "restorePolicy"):
            given = properties.get(name)
            if given is True or (isinstance(given, dict) and given.get("enabled")):
                raise _bad_service(f"{name} is not supported on an account with a hierarchical namespace.")
    if not restore.get("enabled"):
        return
    if not properties.get("isVersioningEnabled") or not (properties.get("changeFeed") or {}).get("enabled"):
        raise _bad_service("restorePolicy needs isVersioningEnabled and changeFeed.")
    if not deletion.get("enabled") or not 0 < int(restore.get("days") or 0) < int(deletion.get("days") or 0):
        raise _bad_service("restorePolicy.days must be above 0 and below deleteRetentionPolicy.days.")
    if deletion.get("allowPermanentDelete"):
        raise _bad_service("restorePolicy and deleteRetentionPolicy.allowPermanentDelete exclude each other.")


def _bad_service(reason: str) -> ArmError:
    return bad_request(
        "InvalidRequestPropertyValue", f"The value for one of the properties is invalid: {reason}"
    )


def _render_blob_service(tx: Transaction, row: Row, answer: Json) -> None:
    account = tx.get(row.parent)
    if account is not None:
        answer["sku"] = account.body["sku"]


def _bad_container_name(name: str) -> ArmError:
    return bad_request(
        "InvalidResourceName",
        f"The specified resource name '{name}' is invalid: 3 to 63 lower-case letters, digits and single "
        "dashes, which may be neither first nor last.",
    )


def _check_public_access(write: Write) -> None:
    if write.properties["publicAccess"] == "None":
        return
    account = write.tx.get(write.id.parent.rsplit("/", 2)[0])
    if account is not None and not account.properties.get("allowBlobPublicAccess"):
        raise conflict("PublicAccessNotPermitted", "Public access is not permitted on this storage account.")


def _complete_container(write: Write) -> None:
    properties = write.properties
    properties |= {
        "lastModifiedTime": stamp(write.tx.now),
        "leaseState": "Available",
        "leaseStatus": "Unlocked",
        "hasImmutabilityPolicy": False,
        "hasLegalHold": False,
        "deleted": False,
        "remainingRetentionDays": 0,
    }


def _missing_container(_: ResourceId) -> ArmError:
    return not_found("ContainerNotFound", "The specified container does not exist.")


def _check_lifecycle(write: Write) -> None:
    rules = (write.properties.get("policy") or {}).get("rules") or []
    names = [rule["name"] for rule in rules]
    if not rules or len(set(names)) != len(names):
        raise bad_request(
            "InvalidValuesForRequestParameters",
            f"The management policy of {write.id.parent} needs rules with names of their own; named: "
            f"{names}.",
        )
    for rule in rules:
        rule.setdefault("enabled", True)
        if not (rule["definition"].get("actions") or {}):
            raise bad_request(
                "InvalidValuesForRequestParameters",
                f"Rule '{rule['name']}' of the management policy has no action.",
            )
    write.properties["lastModifiedTime"] = stamp(write.tx.now)


def _missing_lifecycle(id_: ResourceId) -> ArmError:
    return not_found("ManagementPolicyNotFound", f"No ManagementPolicy found for account {id_.names[0]}")


def _name_lifecycle(_: Transaction, __: Row, answer: Json) -> None:
    """The policy at .../managementPolicies/default calls itself so (6 of 6 recorded)."""
    answer["name"] = "DefaultManagementPolicy"


TYPES = (
    replace(
        described(BLOB_SERVICE),
        answers=answers.REPLACED,
        provisioning=False,
        defaults={"properties": BLOB_DEFAULTS},
        parent_first=True,
        check=(_check_blob_service,),
        render=_render_blob_service,
        holds=of_account,
        methods=frozenset({"GET", "HEAD", "PUT"}),
    ),
    replace(
        described(CONTAINER, error=_bad_container_name),
        provisioning=False,
        defaults={
            "properties": {
                "publicAccess": "None",
                "defaultEncryptionScope": "$account-encryption-key",
                "denyEncryptionScopeOverride": False,
                "immutableStorageWithVersioning": {"enabled": False},
                "legalHold": {"hasLegalHold": False, "tags": []},
            }
        },
        check=(_check_public_access, _complete_container),
        missing=_missing_container,
        parent_first=True,
        holds=of_account,
        etag='"{}"',
        patch=("properties",),
    ),
    replace(
        described(LIFECYCLE),
        answers=answers.REPLACED,
        provisioning=False,
        check=(_check_lifecycle,),
        missing=_missing_lifecycle,
        render=_name_lifecycle,
        holds=of_account,
    ),
)
