"""Microsoft.DataProtection: backup vaults, their policies, and the disks that they snapshot."""

from __future__ import annotations

from emulator.arm import answers
from emulator.arm.catalogue import Fixed, Level, Names, Place, Reference, ResourceType
from emulator.arm.context import Deletion, Write
from emulator.arm.errors import ArmError, bad_request, conflict, not_found
from emulator.arm.grants import holds_role
from emulator.arm.ids import ResourceId
from emulator.arm.store import Row
from emulator.arm.writes import sources

VAULT = "Microsoft.DataProtection/backupVaults"
POLICY = "Microsoft.DataProtection/backupVaults/backupPolicies"
INSTANCE = "Microsoft.DataProtection/backupVaults/backupInstances"
DISK = "Microsoft.Compute/disks"
VERSIONS = ("2025-01-01", "2025-07-01", "2025-02-01", "2024-04-01", "2023-11-01")
OF_POLICY = "properties.policyInfo.policyId"
OF_SOURCE = "properties.dataSourceInfo.resourceID"
READER = "3e5e47e6-65f7-47ef-90b5-e5dd4d455f24"
NEEDED = {
    READER: "Disk Backup Reader",
    "7efff54f-a5b4-42b5-a1c5-5411624893ce": "Disk Snapshot Contributor",
}
"""Roles without which the vault's identity cannot snapshot a disk: on the disk, on the snapshots' group."""


def _policy_fixed(_: str) -> ArmError:
    return bad_request(
        "UserErrorPolicyCannotBeModified", "A backup policy cannot be changed. Make one with another name."
    )


def _check_settings(write: Write) -> None:
    settings = write.properties.get("storageSettings") or []
    if len(settings) != 1:
        raise bad_request("BMSUserErrorInvalidInput", f"Vault {write.id.name} needs one storage setting.")


def _redundancy_fixed(_: str) -> ArmError:
    return bad_request(
        "BMSUserErrorRedundancySettingsCannotBeChanged", "The redundancy of a backup vault cannot be changed."
    )


def _keep_with_items(deletion: Deletion) -> None:
    items = deletion.tx.children(deletion.row.key, INSTANCE)
    if items:
        raise conflict(
            "ServiceResourceNotEmptyWithContainerDetails",
            f"Vault {deletion.row.name} cannot be deleted as there are existing resources within the vault: "
            f"{', '.join(item.name for item in items)}.",
        )


def _keep_used_policy(deletion: Deletion) -> None:
    users = list(sources(deletion.tx, deletion.row, OF_POLICY, INSTANCE))
    if users:
        raise conflict("UserErrorPolicyInUse", f"Policy {deletion.row.name} is used by {', '.join(users)}.")


def _check_instance(write: Write) -> None:
    vault, disk = write.parent(), write.target(OF_SOURCE)
    if disk is None:
        return
    if disk.location != vault.location:
        raise bad_request(
            "UserErrorDatasourceAndVaultRegionMismatch",
            f"Disk {disk.id} is in '{disk.location}', the vault in '{vault.location}'.",
        )
    policy = write.target(OF_POLICY)
    if policy is not None and DISK not in (policy.properties.get("datasourceTypes") or []):
        raise bad_request("UserErrorPolicyTypeMismatch", f"Policy {policy.id} is not one for disks.")
    missing = [role for guid, role in NEEDED.items() if not _granted(write, vault, disk, guid)]
    if missing:
        raise bad_request(
            "UserErrorDppDatasourceNotAccessible",
            f"The identity of vault {vault.id} lacks {' and '.join(missing)}: grant them on the disk and on "
            "the group of the snapshots before the disk is protected.",
        )


def _granted(write: Write, vault: Row, disk: Row, role: str) -> bool:
    """Say whether the vault's identity holds a role: on the disk, or on the group that takes the
    snapshots."""
    principal = (vault.body.get("identity") or {}).get("principalId")
    if principal is None:
        return False
    parameters = write.get("properties.policyInfo.policyParameters.dataStoreParametersList") or []
    snapshots = [str(one["resourceGroupId"]) for one in parameters if one.get("resourceGroupId")]
    scopes = [disk.id] if role == READER else snapshots or [disk.parent]
    return all(holds_role(write.tx, principal, {role}, scope) for scope in scopes)


def _protect(write: Write) -> None:
    write.properties["currentProtectionState"] = "ProtectionConfigured"
    write.properties["protectionStatus"] = {"status": "ProtectionConfigured"}


def _missing(_: ResourceId) -> ArmError:
    """10 of 10 recorded, as Test_DataProtection_BackupPolicy_20231101_CRUD, 2025."""
    return not_found(
        "UserErrorGenericResourceNotFound",
        "Azure resource does not exist. Please make sure required resources exist. If the issue persists, "
        "contact Microsoft support.",
    )


TYPES = (
    ResourceType(
        name=VAULT,
        missing=_missing,
        versions=VERSIONS,
        answers=answers.BACKUP,
        patch=("tags", "identity", "properties"),
        names=Names(pattern=r"[A-Za-z][A-Za-z0-9-]*[A-Za-z0-9]", minimum=2, maximum=50),
        identity=True,
        fixed=(Fixed(path="properties.storageSettings", error=_redundancy_fixed),),
        check=(_check_settings,),
        keep=(_keep_with_items,),
        seconds=(15, 10),
    ),
    ResourceType(
        name=POLICY,
        missing=_missing,
        versions=VERSIONS,
        answers=answers.REPLACED,
        names=Names(pattern=r"[A-Za-z][A-Za-z0-9-]*[A-Za-z0-9]", minimum=3, maximum=150),
        level=Level.PARENT,
        place=Place.NONE,
        tags=False,
        provisioning=False,
        fixed=(Fixed(path="properties", error=_policy_fixed),),
        keep=(_keep_used_policy,),
        seconds=(3, 3),
    ),
    ResourceType(
        name=INSTANCE,
        missing=_missing,
        versions=VERSIONS,
        answers=answers.BACKUP,
        names=Names(pattern=r"[A-Za-z0-9][A-Za-z0-9_.-]*", maximum=260),
        level=Level.PARENT,
        place=Place.NONE,
        references=(
            Reference(path=OF_SOURCE, types=(DISK,)),
            Reference(path=OF_POLICY, types=(POLICY,)),
        ),
        check=(_check_instance, _protect),
        seconds=(60, 30),
    ),
)
