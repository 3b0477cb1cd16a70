"""Disk encryption sets: which key encrypts a party's disks.

Microsoft's page demands a vault with purge protection; Azure takes one without it (recorded 2025-03-31,
Test_Compute_DiskEncryptionSet_20220702_CRUD and ..._20240302_CRUD), and the policy pack asks for it.
A set is made before its own identity can have a role, so the key is asked for when a disk is made, and when
the set is written again: https://learn.microsoft.com/azure/virtual-machines/disk-encryption#customer-managed-keys,
https://github.com/hashicorp/terraform-provider-azurerm/issues/17573
"""

from __future__ import annotations

from dataclasses import replace

from emulator.arm import answers
from emulator.arm.catalogue import Reference, described
from emulator.arm.compute.common import ENCRYPTION_SET, invalid, not_allowed
from emulator.arm.context import Deletion, Write
from emulator.arm.errors import ArmError, bad_request, not_found
from emulator.arm.ids import ResourceId
from emulator.arm.key_vault import VAULT, closed_to, key_at, may_wrap
from emulator.arm.messages import Json
from emulator.arm.store import Row, Transaction


def _check_key(write: Write) -> None:
    url = str(write.properties["activeKey"]["keyUrl"])
    key = key_at(write.tx, url)
    if key is None:
        raise not_found("KeyVaultKeyNotFound", f"The key '{url}' of {write.id.name} was not found.")
    if len(url.rstrip("/").split("/")) < 6:
        raise invalid(
            f"The keyUrl '{url}' has no version: a disk encryption set needs one.", "activeKey.keyUrl"
        )
    identity = write.body["identity"]
    is_new = identity.get("principalId") and not write.before("identity.principalId")
    if not is_new and not _may_use(write.tx, key, identity):
        raise _forbidden(url, write.id.name)


def refuse_without_key(tx: Transaction, encryption_set: str) -> None:
    """Refuse a disk whose encryption set may not use its key, or not yet."""
    row = tx.get(encryption_set)
    url = str(row.properties["activeKey"]["keyUrl"]) if row else ""
    key = key_at(tx, url)
    if row is None or key is None or not _may_use(tx, key, row.body["identity"]):
        raise _forbidden(url, encryption_set.rsplit("/", 1)[-1])


def _may_use(tx: Transaction, key: Row, identity: Json) -> bool:
    """Say whether one of a set's identities may use a key; behind a closed vault only its own is trusted:
    https://github.com/Azure/HubAndSpokeResearchEnclave/issues/205
    """
    users = (identity.get("userAssignedIdentities") or {}).values()
    principals = {str(one["principalId"]): False for one in users if one}
    if identity.get("principalId"):
        principals[str(identity["principalId"])] = True
    return any(
        may_wrap(tx, key, principal) and not closed_to(tx, key, trusted=trusted)
        for principal, trusted in principals.items()
    )


def _forbidden(url: str, name: str) -> ArmError:
    return bad_request(
        "KeyVaultAccessForbidden",
        f"Unable to access key vault resource '{url}' to enable encryption at rest. Please grant get, "
        f"wrap and unwrap key permissions to disk encryption set '{name}'.",
    )


def _keep_used(deletion: Deletion) -> None:
    users = [via for _, _, via in deletion.tx.links_to(deletion.row.key)]
    if users:
        raise not_allowed(f"Disk encryption set {deletion.row.name} is used by {', '.join(users)}.")


def _missing(id_: ResourceId) -> ArmError:
    return not_found("NotFound", f"DiskEncryptionSet '{id_.name}' was not found.")


TYPES = (
    replace(
        described(ENCRYPTION_SET),
        answers=answers.DISK,
        patch=("tags", "identity", "properties"),
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
        missing=_missing,
    ),
)
