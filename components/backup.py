"""Daily snapshots of one disk, ordered by a backup vault, whatever happens to the VM it hangs on.

Snapshots stay in the disk's own group: Azure copies no disk into a vault. They help against a mistake on the
disk, and not against whoever may delete in that group
(https://learn.microsoft.com/azure/backup/disk-backup-support-matrix).

Azure accepts an instance whose vault may not snapshot, and fails it a minute later, for good. So the vault is
asked first whether it may (docs/adr/0013).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, final

import httpx
import pulumi
from pulumi_azure_native import authorization, compute, dataprotection, resources

from components import resource_manager
from components.context import Context
from components.role_propagation import asked_first
from components.roles import assign_role
from federation.parties import Party

DISKS: Final = "Microsoft.Compute/disks"
VERSION: Final = "2025-01-01"
#: What a vault says that lacks a role, or does not know of it yet.
NOT_YET: Final = re.compile(r"UserError\w*Missing\w*Permission|UserErrorDppDatasourceNotAccessible")
#: Four in the morning, every day; the date only anchors the repetition.
EVERY_DAY: Final = "R/2026-01-01T04:00:00+00:00/P1D"


@dataclass(frozen=True, kw_only=True)
class BackupArgs:
    """Snapshots go into the same group as the disk."""

    context: Context[Party]
    group: resources.ResourceGroup
    disk: compute.Disk


@dataclass(frozen=True, kw_only=True)
class BackupResources:
    """The vault, its policy, the disk's place in it, and what the vault may do with disks and snapshots."""

    vault: dataprotection.BackupVault
    policy: dataprotection.BackupPolicy
    instance: dataprotection.BackupInstance
    roles: tuple[authorization.RoleAssignment, ...]


@final
class Backup(pulumi.ComponentResource):
    """Backup vault, policy and instance for one disk."""

    def __init__(self, name: str, args: BackupArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("fed:components:Backup", name, None, opts)
        self._args = args
        vault = self._vault()
        policy = self._policy(vault)
        roles = self._roles(vault)
        self.resources = BackupResources(
            vault=vault, policy=policy, instance=self._instance(vault, policy, roles), roles=roles
        )
        #: Of the instance: its protection is what tells whether the disk is backed up.
        self.id: pulumi.Output[str] = self.resources.instance.id
        self.register_outputs({"vaultId": vault.id})

    def _vault(self) -> dataprotection.BackupVault:
        args, context = self._args, self._args.context
        zonal = context.party.region_has_zones
        return dataprotection.BackupVault(
            context.names.of("bvault"),
            vault_name=context.names.of("bvault"),
            resource_group_name=args.group.name,
            location=context.location,
            identity=dataprotection.DppIdentityDetailsArgs(type="SystemAssigned"),
            properties=dataprotection.BackupVaultArgs(
                storage_settings=[
                    dataprotection.StorageSettingArgs(
                        datastore_type=dataprotection.StorageSettingStoreTypes.VAULT_STORE,
                        type=(
                            dataprotection.StorageSettingTypes.ZONE_REDUNDANT
                            if zonal
                            else dataprotection.StorageSettingTypes.LOCALLY_REDUNDANT
                        ),
                    )
                ],
                security_settings=dataprotection.SecuritySettingsArgs(
                    soft_delete_settings=dataprotection.SoftDeleteSettingsArgs(
                        state=dataprotection.SoftDeleteState.ON, retention_duration_in_days=14.0
                    )
                ),
            ),
            tags=context.tags,
            # As with identity.py: a preview of a new tag would announce its role assignments replaced.
            opts=pulumi.ResourceOptions(parent=self, provider=context.azure, ignore_changes=["tags"]),
        )

    def _policy(self, vault: dataprotection.BackupVault) -> dataprotection.BackupPolicy:
        """Azure cannot change a policy: its name carries the one number that a setting can change."""
        args, context = self._args, self._args.context
        days = context.settings.backup.retention_days
        name = context.names.of("bkpol", f"{days}-days")
        store = dataprotection.DataStoreInfoBaseArgs(
            data_store_type=dataprotection.DataStoreTypes.OPERATIONAL_STORE, object_type="DataStoreInfoBase"
        )
        default = dataprotection.RetentionTagArgs(tag_name="Default")
        return dataprotection.BackupPolicy(
            name,
            backup_policy_name=name,
            vault_name=vault.name,
            resource_group_name=args.group.name,
            properties=dataprotection.BackupPolicyArgs(
                object_type="BackupPolicy",
                datasource_types=[DISKS],
                policy_rules=[
                    dataprotection.AzureRetentionRuleArgs(
                        object_type="AzureRetentionRule",
                        name="Default",
                        is_default=True,
                        lifecycles=[
                            dataprotection.SourceLifeCycleArgs(
                                source_data_store=store,
                                delete_after=dataprotection.AbsoluteDeleteOptionArgs(
                                    object_type="AbsoluteDeleteOption", duration=f"P{days}D"
                                ),
                            )
                        ],
                    ),
                    dataprotection.AzureBackupRuleArgs(
                        object_type="AzureBackupRule",
                        name="BackupDaily",
                        data_store=store,
                        backup_parameters=dataprotection.AzureBackupParamsArgs(
                            object_type="AzureBackupParams", backup_type="Incremental"
                        ),
                        trigger=dataprotection.ScheduleBasedTriggerContextArgs(
                            object_type="ScheduleBasedTriggerContext",
                            schedule=dataprotection.BackupScheduleArgs(
                                repeating_time_intervals=[EVERY_DAY], time_zone="UTC"
                            ),
                            tagging_criteria=[
                                dataprotection.TaggingCriteriaArgs(
                                    is_default=True, tagging_priority=99.0, tag_info=default
                                )
                            ],
                        ),
                    ),
                ],
            ),
            opts=context.options(self),
        )

    def _roles(self, vault: dataprotection.BackupVault) -> tuple[authorization.RoleAssignment, ...]:
        args, context = self._args, self._args.context
        principal_id = vault.identity.apply(lambda identity: identity.principal_id if identity else "")
        return (
            assign_role(
                self,
                context,
                "Disk Backup Reader",
                principal="backup",
                principal_id=principal_id,
                resource="disk",
                scope=args.disk.id,
            ),
            assign_role(
                self,
                context,
                "Disk Snapshot Contributor",
                principal="backup",
                principal_id=principal_id,
                resource="snapshots",
                scope=args.group.id,
            ),
            # A restore must not wait until somebody who may give roles is found.
            assign_role(
                self,
                context,
                "Disk Restore Operator",
                principal="backup",
                principal_id=principal_id,
                resource="restored",
                scope=args.group.id,
            ),
        )

    def _instance(
        self,
        vault: dataprotection.BackupVault,
        policy: dataprotection.BackupPolicy,
        roles: tuple[authorization.RoleAssignment, ...],
    ) -> dataprotection.BackupInstance:
        args, context = self._args, self._args.context
        disk = args.disk

        async def objection(inputs: Mapping[str, Any]) -> str | None:
            return await _objection(context, str(await vault.id.future()), inputs)

        return dataprotection.BackupInstance(
            context.names.label("backup"),
            backup_instance_name=context.names.of("disk", "data"),
            vault_name=vault.name,
            resource_group_name=args.group.name,
            properties=dataprotection.BackupInstanceArgs(
                object_type="BackupInstance",
                friendly_name=context.names.of("disk", "data"),
                data_source_info=dataprotection.DatasourceArgs(
                    object_type="Datasource",
                    datasource_type=DISKS,
                    resource_type=DISKS,
                    resource_id=disk.id,
                    resource_uri=disk.id,
                    resource_name=disk.name,
                    resource_location=context.location,
                ),
                policy_info=dataprotection.PolicyInfoArgs(
                    policy_id=policy.id,
                    policy_parameters=dataprotection.PolicyParametersArgs(
                        data_store_parameters_list=[
                            dataprotection.AzureOperationalStoreParametersArgs(
                                object_type="AzureOperationalStoreParameters",
                                data_store_type=dataprotection.DataStoreTypes.OPERATIONAL_STORE,
                                resource_group_id=args.group.id,
                            )
                        ]
                    ),
                ),
            ),
            tags=context.tags,
            opts=pulumi.ResourceOptions(
                parent=self,
                provider=context.azure,
                depends_on=list(roles),
                hooks=asked_first(context.names.label("patience", "backup"), objection),
            ),
        )


async def _objection(context: Context[Party], vault_id: str, inputs: Mapping[str, Any]) -> str | None:
    """Return what the vault says against backing up now for want of a role; the create itself judges the
    rest.

    https://learn.microsoft.com/rest/api/dataprotection/backup-instances/validate-for-backup
    """
    question = {"backupInstance": inputs["properties"]}
    try:
        said = await resource_manager.ask(context.azure, f"{vault_id}/validateForBackup", VERSION, question)
    except (httpx.HTTPError, ValueError) as unanswered:
        said = f"nothing: {unanswered}"
    if said is None or NOT_YET.search(said):
        return said
    pulumi.log.warn(
        f"the backup vault was asked whether it may back up and said {said}. Fix: see in ./fed status "
        "whether the backup is configured"
    )
    return None


def backup_of(
    context: Context[Party],
    *,
    group: resources.ResourceGroup,
    disk: compute.Disk,
    opts: pulumi.ResourceOptions,
) -> Backup | None:
    """Return the backup of the centre's disk, where the stack has one."""
    if not context.settings.backup.enabled:
        return None
    args = BackupArgs(context=context, group=group, disk=disk)
    return Backup(context.names.label("backup"), args, opts)
