"""A record of every flow of a party's VNet, in a storage account of its own.

Azure makes `NetworkWatcherRG/NetworkWatcher_<region>` by itself with the first VNet of a region and refuses a
second watcher, so it is named here and not made. Flow logs would write with the account's key, which is
switched off, unless they have an identity of their own.

The account outlives the network: it is the record of who connected to whom, and stays with a hospital's data
when the hospital has left (docs/adr/0094).
"""

from dataclasses import dataclass
from typing import Final, final

import pulumi
from pulumi_azure_native import network, storage

from components.context import Context, UniqueNames
from components.encryption import CustomerKey
from components.identity import managed_identity
from components.monitoring import Monitoring
from components.roles import assign_role
from components.storage_account import blob_service, closed_account, diagnose_blobs
from federation.parties import Party

WATCHER_GROUP: Final = "NetworkWatcherRG"


def watcher_name(region: str) -> str:
    """Return the name that Azure gives a region's watcher."""
    return f"NetworkWatcher_{region}"


@dataclass(frozen=True, kw_only=True)
class RecordedNetwork:
    """A network, and the group for the identity that writes its records."""

    network_id: pulumi.Input[str]
    resource_group: pulumi.Input[str]


@dataclass(frozen=True, kw_only=True)
class FlowLogsArgs:
    """The records' account goes into `account_group`; `recorded` is None once the network is gone."""

    context: Context[Party]
    account_group: pulumi.Input[str]
    unique_names: UniqueNames
    recorded: RecordedNetwork | None
    workspace_id: pulumi.Input[str]
    key: CustomerKey | None


@dataclass(frozen=True, kw_only=True)
class FlowLogsResources:
    """The account that keeps the records, and the log that writes them (None without a network)."""

    account: storage.StorageAccount
    blob_service: storage.BlobServiceProperties
    flow_log: network.FlowLog | None


@final
class FlowLogs(pulumi.ComponentResource):
    """Storage account for the records, and the flow log of one VNet with its identity."""

    def __init__(self, name: str, args: FlowLogsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("fed:components:FlowLogs", name, None, opts)
        self._args = args
        context = args.context
        account = closed_account(
            self,
            context,
            "logs",
            account_name=args.unique_names.of("st", "logs"),
            resource_group=args.account_group,
            sku="Standard_LRS",
            key=args.key,
            protect=context.settings.protection.protect_data,
        )
        self.resources = FlowLogsResources(
            account=account,
            blob_service=blob_service(
                self, context, "logs", account=account, resource_group=args.account_group
            ),
            flow_log=self._flow_log(account, args.recorded) if args.recorded else None,
        )
        diagnose_blobs(self, context, "logs", account=account, workspace_id=args.workspace_id)
        self.id: pulumi.Output[str] = account.id
        self.register_outputs({"accountId": self.id})

    def _flow_log(self, account: storage.StorageAccount, recorded: RecordedNetwork) -> network.FlowLog:
        context = self._args.context
        identity = managed_identity(self, context, "flowlogs", resource_group=recorded.resource_group)
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
        return network.FlowLog(
            context.names.of("flow"),
            flow_log_name=context.names.of("flow"),
            network_watcher_name=watcher_name(context.location),
            resource_group_name=WATCHER_GROUP,
            location=context.location,
            target_resource_id=recorded.network_id,
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
    account_group: pulumi.Input[str],
    unique_names: UniqueNames,
    recorded: RecordedNetwork | None,
    monitoring: Monitoring,
    key: CustomerKey | None,
    opts: pulumi.ResourceOptions,
) -> FlowLogs | None:
    """Return the record of a party's flows, where the stack keeps one."""
    if not context.settings.network.flow_logs:
        return None
    return FlowLogs(
        context.names.label("flowlogs"),
        FlowLogsArgs(
            context=context,
            account_group=account_group,
            unique_names=unique_names,
            recorded=recorded,
            workspace_id=monitoring.workspace_id,
            key=key,
        ),
        opts,
    )
