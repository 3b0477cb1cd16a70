"""Data at rest: azure-native:storage, :containerregistry, :keyvault and :dataprotection."""

from emulator.plugins.azure_native.layout import Layout, flat, plain
from emulator.plugins.azure_native.shape import Name, Shape, group_path
from emulator.plugins.azure_native.shapes.identity import IDENTITY

STORAGE_VERSION = "2024-01-01"
VAULT_VERSION = "2024-11-01"
BACKUP_VERSION = "2025-01-01"

_OWN = ("id", "name", "type", "etag", "systemData")
_ONLY_DEFAULT = Name(pattern="default", maximum=7)
_BACKUP_NAME = r"[A-Za-z][A-Za-z0-9-]*[A-Za-z0-9]"

_ADDRESS_RULES = Layout(renamed={"iPAddressOrRange": "value"})
_ENCRYPTED_SERVICE = plain(computed=("lastEnabledTime",))
_ACCOUNT_ENCRYPTION = plain(
    {
        "encryptionIdentity": plain(
            renamed={
                "encryptionFederatedIdentityClientId": "federatedIdentityClientId",
                "encryptionUserAssignedIdentity": "userAssignedIdentity",
            }
        ),
        "keyVaultProperties": plain(
            renamed={"keyName": "keyname", "keyVaultUri": "keyvaulturi", "keyVersion": "keyversion"},
            computed=(
                "currentVersionedKeyExpirationTimestamp",
                "currentVersionedKeyIdentifier",
                "lastKeyRotationTimestamp",
            ),
        ),
        "services": plain(dict.fromkeys(("blob", "file", "queue", "table"), _ENCRYPTED_SERVICE)),
    },
    renamed={"encryptionIdentity": "identity", "keyVaultProperties": "keyvaultproperties"},
)
_KEY_PROPERTIES = Layout(
    members={
        "attributes": Layout(
            renamed={"expires": "exp", "notBefore": "nbf"},
            computed=frozenset({"created", "recoveryLevel", "updated"}),
        )
    },
    renamed={"releasePolicy": "release_policy"},
)

SHAPES = (
    Shape(
        pulumi_type="azure-native:storage:BlobContainer",
        path=group_path(
            "Microsoft.Storage/storageAccounts/{accountName}/blobServices/default/containers/{containerName}"
        ),
        version=STORAGE_VERSION,
        inputs="defaultEncryptionScope denyEncryptionScopeOverride enableNfsV3AllSquash "
        "enableNfsV3RootSquash immutableStorageWithVersioning metadata publicAccess",
        layout=flat(
            *_OWN,
            members={"immutableStorageWithVersioning": plain(computed=("migrationState", "timeStamp"))},
        ),
        name=Name(pattern=r"\$root|\$web|\$logs|[a-z0-9]+(-[a-z0-9]+)*", minimum=3, maximum=63),
        autoname="same",
    ),
    Shape(
        pulumi_type="azure-native:storage:BlobServiceProperties",
        path=group_path("Microsoft.Storage/storageAccounts/{accountName}/blobServices/{blobServicesName}"),
        version=STORAGE_VERSION,
        inputs="automaticSnapshotPolicyEnabled changeFeed containerDeleteRetentionPolicy cors "
        "defaultServiceVersion deleteRetentionPolicy isVersioningEnabled "
        "lastAccessTimeTrackingPolicy restorePolicy",
        layout=flat(*_OWN, "sku"),
        name=_ONLY_DEFAULT,
        autoname="default",
        singleton=True,
    ),
    Shape(
        pulumi_type="azure-native:storage:ManagementPolicy",
        path=group_path(
            "Microsoft.Storage/storageAccounts/{accountName}/managementPolicies/{managementPolicyName}"
        ),
        version=STORAGE_VERSION,
        inputs="policy",
        layout=flat(*_OWN),
        name=_ONLY_DEFAULT,
        required="policy",
        autoname="default",
    ),
    Shape(
        pulumi_type="azure-native:storage:StorageAccount",
        path=group_path("Microsoft.Storage/storageAccounts/{accountName}"),
        version=STORAGE_VERSION,
        inputs="location tags extendedLocation identity kind sku accessTier allowBlobPublicAccess "
        "allowCrossTenantReplication allowSharedKeyAccess allowedCopyScope "
        "azureFilesIdentityBasedAuthentication customDomain defaultToOAuthAuthentication "
        "dnsEndpointType enableExtendedGroups enableHttpsTrafficOnly enableNfsV3 encryption "
        "immutableStorageWithVersioning isHnsEnabled isLocalUserEnabled isSftpEnabled keyPolicy "
        "largeFileSharesState minimumTlsVersion networkRuleSet publicNetworkAccess "
        "routingPreference sasPolicy",
        layout=Layout(
            top=frozenset({*_OWN, "extendedLocation", "identity", "kind", "location", "sku", "tags"}),
            renamed={
                "enableHttpsTrafficOnly": "supportsHttpsTrafficOnly",
                "enableNfsV3": "isNfsV3Enabled",
                "networkRuleSet": "networkAcls",
            },
            members={
                "encryption": _ACCOUNT_ENCRYPTION,
                "identity": IDENTITY,
                "networkRuleSet": plain(
                    {
                        "ipRules": _ADDRESS_RULES,
                        "virtualNetworkRules": Layout(
                            renamed={"virtualNetworkResourceId": "id"}, filled=frozenset({"state"})
                        ),
                    }
                ),
                "sku": plain(computed=("tier",)),
            },
        ),
        name=Name(pattern=r"[a-z0-9]+", minimum=3, maximum=24),
        required="kind sku",
        replaces="location isHnsEnabled",
        defaults={
            "encryption.keySource": "Microsoft.Storage",
            "networkRuleSet.bypass": "AzureServices",
            "networkRuleSet.defaultAction": "Allow",
            "networkRuleSet.ipRules[].action": "Allow",
            "networkRuleSet.virtualNetworkRules[].action": "Allow",
            "sasPolicy.expirationAction": "Log",
        },
        restored={
            "networkRuleSet": {
                "bypass": "AzureServices",
                "defaultAction": "Allow",
                "ipRules": [],
                "resourceAccessRules": [],
                "virtualNetworkRules": [],
            }
        },
    ),
    Shape(
        pulumi_type="azure-native:containerregistry:Registry",
        path=group_path("Microsoft.ContainerRegistry/registries/{registryName}"),
        version="2023-01-01-preview",
        inputs="location tags identity sku adminUserEnabled anonymousPullEnabled dataEndpointEnabled "
        "encryption networkRuleBypassOptions networkRuleSet policies publicNetworkAccess "
        "zoneRedundancy",
        layout=flat(
            *_OWN,
            "identity",
            "location",
            "sku",
            "tags",
            members={
                "identity": plain(filled=("principalId", "tenantId")),  # its identities are a map already
                "encryption": plain(
                    {
                        "keyVaultProperties": plain(
                            computed=(
                                "keyRotationEnabled",
                                "lastKeyRotationTimestamp",
                                "versionedKeyIdentifier",
                            )
                        )
                    }
                ),
                "networkRuleSet": plain({"ipRules": _ADDRESS_RULES}),
                "policies": plain(
                    {
                        "retentionPolicy": plain(computed=("lastUpdatedTime",)),
                        "softDeletePolicy": plain(computed=("lastUpdatedTime",)),
                    }
                ),
                "sku": plain(computed=("tier",)),
            },
        ),
        name=Name(pattern=r"[A-Za-z0-9]+", minimum=5, maximum=50),
        required="sku",
        replaces="location",
        defaults={
            "adminUserEnabled": False,
            "anonymousPullEnabled": False,
            "networkRuleBypassOptions": "AzureServices",
            "networkRuleSet.ipRules[].action": "Allow",
            "policies.azureADAuthenticationAsArmPolicy.status": "enabled",
            "policies.exportPolicy.status": "enabled",
            "policies.quarantinePolicy.status": "disabled",
            "policies.retentionPolicy.days": 7,
            "policies.retentionPolicy.status": "disabled",
            "policies.softDeletePolicy.retentionDays": 7,
            "policies.softDeletePolicy.status": "disabled",
            "policies.trustPolicy.status": "disabled",
            "policies.trustPolicy.type": "Notary",
        },
    ),
    Shape(
        pulumi_type="azure-native:keyvault:Key",
        path=group_path("Microsoft.KeyVault/vaults/{vaultName}/keys/{keyName}"),
        version=VAULT_VERSION,
        inputs="tags",  # `properties` only travels towards Azure: the answer has them one level up
        layout=plain({"properties": _KEY_PROPERTIES}),
        outputs=Layout(
            top=frozenset({*_OWN, "location", "tags"}),
            members=_KEY_PROPERTIES.members,
            renamed=_KEY_PROPERTIES.renamed,
        ),
        name=Name(pattern=r"[A-Za-z0-9-]+", maximum=127),
        required="properties",
        autoname="same",
    ),
    Shape(
        pulumi_type="azure-native:keyvault:Vault",
        path=group_path("Microsoft.KeyVault/vaults/{vaultName}"),
        version=VAULT_VERSION,
        inputs="location tags properties",
        layout=plain(
            {
                "properties": plain(
                    computed=("hsmPoolResourceId", "privateEndpointConnections", "provisioningState"),
                    filled=("vaultUri",),
                )
            }
        ),
        name=Name(pattern=r"[A-Za-z](-?[A-Za-z0-9])+", minimum=3, maximum=24),
        required="properties",
        kept=("properties.accessPolicies",),
        defaults={
            "properties.enableRbacAuthorization": False,
            "properties.enableSoftDelete": True,
            "properties.enabledForDeployment": False,
            "properties.enabledForDiskEncryption": False,
            "properties.enabledForTemplateDeployment": False,
            "properties.publicNetworkAccess": "enabled",
            "properties.softDeleteRetentionInDays": 90,
        },
    ),
    Shape(
        pulumi_type="azure-native:dataprotection:BackupVault",
        path=group_path("Microsoft.DataProtection/backupVaults/{vaultName}"),
        version=BACKUP_VERSION,
        inputs="location tags eTag identity properties",
        layout=plain(
            {
                "identity": IDENTITY,
                "properties": plain(
                    computed=(
                        "isVaultProtectedByResourceGuard",
                        "provisioningState",
                        "resourceMoveDetails",
                        "resourceMoveState",
                        "secureScore",
                    )
                ),
            }
        ),
        name=Name(pattern=_BACKUP_NAME, minimum=2, maximum=50),
        required="properties",
        replaces="location",
    ),
    Shape(
        pulumi_type="azure-native:dataprotection:BackupPolicy",
        path=group_path(
            "Microsoft.DataProtection/backupVaults/{vaultName}/backupPolicies/{backupPolicyName}"
        ),
        version=BACKUP_VERSION,
        inputs="properties",
        layout=plain(),
        name=Name(pattern=_BACKUP_NAME, minimum=3, maximum=150),
        autoname="same",
    ),
    Shape(
        pulumi_type="azure-native:dataprotection:BackupInstance",
        path=group_path(
            "Microsoft.DataProtection/backupVaults/{vaultName}/backupInstances/{backupInstanceName}"
        ),
        version=BACKUP_VERSION,
        inputs="properties tags",
        layout=plain(
            {
                "properties": plain(
                    {"policyInfo": plain(computed=("policyVersion",))},
                    computed=(
                        "currentProtectionState",
                        "protectionErrorDetails",
                        "protectionStatus",
                        "provisioningState",
                    ),
                )
            }
        ),
        name=Name(pattern=r"[A-Za-z0-9][A-Za-z0-9_.-]*", maximum=260),
        autoname="same",
    ),
)
