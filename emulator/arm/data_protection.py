"""Microsoft.DataProtection: backup vaults, their policies, and the disks that they snapshot.

Azure takes an instance whose vault may not do its work, says Succeeded, and ends in ProtectionError a minute
later; only a sync has it look again. Recorded on Azure by azure-service-operator's
Test_DataProtection_BackupInstance_20231101_CRUD (2024-08-15).
"""

from __future__ import annotations

from dataclasses import replace

from azure_types.roles import BUILT_IN
from azure_types.types import BY_ARM_TYPE
from emulator.arm import answers, ids
from emulator.arm.catalogue import Fixed, Level, Reference, described, listed, values_at
from emulator.arm.context import Context, Deletion, Write
from emulator.arm.errors import ArmError, bad_request, conflict, not_found
from emulator.arm.grants import holds_role
from emulator.arm.ids import ResourceId
from emulator.arm.messages import Json, Request, Response
from emulator.arm.operations import begin, pending_headers
from emulator.arm.store import Row, Transaction
from emulator.arm.times import stamp
from emulator.arm.writes import sources

VAULT = "Microsoft.DataProtection/backupVaults"
POLICY = "Microsoft.DataProtection/backupVaults/backupPolicies"
DELETED = "Microsoft.DataProtection/backupVaults/deletedBackupInstances"
INSTANCE = "Microsoft.DataProtection/backupVaults/backupInstances"
DISK = "Microsoft.Compute/disks"
OF_POLICY = "properties.policyInfo.policyId"
OF_SOURCE = "properties.dataSourceInfo.resourceID"
READER, SNAPSHOTS = "Disk Backup Reader", "Disk Snapshot Contributor"
"""Roles without which the vault's identity cannot snapshot a disk: on the disk, on the snapshots' group."""
DECIDED = "decided"
"""The hidden member of an instance that says when (seconds since 1970) its protection is decided."""
CONFIGURING = 56.0
"""Seconds from the end of an instance's PUT until then."""
LOOKING = 10.0
"""Seconds that a vault needs to say whether it may back something up."""


def _policy_fixed(_: str) -> ArmError:
    return bad_request(
        "UserErrorPolicyCannotBeModified", "A backup policy cannot be changed. Make one with another name."
    )


def _check_settings(write: Write) -> None:
    settings = write.properties.get("storageSettings") or []
    if len(settings) != 1:
        raise bad_request("BMSUserErrorInvalidInput", f"Vault {write.id.name} needs one storage setting.")


def _fill_in_vault(write: Write) -> None:
    """Recorded: 8 of 8, as Test_DataProtection_BackupInstance_20231101_CRUD, 2024."""
    write.properties.update({"isVaultProtectedByResourceGuard": False, "secureScore": "None"})
    deleted = (write.properties.get("securitySettings") or {}).get("softDeleteSettings")
    if deleted is not None:
        deleted.setdefault("retentionDurationInDays", 0.0 if deleted.get("state") == "Off" else 14.0)


def _fill_in_tags(write: Write) -> None:
    """Recorded: 7 of 7, as Test_DataProtection_BackupPolicy_20231101_CRUD, 2025."""
    for _, tag in values_at(write.body, "properties.policyRules[].trigger.taggingCriteria[].tagInfo"):
        tag["id"] = f"{tag.get('tagName', '')}_"


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


# Protection


def _configure(write: Write) -> None:
    write.hidden[DECIDED] = write.tx.now + write.context.latency.seconds(CONFIGURING)


def _sync(context: Context, row: Row, request: Request) -> Response:
    """Have the vault look again at what it could not protect."""
    seconds = context.latency.seconds(CONFIGURING)
    row.hidden[DECIDED] = context.tx.now + seconds
    context.tx.put(row)
    operation = begin(context, row, "POST", seconds=seconds)
    headers = pending_headers(context, request, row.key, operation, wait=max(0.05, seconds / 2))
    return Response(status=202, headers=headers)


def _render_protection(tx: Transaction, row: Row, answer: Json) -> None:
    decided = float(row.hidden[DECIDED])
    vault = tx.get(row.parent)
    error = _lacking(tx, vault, row.properties, at=decided) if vault else None
    state = (
        "ConfiguringProtection"
        if tx.now < decided
        else ("ProtectionError" if error else "ProtectionConfigured")
    )
    status: Json = {"status": state}
    if error and tx.now >= decided:
        status["errorDetails"] = answer["properties"]["protectionErrorDetails"] = error
    answer["properties"] |= {"currentProtectionState": state, "protectionStatus": status}


def _lacking(tx: Transaction, vault: Row, instance: Json, *, at: float) -> Json | None:
    """Return the error about the roles that a vault's identity does not hold, None when it may back up."""
    source = str(instance["dataSourceInfo"]["resourceID"])
    parameters = ((instance.get("policyInfo") or {}).get("policyParameters") or {}).get(
        "dataStoreParametersList"
    ) or []
    snapshots = [str(one["resourceGroupId"]) for one in parameters if one.get("resourceGroupId")]
    principal = str((vault.body.get("identity") or {}).get("principalId"))
    missing = [
        role
        for role in (READER, SNAPSHOTS)
        for scope in ([source] if role == READER else snapshots or [ids.group_id(source) or ""])
        if not holds_role(tx, principal, {BUILT_IN[role]}, scope, at=at)
    ]
    if not missing:
        return None
    return {
        "code": "UserErrorMissingPermissions",
        "message": f"The identity of the backup vault {vault.name} lacks {' and '.join(missing)}, or these "
        "roles have no effect yet.",
        "isRetryable": False,
        "isUserError": True,
    }


def _validate(context: Context, row: Row, request: Request) -> Response:
    """Say whether the vault could back something up now.

    https://learn.microsoft.com/rest/api/dataprotection/backup-instances/validate-for-backup
    """
    instance = (request.body or {}).get("backupInstance") or {}
    if not (instance.get("dataSourceInfo") or {}).get("resourceID"):
        raise bad_request("BMSUserErrorInvalidInput", "backupInstance.dataSourceInfo.resourceID is required.")
    operation = begin(context, row, "POST", seconds=context.latency.seconds(LOOKING))
    error = _lacking(context.tx, row, instance, at=context.tx.now)
    if error:
        context.tx.end_operation(operation, "Failed", {"status": 400, "error": error})
    headers = pending_headers(context, request, row.key, operation, wait=0.05)
    return Response(status=202, headers=headers)


# Deleted instances


def _remember(deletion: Deletion) -> None:
    """A vault with soft delete keeps a deleted instance for its days; it goes with its vault here.

    Recorded for a disk on Azure (azure-cli's test of soft delete, 2026-08-31); whether Azure keeps the vault
    from being deleted meanwhile was not seen.
    """
    vault = deletion.tx.get(deletion.row.parent)
    if vault is None or deletion.with_parent:
        return
    settings = (vault.properties.get("securitySettings") or {}).get("softDeleteSettings") or {}
    if settings.get("state", "Off") == "Off":
        return
    until = deletion.tx.now + float(settings["retentionDurationInDays"]) * 86400
    deletion.tx.keep_remnant(
        f"{vault.key}/{deletion.row.name}",
        DELETED,
        {
            "id": f"{vault.id}/deletedBackupInstances/{deletion.row.name}",
            "parent": vault.key,
            "properties": deletion.row.properties
            | {
                "currentProtectionState": "SoftDeleted",
                "deletionInfo": {
                    "deletionTime": stamp(deletion.tx.now),
                    "scheduledPurgeTime": stamp(until),
                },
            },
        },
    )


def _deleted(context: Context, path: ids.ResourceId, _: Request) -> list[Row]:
    now = stamp(context.tx.now)
    return [
        Row(id=lost["id"], type=DELETED, body={"properties": lost["properties"]})
        for lost in context.tx.remnants(DELETED)
        if lost["parent"] == path.parent.lower()
        and lost["properties"]["deletionInfo"]["scheduledPurgeTime"] > now
    ]


def _forget(deletion: Deletion) -> None:
    for lost in deletion.tx.remnants(DELETED):
        if lost["parent"] == deletion.row.key:
            deletion.tx.drop_remnant(f"{lost['parent']}/{lost['id'].rsplit('/', 1)[-1]}")


def _missing(_: ResourceId) -> ArmError:
    """10 of 10 recorded, as Test_DataProtection_BackupPolicy_20231101_CRUD, 2025."""
    return not_found(
        "UserErrorGenericResourceNotFound",
        "Azure resource does not exist. Please make sure required resources exist. If the issue persists, "
        "contact Microsoft support.",
    )


TYPES = (
    replace(
        described(VAULT),
        missing=_missing,
        answers=answers.BACKUP,
        patch=("tags", "identity", "properties"),
        fixed=(Fixed(path="properties.storageSettings", error=_redundancy_fixed),),
        check=(_check_settings, _fill_in_vault),
        keep=(_keep_with_items,),
        gone=(_forget,),
        actions={"validateForBackup": _validate},
    ),
    replace(
        described(POLICY),
        missing=_missing,
        answers=answers.REPLACED,
        provisioning=False,
        fixed=(Fixed(path="properties", error=_policy_fixed),),
        check=(_fill_in_tags,),
        keep=(_keep_used_policy,),
    ),
    replace(
        described(INSTANCE),
        missing=_missing,
        answers=answers.BACKUP,
        references=(
            Reference(path=OF_SOURCE, types=(DISK,)),
            Reference(path=OF_POLICY, types=(POLICY,)),
        ),
        check=(_check_instance, _configure),
        gone=(_remember,),
        render=_render_protection,
        actions={"sync": _sync},
    ),
    listed(DELETED, BY_ARM_TYPE[VAULT].versions, _deleted, level=Level.PARENT),
)
