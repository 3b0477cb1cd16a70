"""A record of every flow of a party's VNet, in a storage account of its own.

Azure makes `NetworkWatcherRG/NetworkWatcher_<region>` by itself with the first VNet of a region and refuses a
second watcher, so it is named here and not made. Flow logs would write with the account's key, which is
switched off, unless they have an identity of their own.
"""

from dataclasses import dataclass
from typing import Final, final

import pulumi
from pulumi_azure_native import authorization, managedidentity, network, storage

from components.context import Context, UniqueNames
from components.encryption import CustomerKey
from components.identity import managed_identity
from components.isolated_network import IsolatedNetwork
from components.monitoring import Monitoring
from components.roles import assign_role
from components.storage_account import closed_account, diagnose_blobs
from federation.parties import Party

WATCHER_GROUP: Final = "NetworkWatcherRG"


def watcher_name(region: str) -> str:
    """The name that Azure gives a region's watcher."""
    return f"NetworkWatcher_{region}"


@dataclass(frozen=True, kw_only=True)
class FlowLogsArgs:
    """The network to record, and where the records' account goes."""

    context: Context[Party]
    resource_group: pulumi.Input[str]
    unique_names: UniqueNames
    network_id: pulumi.Input[str]
    workspace_id: pulumi.Input[str]
    key: CustomerKey | None


@dataclass(frozen=True, kw_only=True)
class FlowLogsResources:
    """The flow log, the account that keeps it, and the identity it writes with."""

    account: storage.StorageAccount
    identity: managedidentity.UserAssignedIdentity
    role: authorization.RoleAssignment
    flow_log: network.FlowLog


@final
class FlowLogs(pulumi.ComponentResource):
    """Flow log, storage account and identity of one VNet."""

    def __init__(self, name: str, args: FlowLogsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("fed:components:FlowLogs", name, None, opts)
        context = args.context
        account = closed_account(
            self,
            context,
            "logs",
            account_name=args.unique_names.of("st", "logs"),
            resource_group=args.resource_group,
            sku="Standard_LRS",
            key=args.key,
            protect=False,
        )
        identity = managed_identity(self, context, "flowlogs", resource_group=args.resource_group)
        # The one data role on a whole account: Azure makes the container of the records itself.
        role = assign_role(
            self,
            context,
            "Storage Blob Data Contributor",
            principal="flowlogs",
            principal_id=identity.principal_id,
            resource="logs-account",
            scope=account.id,
        )
        self.resources = FlowLogsResources(
            account=account,
            identity=identity,
            role=role,
            flow_log=self._flow_log(args, account, identity, role),
        )
        diagnose_blobs(self, context, "logs", account=account, workspace_id=args.workspace_id)
        self.register_outputs({"accountId": account.id})

    def _flow_log(
        self,
        args: FlowLogsArgs,
        account: storage.StorageAccount,
        identity: managedidentity.UserAssignedIdentity,
        role: authorization.RoleAssignment,
    ) -> network.FlowLog:
        context = args.context
        return network.FlowLog(
            context.names.of("flow"),
            flow_log_name=context.names.of("flow"),
            network_watcher_name=watcher_name(context.location),
            resource_group_name=WATCHER_GROUP,
            location=context.location,
            target_resource_id=args.network_id,
            storage_id=account.id,
            enabled=True,
            format=network.FlowLogFormatParametersArgs(type=network.FlowLogFormatType.JSON, version=2),
            retention_policy=network.RetentionPolicyParametersArgs(
                enabled=True, days=context.settings.network.flow_log_days
            ),
            identity=network.ManagedServiceIdentityArgs(
                type=network.ResourceIdentityType.USER_ASSIGNED, user_assigned_identities=[identity.id]
            ),
            tags=context.tags,
            opts=context.options(self, depends_on=[role]),
        )


def flow_logs_of(
    context: Context[Party],
    *,
    resource_group: pulumi.Input[str],
    unique_names: UniqueNames,
    vnet: IsolatedNetwork,
    monitoring: Monitoring,
    key: CustomerKey | None,
    opts: pulumi.ResourceOptions,
) -> FlowLogs | None:
    """The record of a party's flows where the stack keeps one."""
    if not context.settings.network.flow_logs:
        return None
    return FlowLogs(
        context.names.label("flowlogs"),
        FlowLogsArgs(
            context=context,
            resource_group=resource_group,
            unique_names=unique_names,
            network_id=vnet.id,
            workspace_id=monitoring.workspace_id,
            key=key,
        ),
        opts,
    )
