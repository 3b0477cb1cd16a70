"""A party's own key, in its own vault: whoever disables it shreds the party's data.

The vault is closed to everyone but trusted Azure services, which is how storage and disks reach the key; it
needs no private endpoint. Storage is trusted with any identity, a disk encryption set with its own alone,
which Azure makes with the set: its role comes after it, and the disks after the role. Deleting a key goes
through the vault's data plane, which a closed vault refuses from outside, so the key is left to go with its
vault. Nor does Resource Manager ever change a key that exists.
"""

from dataclasses import dataclass
from typing import Final, final

import pulumi
from pulumi_azure_native import authorization, compute, keyvault, managedidentity

from components.context import Context, UniqueNames
from components.diagnostics import diagnose
from components.identity import managed_identity
from components.monitoring import Monitoring
from components.role_propagation import patient
from components.roles import assign_role
from federation.parties import Party

KEY_NAME: Final = "party"
CRYPTO_USER: Final = "Key Vault Crypto Service Encryption User"


@dataclass(frozen=True, kw_only=True)
class CustomerKey:
    """What an account needs to use the party's key: to wait for `ready`, and to be `patient`."""

    identity_id: pulumi.Output[str]
    identity_client_id: pulumi.Output[str]
    name: str
    vault_uri: pulumi.Output[str]
    ready: authorization.RoleAssignment
    patient: pulumi.ResourceHookBinding


@dataclass(frozen=True, kw_only=True)
class DiskKey:
    """What a disk or a VM needs to use the party's key: to wait for `ready`, and to be `patient`."""

    set_id: pulumi.Output[str]
    ready: authorization.RoleAssignment
    patient: pulumi.ResourceHookBinding


@dataclass(frozen=True, kw_only=True)
class EncryptionArgs:
    """Where the vault and its identity go."""

    context: Context[Party]
    resource_group: pulumi.Input[str]
    unique_names: UniqueNames
    workspace_id: pulumi.Input[str]


@dataclass(frozen=True, kw_only=True)
class EncryptionResources:
    """The vault, its key, the identity of the accounts, the set that encrypts disks, and a role for each."""

    vault: keyvault.Vault
    key: keyvault.Key
    identity: managedidentity.UserAssignedIdentity
    role: authorization.RoleAssignment
    disk_set: compute.DiskEncryptionSet
    disk_role: authorization.RoleAssignment


@final
class Encryption(pulumi.ComponentResource):
    """Vault, key, identity and disk encryption set of one party."""

    def __init__(self, name: str, args: EncryptionArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("fed:components:Encryption", name, None, opts)
        self._args = args
        identity = managed_identity(self, args.context, "encryption", resource_group=args.resource_group)
        vault = self._vault()
        key = self._key(vault)
        role = self._may_use(key, "encryption", identity.principal_id)
        disk_set = self._disk_set(vault, key)
        disk_role = self._may_use(
            key,
            "disk-encryption",
            disk_set.identity.apply(lambda own: own.principal_id if own else ""),
        )
        self.resources = EncryptionResources(
            vault=vault, key=key, identity=identity, role=role, disk_set=disk_set, disk_role=disk_role
        )
        hooks = patient(args.context.names.label("patience", "key"))
        vault_uri = vault.name.apply(lambda vault_name: f"https://{vault_name}.vault.azure.net")
        self.key = CustomerKey(
            identity_id=identity.id,
            identity_client_id=identity.client_id,
            name=KEY_NAME,
            vault_uri=vault_uri,
            ready=role,
            patient=hooks,
        )
        self.disk_key = DiskKey(set_id=disk_set.id, ready=disk_role, patient=hooks)
        self.register_outputs({"vaultId": vault.id, "diskSetId": disk_set.id})

    def _vault(self) -> keyvault.Vault:
        args, context = self._args, self._args.context
        encryption = context.settings.encryption
        vault = keyvault.Vault(
            context.names.label("kv"),
            vault_name=args.unique_names.of("kv"),
            resource_group_name=args.resource_group,
            location=context.location,
            properties=keyvault.VaultPropertiesArgs(
                tenant_id=context.settings.tenant_id,
                sku=keyvault.SkuArgs(
                    family=keyvault.SkuFamily.A,
                    name=keyvault.SkuName.PREMIUM if encryption.hsm else keyvault.SkuName.STANDARD,
                ),
                enable_rbac_authorization=True,
                enable_soft_delete=True,
                soft_delete_retention_in_days=encryption.soft_delete_days,
                # Azure refuses an explicit false.
                enable_purge_protection=True if encryption.purge_protection else None,
                public_network_access="Disabled",
                network_acls=keyvault.NetworkRuleSetArgs(
                    bypass=keyvault.NetworkRuleBypassOptions.AZURE_SERVICES,
                    default_action=keyvault.NetworkRuleAction.DENY,
                    ip_rules=[],
                    virtual_network_rules=[],
                ),
            ),
            tags=context.tags,
            opts=pulumi.ResourceOptions(
                parent=self, provider=context.azure, protect=context.settings.protection.protect_data
            ),
        )
        diagnose(
            self,
            context,
            "vault",
            resource_id=vault.id,
            workspace_id=args.workspace_id,
            logs=("AuditEvent", "AzurePolicyEvaluationDetails"),
            metrics=("AllMetrics",),
        )
        return vault

    def _key(self, vault: keyvault.Vault) -> keyvault.Key:
        """Return a key that Azure renews every 18 months; versions made so expire after two years."""
        args, context = self._args, self._args.context
        hsm = context.settings.encryption.hsm
        return keyvault.Key(
            context.names.label("key"),
            key_name=KEY_NAME,
            vault_name=vault.name,
            resource_group_name=args.resource_group,
            properties=keyvault.KeyPropertiesArgs(
                kty=keyvault.JsonWebKeyType.RS_A_HSM if hsm else keyvault.JsonWebKeyType.RSA,
                key_size=3072,
                key_ops=[keyvault.JsonWebKeyOperation.WRAP_KEY, keyvault.JsonWebKeyOperation.UNWRAP_KEY],
                rotation_policy=keyvault.RotationPolicyArgs(
                    attributes=keyvault.KeyRotationPolicyAttributesArgs(expiry_time="P2Y"),
                    lifetime_actions=[
                        keyvault.LifetimeActionArgs(
                            trigger=keyvault.TriggerArgs(time_after_create="P18M"),
                            action=keyvault.ActionArgs(type=keyvault.KeyRotationPolicyActionType.ROTATE),
                        ),
                        keyvault.LifetimeActionArgs(
                            trigger=keyvault.TriggerArgs(time_before_expiry="P30D"),
                            action=keyvault.ActionArgs(type=keyvault.KeyRotationPolicyActionType.NOTIFY),
                        ),
                    ],
                ),
            ),
            tags=context.tags,
            opts=pulumi.ResourceOptions(
                parent=self,
                provider=context.azure,
                deleted_with=vault,
                protect=context.settings.protection.protect_data,
                # Resource Manager answers such a change with the old key; the state would say it was made:
                # https://learn.microsoft.com/rest/api/keyvault/keyvault/keys/create-if-not-exist
                ignore_changes=["properties", "tags"],
            ),
        )

    def _may_use(
        self, key: keyvault.Key, principal: str, principal_id: pulumi.Input[str]
    ) -> authorization.RoleAssignment:
        return assign_role(
            self,
            self._args.context,
            CRYPTO_USER,
            principal=principal,
            principal_id=principal_id,
            resource="key",
            scope=key.id,
        )

    def _disk_set(self, vault: keyvault.Vault, key: keyvault.Key) -> compute.DiskEncryptionSet:
        args, context = self._args, self._args.context
        return compute.DiskEncryptionSet(
            context.names.of("des"),
            disk_encryption_set_name=context.names.of("des"),
            resource_group_name=args.resource_group,
            location=context.location,
            identity=compute.EncryptionSetIdentityArgs(
                type=compute.DiskEncryptionSetIdentityType.SYSTEM_ASSIGNED
            ),
            encryption_type=compute.DiskEncryptionSetType.ENCRYPTION_AT_REST_WITH_CUSTOMER_KEY,
            active_key=compute.KeyForDiskEncryptionSetArgs(
                key_url=key.key_uri_with_version,
                source_vault=compute.SourceVaultArgs(id=vault.id),
            ),
            rotation_to_latest_key_version_enabled=True,
            tags=context.tags,
            opts=pulumi.ResourceOptions(
                parent=self,
                provider=context.azure,
                # Azure moves it to each new version by itself. Tags as with identity.py: a preview of a new
                # one would announce its role assignment replaced.
                ignore_changes=["activeKey.keyUrl", "tags"],
            ),
        )


def encryption_of(
    context: Context[Party],
    *,
    resource_group: pulumi.Input[str],
    unique_names: UniqueNames,
    monitoring: Monitoring,
    opts: pulumi.ResourceOptions,
) -> Encryption | None:
    """Return the party's own key where the stack has them, None where Azure's keys are good enough."""
    if not context.settings.encryption.customer_managed_keys:
        return None
    return Encryption(
        context.names.label("encryption"),
        EncryptionArgs(
            context=context,
            resource_group=resource_group,
            unique_names=unique_names,
            workspace_id=monitoring.workspace_id,
        ),
        opts,
    )
