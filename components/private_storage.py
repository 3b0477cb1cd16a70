"""A party's blobs: a closed account, its containers, and the one private endpoint that leads to it.

It gives nobody access: roles are assigned on single containers by whoever owns the reason (`roles.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import final

import pulumi
from pulumi_azure_native import monitor, storage

from components.context import Context, UniqueNames
from components.encryption import CustomerKey
from components.metric_alert import alert_below
from components.monitoring import Monitoring
from components.private_endpoint import Placement, PrivateEndpoint, PrivateEndpointArgs
from components.storage_account import blob_service, closed_account, diagnose_blobs
from federation.naming import RECORD_CONTAINER
from federation.parties import Party
from federation.stated import Window


@dataclass(frozen=True, kw_only=True)
class Entrance:
    """The one way to the blobs: an endpoint with this address, where `placement` says, named in `zone_id`
    (None where the organisation's policy names it).
    """

    placement: Placement
    address: IPv4Address
    zone_id: pulumi.Input[str] | None


@dataclass(frozen=True, kw_only=True)
class PrivateStorageArgs:
    """The account goes into `resource_group`; without `entrance` and an open `window` nothing leads to it."""

    context: Context[Party]
    resource_group: pulumi.Input[str]
    unique_names: UniqueNames
    containers: Sequence[str]
    monitoring: Monitoring
    key: CustomerKey | None
    entrance: Entrance | None
    window: Window | None = None


@dataclass(frozen=True, kw_only=True)
class PrivateStorageResources:
    """The account and what is in it; `lifecycle` and `endpoint` are None where there is no need of them."""

    account: storage.StorageAccount
    blob_service: storage.BlobServiceProperties
    containers: Mapping[str, storage.BlobContainer]
    lifecycle: storage.ManagementPolicy | None
    endpoint: PrivateEndpoint | None
    availability_alert: monitor.MetricAlert


@final
class PrivateStorage(pulumi.ComponentResource):
    """Storage account, blob service, containers, lifecycle and private endpoint."""

    def __init__(
        self, name: str, args: PrivateStorageArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("fed:components:PrivateStorage", name, None, opts)
        self._args = args
        context = args.context
        self.account_name = args.unique_names.of("st", "data")
        #: Made from the name, which is known at plan time, and not from what Azure answers.
        self.url = self.account_name.apply(
            lambda account_name: f"https://{account_name}.blob.core.windows.net"
        )
        account = closed_account(
            self,
            context,
            "data",
            account_name=self.account_name,
            resource_group=args.resource_group,
            sku=context.party.storage_sku,
            key=args.key,
            protect=context.settings.protection.protect_data,
            window=args.window,
        )
        service = blob_service(self, context, account=account, resource_group=args.resource_group)
        self.resources = PrivateStorageResources(
            account=account,
            blob_service=service,
            containers={
                container: blob_container(
                    self,
                    context,
                    container,
                    account=account,
                    resource_group=args.resource_group,
                    protect=context.settings.protection.protect_data,
                )
                for container in args.containers
            },
            lifecycle=self._lifecycle(account, service) if context.settings.storage.versioning else None,
            endpoint=self._endpoint(account, args.entrance) if args.entrance else None,
            availability_alert=alert_below(
                self,
                context,
                "storage-availability",
                description="One request in ten to the storage account fails for Azure's own reasons",
                resource_id=account.id,
                monitoring=args.monitoring,
                namespace="Microsoft.Storage/storageAccounts",
                metric="Availability",
                threshold=90.0,
                minutes=15,
            ),
        )
        diagnose_blobs(self, context, "data", account=account, workspace_id=args.monitoring.workspace_id)
        self.id: pulumi.Output[str] = account.id
        self.register_outputs({"accountId": self.id, "url": self.url})

    @property
    def network_users(self) -> list[pulumi.Resource]:
        """The last of what is put into the VNet of the entrance (azure-native#4340)."""
        endpoint = self.resources.endpoint
        return [endpoint.resources.last] if endpoint else []

    def _endpoint(self, account: storage.StorageAccount, entrance: Entrance) -> PrivateEndpoint:
        context = self._args.context
        return PrivateEndpoint(
            context.names.label("endpoint", "storage"),
            PrivateEndpointArgs(
                context=context,
                part="storage",
                placement=entrance.placement,
                target_id=account.id,
                group="blob",
                addresses={"blob": entrance.address},
                zone_id=entrance.zone_id,
            ),
            pulumi.ResourceOptions(parent=self),
        )

    def _lifecycle(
        self, account: storage.StorageAccount, service: storage.BlobServiceProperties
    ) -> storage.ManagementPolicy:
        """Versions live forever unless a rule ends them."""
        args, context = self._args, self._args.context
        age = storage.DateAfterCreationArgs(
            days_after_creation_greater_than=float(context.settings.storage.version_days)
        )
        return storage.ManagementPolicy(
            context.names.label("lifecycle"),
            management_policy_name="default",
            account_name=account.name,
            resource_group_name=args.resource_group,
            policy=storage.ManagementPolicySchemaArgs(
                rules=[
                    storage.ManagementPolicyRuleArgs(
                        name="delete-old-versions",
                        type=storage.RuleType.LIFECYCLE,
                        enabled=True,
                        definition=storage.ManagementPolicyDefinitionArgs(
                            filters=storage.ManagementPolicyFilterArgs(
                                blob_types=["blockBlob"], prefix_match=self._whose_versions_end()
                            ),
                            actions=storage.ManagementPolicyActionArgs(
                                version=storage.ManagementPolicyVersionArgs(delete=age)
                            ),
                        ),
                    )
                ]
            ),
            opts=context.options(self, depends_on=[service]),
        )

    def _whose_versions_end(self) -> Sequence[str] | None:
        """Containers of which old versions are deleted; None for all.

        A hospital's VM writes the record and could write over an entry: then the first one is a version.
        """
        containers = self._args.containers
        if RECORD_CONTAINER not in containers:
            return None
        return [f"{name}/" for name in containers if name != RECORD_CONTAINER]


def blob_container(
    parent: pulumi.Resource,
    context: Context[Party],
    name: str,
    *,
    account: storage.StorageAccount,
    resource_group: pulumi.Input[str],
    protect: bool,
) -> storage.BlobContainer:
    """Return a container without anonymous access, made through Resource Manager: the data plane is
    closed.
    """
    return storage.BlobContainer(
        context.names.label("container", name),
        container_name=name,
        account_name=account.name,
        resource_group_name=resource_group,
        public_access=storage.PublicAccess.NONE,
        opts=pulumi.ResourceOptions(parent=parent, provider=context.azure, protect=protect),
    )
