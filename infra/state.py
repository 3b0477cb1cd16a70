"""Where Pulumi's state and the released images are kept.

It closes the account to the internet only where `fed-delivery:addresses` names who deploys: GitHub's ordinary
runners have no fixed address (docs/adr/0104). What protects state is that no key opens it, only Entra
identities with a role on one container; that every version is kept; and that it holds no secret.
"""

from dataclasses import dataclass

import pulumi
from pulumi_azure_native import authorization, containerregistry, resources, storage

from azure_types.roles import definition_id
from federation.azure_facts import offers_redundancy
from federation.naming import PROJECT, role_assignment_name
from infra.settings import DeliverySettings

KEEP_DAYS = 90


def state_redundancy(region: str) -> str:
    """Return the SKU of the state account: copies in several zones, or in the region's pair where it has
    none.
    """
    return "Standard_ZRS" if offers_redundancy(region, "Standard_ZRS") else "Standard_GRS"


@dataclass(frozen=True, kw_only=True)
class StoreArgs:
    """What the store is made from."""

    settings: DeliverySettings


class Store(pulumi.ComponentResource):
    """The state account (a container per environment, and `infra`) and the registry, in one group."""

    def __init__(self, name: str, args: StoreArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(f"{PROJECT}:delivery:Store", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        settings = args.settings
        tags = {"project": PROJECT, "environment": "delivery", "party": "centre", "managedBy": "pulumi"}
        self.group = resources.ResourceGroup(
            settings.resource_group,
            resource_group_name=settings.resource_group,
            location=settings.location,
            tags=tags,
            opts=child,
        )
        self.account = storage.StorageAccount(
            settings.state_account,
            account_name=settings.state_account,
            resource_group_name=self.group.name,
            location=settings.location,
            kind=storage.Kind.STORAGE_V2,
            sku=storage.SkuArgs(name=state_redundancy(settings.location)),
            allow_blob_public_access=False,
            allow_shared_key_access=False,
            allow_cross_tenant_replication=False,
            default_to_o_auth_authentication=True,
            enable_https_traffic_only=True,
            minimum_tls_version=storage.MinimumTlsVersion.TLS1_2,
            public_network_access=storage.PublicNetworkAccess.ENABLED,
            network_rule_set=storage.NetworkRuleSetArgs(
                default_action=(
                    storage.DefaultAction.DENY if settings.addresses else storage.DefaultAction.ALLOW
                ),
                bypass=storage.Bypass.NONE,
                ip_rules=[
                    storage.IPRuleArgs(i_p_address_or_range=str(address), action=storage.Action.ALLOW)
                    for address in settings.addresses
                ],
                virtual_network_rules=[],
            ),
            tags=tags,
            opts=pulumi.ResourceOptions(parent=self, protect=True),
        )
        kept = storage.DeleteRetentionPolicyArgs(enabled=True, days=KEEP_DAYS)
        blobs = storage.BlobServiceProperties(
            f"{settings.state_account}-blobs",
            account_name=self.account.name,
            resource_group_name=self.group.name,
            blob_services_name="default",
            is_versioning_enabled=True,
            delete_retention_policy=kept,
            container_delete_retention_policy=kept,
            opts=child,
        )
        self.containers = {
            container: storage.BlobContainer(
                f"{settings.state_account}-{container}",
                account_name=self.account.name,
                resource_group_name=self.group.name,
                container_name=container,
                public_access=storage.PublicAccess.NONE,
                opts=pulumi.ResourceOptions(parent=self, protect=True, depends_on=[blobs]),
            )
            for container in (*settings.environments, "infra")
        }
        for group in settings.administrators:
            for container, resource in self.containers.items():
                authorization.RoleAssignment(
                    f"group {group}: state of {container}",
                    role_assignment_name=role_assignment_name("delivery", group, container),
                    scope=resource.id,
                    principal_id=group,
                    principal_type="Group",
                    role_definition_id=definition_id(
                        settings.subscription_id, "Storage Blob Data Contributor"
                    ),
                    opts=child,
                )
        self.registry = containerregistry.Registry(
            settings.registry,
            registry_name=settings.registry,
            resource_group_name=self.group.name,
            location=settings.location,
            sku=containerregistry.SkuArgs(name=containerregistry.SkuName.STANDARD),
            admin_user_enabled=False,
            anonymous_pull_enabled=False,
            tags=tags,
            opts=child,
        )
        self.lock = authorization.ManagementLockByScope(
            f"lock-{settings.resource_group}",
            lock_name="lock-fed-delivery",
            scope=self.group.id,
            level=authorization.LockLevel.CAN_NOT_DELETE,
            notes="The state of every stack is in here: without it Pulumi no longer knows what it deployed.",
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=[self.account, blobs, self.registry, *self.containers.values()]
            ),
        )
        self.register_outputs({"account": self.account.name, "registry": self.registry.name})
