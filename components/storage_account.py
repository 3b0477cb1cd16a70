"""A storage account that nobody reaches without an Entra identity, and nobody at all from the internet."""

from collections.abc import Sequence
from typing import Final

import pulumi
from pulumi_azure_native import storage

from components.context import Context
from components.diagnostics import diagnose
from components.encryption import CustomerKey
from federation.parties import Party
from federation.stated import Window
from federation.tags import WINDOW_TAG

_ENCRYPTED: Final = storage.EncryptionServiceArgs(enabled=True, key_type=storage.KeyType.ACCOUNT)


def closed_account(
    parent: pulumi.Resource,
    context: Context[Party],
    part: str,
    *,
    account_name: pulumi.Input[str],
    resource_group: pulumi.Input[str],
    sku: str,
    key: CustomerKey | None,
    protect: bool,
    window: Window | None = None,
) -> storage.StorageAccount:
    """Return an account without shared keys, public access or old TLS; encrypted with the party's key if
    given.

    While the day of a `window` has not passed, its one address is let in; the tag says until when.
    """
    is_open = window is not None and window.is_open(context.today)
    return storage.StorageAccount(
        context.names.label("st", part),
        account_name=account_name,
        resource_group_name=resource_group,
        location=context.location,
        kind=storage.Kind.STORAGE_V2,
        sku=storage.SkuArgs(name=sku),
        access_tier=storage.AccessTier.HOT,
        allow_blob_public_access=False,
        allow_cross_tenant_replication=False,
        allow_shared_key_access=False,
        allowed_copy_scope=storage.AllowedCopyScope.AAD,
        default_to_o_auth_authentication=True,
        enable_https_traffic_only=True,
        is_local_user_enabled=False,
        is_sftp_enabled=False,
        minimum_tls_version=storage.MinimumTlsVersion.TLS1_2,
        public_network_access=(
            storage.PublicNetworkAccess.ENABLED if is_open else storage.PublicNetworkAccess.DISABLED
        ),
        network_rule_set=storage.NetworkRuleSetArgs(
            default_action=storage.DefaultAction.DENY,
            bypass=storage.Bypass.AZURE_SERVICES,
            ip_rules=(
                [storage.IPRuleArgs(i_p_address_or_range=str(window.address), action=storage.Action.ALLOW)]
                if window and is_open
                else []
            ),
            virtual_network_rules=[],
        ),
        sas_policy=storage.SasPolicyArgs(
            expiration_action=storage.ExpirationAction.BLOCK, sas_expiration_period="0.08:00:00"
        ),
        key_policy=storage.KeyPolicyArgs(key_expiration_period_in_days=90),
        identity=_identity(key),
        encryption=_encryption(key),
        tags={**context.tags, WINDOW_TAG: window.until.isoformat()} if window and is_open else context.tags,
        opts=pulumi.ResourceOptions(
            parent=parent,
            provider=context.azure,
            depends_on=[key.ready] if key else None,
            hooks=key.patient if key else None,
            protect=protect,
        ),
    )


def blob_service(
    parent: pulumi.Resource,
    context: Context[Party],
    *part: str,
    account: storage.StorageAccount,
    resource_group: pulumi.Input[str],
) -> storage.BlobServiceProperties:
    """Versions and soft deletion of an account's blobs and containers, as the settings say."""
    settings = context.settings.storage
    keep = storage.DeleteRetentionPolicyArgs(
        enabled=settings.soft_delete_days > 0,
        days=settings.soft_delete_days or None,
        allow_permanent_delete=False,
    )
    return storage.BlobServiceProperties(
        context.names.label("blobservice", *part),
        blob_services_name="default",
        account_name=account.name,
        resource_group_name=resource_group,
        is_versioning_enabled=settings.versioning,
        change_feed=storage.ChangeFeedArgs(enabled=settings.versioning),
        delete_retention_policy=keep,
        container_delete_retention_policy=keep,
        opts=context.options(parent),
    )


def diagnose_blobs(
    parent: pulumi.Resource,
    context: Context[Party],
    part: str,
    *,
    account: storage.StorageAccount,
    workspace_id: pulumi.Input[str],
) -> None:
    """Log writes and deletions of blobs; reads, the bulk of them, where the stack wants them."""
    reads: Sequence[str] = ("StorageRead",) if context.settings.monitoring.storage_reads else ()
    diagnose(
        parent,
        context,
        part,
        resource_id=account.id.apply(lambda account_id: f"{account_id}/blobServices/default"),
        workspace_id=workspace_id,
        logs=(*reads, "StorageWrite", "StorageDelete"),
        metrics=("Transaction",),
    )


def _identity(key: CustomerKey | None) -> storage.IdentityArgs | None:
    if key is None:
        return None
    return storage.IdentityArgs(
        type=storage.IdentityType.USER_ASSIGNED, user_assigned_identities=[key.identity_id]
    )


def _encryption(key: CustomerKey | None) -> storage.EncryptionArgs:
    services = storage.EncryptionServicesArgs(
        blob=_ENCRYPTED, file=_ENCRYPTED, queue=_ENCRYPTED, table=_ENCRYPTED
    )
    if key is None:
        return storage.EncryptionArgs(
            key_source=storage.KeySource.MICROSOFT_STORAGE,
            require_infrastructure_encryption=True,
            services=services,
        )
    return storage.EncryptionArgs(
        key_source=storage.KeySource.MICROSOFT_KEYVAULT,
        # Without a version Azure follows the key's rotation by itself.
        key_vault_properties=storage.KeyVaultPropertiesArgs(key_name=key.name, key_vault_uri=key.vault_uri),
        encryption_identity=storage.EncryptionIdentityArgs(encryption_user_assigned_identity=key.identity_id),
        require_infrastructure_encryption=True,
        services=services,
    )
