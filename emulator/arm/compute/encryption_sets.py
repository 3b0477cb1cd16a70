"""Disk encryption sets: which key encrypts a party's disks."""

from __future__ import annotations

from emulator.arm.catalogue import Reference, ResourceType
from emulator.arm.compute.common import DISK_NAMES, DISK_VERSIONS, ENCRYPTION_SET, invalid, not_allowed
from emulator.arm.context import Deletion, Write
from emulator.arm.errors import bad_request, not_found
from emulator.arm.key_vault import VAULT, key_at, may_wrap, protects


def _check_key(write: Write) -> None:
    url = str(write.properties["activeKey"]["keyUrl"])
    key = key_at(write.tx, url)
    if key is None:
        raise not_found("KeyVaultKeyNotFound", f"The key '{url}' of {write.id.name} was not found.")
    if len(url.rstrip("/").split("/")) < 6:
        raise invalid(
            f"The keyUrl '{url}' has no version: a disk encryption set needs one.", "activeKey.keyUrl"
        )
    if not protects(write.tx, key):
        raise bad_request(
            "KeyVaultPolicyError",
            f"Key vault {key.parent} must have purge protection and soft delete for disk encryption.",
        )
    identity = write.body.get("identity") or {}
    principals = [
        str(one["principalId"]) for one in (identity.get("userAssignedIdentities") or {}).values() if one
    ]
    principals += [identity["principalId"]] if identity.get("principalId") else []
    if not any(may_wrap(write.tx, key, principal) for principal in principals):
        raise bad_request(
            "KeyVaultAccessForbidden",
            f"Unable to access key vault resource '{url}' to enable encryption at rest. Please grant get, "
            f"wrap and unwrap key permissions to disk encryption set '{write.id.name}'.",
        )


def _keep_used(deletion: Deletion) -> None:
    users = [via for _, _, via in deletion.tx.links_to(deletion.row.key)]
    if users:
        raise not_allowed(f"Disk encryption set {deletion.row.name} is used by {', '.join(users)}.")


TYPES = (
    ResourceType(
        name=ENCRYPTION_SET,
        versions=DISK_VERSIONS,
        names=DISK_NAMES,
        identity=True,
        required=("identity", "properties.activeKey.keyUrl"),
        defaults={
            "properties": {
                "encryptionType": "EncryptionAtRestWithCustomerKey",
                "rotationToLatestKeyVersionEnabled": False,
                "previousKeys": [],
            }
        },
        references=(
            Reference(path="properties.activeKey.sourceVault.id", types=(VAULT,), same_subscription=True),
        ),
        check=(_check_key,),
        keep=(_keep_used,),
        seconds=(5, 5),
    ),
)
