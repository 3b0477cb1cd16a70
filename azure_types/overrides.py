"""What no source says by machine: the types that are known here, and what differs from what is derived.

A type is known when it has a row in TYPES and its rules in emulator/arm. After a new row run derive.py.
"""

from typing import Final

from azure_types.azure_type import AzureType, NameRule

WORD: Final = r"[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9_])?"
GUID: Final = r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_PLAIN: Final = r"[A-Za-z0-9][A-Za-z0-9_.-]*"
_BACKUP: Final = r"[A-Za-z][A-Za-z0-9-]*[A-Za-z0-9]"


def in_group(resource: str) -> str:
    """Return the path of a type in a resource group: ``Microsoft.X/things/{thingName}``."""
    return f"/subscriptions/{{subscriptionId}}/resourceGroups/{{resourceGroupName}}/providers/{resource}"


TYPES: Final = (
    AzureType(
        pulumi_type="azure-native:authorization:ManagementLockByScope",
        path="/{scope}/providers/Microsoft.Authorization/locks/{lockName}",
        name=NameRule(pattern=r"[A-Za-z0-9._()-]*[A-Za-z0-9_()-]", maximum=90),
        verified=True,
    ),
    AzureType(
        pulumi_type="azure-native:authorization:RoleAssignment",
        path="/{scope}/providers/Microsoft.Authorization/roleAssignments/{roleAssignmentName}",
        name=NameRule(pattern=GUID, minimum=36, maximum=36),
        replaces="principalId",
        autoname="guid",
        verified=True,
    ),
    AzureType(
        pulumi_type="azure-native:compute:Disk",
        path=in_group("Microsoft.Compute/disks/{diskName}"),
        name=NameRule(pattern=r"[A-Za-z0-9_.-]+", maximum=80),
        replaces="location",
        verified=True,
    ),
    AzureType(
        pulumi_type="azure-native:compute:DiskEncryptionSet",
        path=in_group("Microsoft.Compute/diskEncryptionSets/{diskEncryptionSetName}"),
        name=NameRule(pattern=r"[A-Za-z0-9_.-]+", maximum=80),
        replaces="location",
        verified=True,
    ),
    AzureType(
        pulumi_type="azure-native:compute:VirtualMachine",
        path=in_group("Microsoft.Compute/virtualMachines/{vmName}"),
        name=NameRule(pattern=r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", maximum=64),
        replaces="location",
        verified=True,
    ),
    AzureType(
        pulumi_type="azure-native:compute:VirtualMachineExtension",
        path=in_group("Microsoft.Compute/virtualMachines/{vmName}/extensions/{vmExtensionName}"),
        name=NameRule(pattern=WORD, maximum=64),
        replaces="location",
        autoname="same",
        verified=True,
        untagged=True,
    ),
    AzureType(
        pulumi_type="azure-native:consumption:Budget",
        path="/{scope}/providers/Microsoft.Consumption/budgets/{budgetName}",
        name=NameRule(pattern=r"[A-Za-z0-9_-]+", maximum=63),
        verified=True,
    ),
    AzureType(
        pulumi_type="azure-native:containerregistry:Registry",
        path=in_group("Microsoft.ContainerRegistry/registries/{registryName}"),
        name=NameRule(pattern=r"[A-Za-z0-9]+", minimum=5, maximum=50),
        replaces="location",
        verified=True,
    ),
    AzureType(
        pulumi_type="azure-native:dataprotection:BackupInstance",
        path=in_group(
            "Microsoft.DataProtection/backupVaults/{vaultName}/backupInstances/{backupInstanceName}"
        ),
        name=NameRule(pattern=_PLAIN, maximum=260),
        autoname="same",
        verified=True,
        untagged=True,
    ),
    AzureType(
        pulumi_type="azure-native:dataprotection:BackupPolicy",
        path=in_group("Microsoft.DataProtection/backupVaults/{vaultName}/backupPolicies/{backupPolicyName}"),
        name=NameRule(pattern=_BACKUP, minimum=3, maximum=150),
        autoname="same",
        verified=True,
    ),
    AzureType(
        pulumi_type="azure-native:dataprotection:BackupVault",
        path=in_group("Microsoft.DataProtection/backupVaults/{vaultName}"),
        name=NameRule(pattern=_BACKUP, minimum=2, maximum=50),
        replaces="location",
        verified=True,
    ),
    AzureType(
        pulumi_type="azure-native:keyvault:Key",
        path=in_group("Microsoft.KeyVault/vaults/{vaultName}/keys/{keyName}"),
        name=NameRule(pattern=r"[A-Za-z0-9-]+", maximum=127),
        autoname="same",
        unwrapped=True,
        verified=True,
        untagged=True,
    ),
    AzureType(
        pulumi_type="azure-native:keyvault:Vault",
        path=in_group("Microsoft.KeyVault/vaults/{vaultName}"),
        name=NameRule(pattern=r"[A-Za-z](-?[A-Za-z0-9])+", minimum=3, maximum=24),
        kept=("properties.accessPolicies",),
        verified=True,
    ),
    AzureType(
        pulumi_type="azure-native:managedidentity:FederatedIdentityCredential",
        path=in_group(
            "Microsoft.ManagedIdentity/userAssignedIdentities/{resourceName}"
            "/federatedIdentityCredentials/{federatedIdentityCredentialResourceName}"
        ),
        name=NameRule(pattern=r"[A-Za-z0-9][A-Za-z0-9_-]+", minimum=3, maximum=120),
    ),
    AzureType(
        pulumi_type="azure-native:managedidentity:UserAssignedIdentity",
        path=in_group("Microsoft.ManagedIdentity/userAssignedIdentities/{resourceName}"),
        name=NameRule(pattern=r"[A-Za-z0-9][A-Za-z0-9_-]+", minimum=3, maximum=128),
        replaces="location",
        verified=True,
    ),
    AzureType(
        pulumi_type="azure-native:monitor:ActionGroup",
        path=in_group("Microsoft.Insights/actionGroups/{actionGroupName}"),
        name=NameRule(pattern=r"[^:<>+/&%\\?\x00-\x1f]*[^:<>+/&%\\? .\x00-\x1f]", maximum=260),
        demanded="enabled",
        replaces="location",
        verified=True,
    ),
    AzureType(
        pulumi_type="azure-native:monitor:DataCollectionRule",
        path=in_group("Microsoft.Insights/dataCollectionRules/{dataCollectionRuleName}"),
        name=NameRule(pattern=_PLAIN, minimum=3, maximum=64),
        replaces="location",
        verified=True,
    ),
    AzureType(
        pulumi_type="azure-native:monitor:DataCollectionRuleAssociation",
        path="/{resourceUri}/providers/Microsoft.Insights/dataCollectionRuleAssociations/{associationName}",
        name=NameRule(pattern=_PLAIN, maximum=64),
        verified=True,
    ),
    AzureType(
        pulumi_type="azure-native:monitor:DiagnosticSetting",
        path="/{resourceUri}/providers/Microsoft.Insights/diagnosticSettings/{name}",
        name=NameRule(pattern=r"[^<>*%&:\\?+/#]*[^<>*%&:\\?+/# .]", maximum=260),
        verified=True,
    ),
    AzureType(
        pulumi_type="azure-native:monitor:MetricAlert",
        path=in_group("Microsoft.Insights/metricAlerts/{ruleName}"),
        name=NameRule(pattern=r"[^*#&+:<>?@%{}\\/\x00-\x1f]*[^*#&+:<>?@%{}\\/ .\x00-\x1f]", maximum=260),
        replaces="location",
        verified=True,
        untagged=True,
    ),
    AzureType(
        pulumi_type="azure-native:monitor:ScheduledQueryRule",
        path=in_group("Microsoft.Insights/scheduledQueryRules/{ruleName}"),
        name=NameRule(pattern=r"[^#<>%&:\\?/{}*]*[^#<>%&:\\?/{}* .]", maximum=260),
        replaces="location",
        verified=True,
        untagged=True,
    ),
    AzureType(
        pulumi_type="azure-native:network:FlowLog",
        path=in_group("Microsoft.Network/networkWatchers/{networkWatcherName}/flowLogs/{flowLogName}"),
        name=NameRule(pattern=WORD, maximum=80),
        autoname="same",
        verified=True,
        untagged=True,
    ),
    AzureType(
        pulumi_type="azure-native:network:NatGateway",
        path=in_group("Microsoft.Network/natGateways/{natGatewayName}"),
        name=NameRule(pattern=WORD, maximum=80),
        verified=True,
    ),
    AzureType(
        pulumi_type="azure-native:network:NetworkInterface",
        path=in_group("Microsoft.Network/networkInterfaces/{networkInterfaceName}"),
        name=NameRule(pattern=WORD, maximum=80),
        verified=True,
    ),
    AzureType(
        pulumi_type="azure-native:network:NetworkSecurityGroup",
        path=in_group("Microsoft.Network/networkSecurityGroups/{networkSecurityGroupName}"),
        name=NameRule(pattern=WORD, maximum=80),
        kept=("properties.securityRules",),
        verified=True,
    ),
    AzureType(
        pulumi_type="azure-native:network:NetworkWatcher",
        path=in_group("Microsoft.Network/networkWatchers/{networkWatcherName}"),
        name=NameRule(pattern=WORD, maximum=80),
    ),
    AzureType(
        pulumi_type="azure-native:network:PrivateDnsZoneGroup",
        path=in_group(
            "Microsoft.Network/privateEndpoints/{privateEndpointName}"
            "/privateDnsZoneGroups/{privateDnsZoneGroupName}"
        ),
        name=NameRule(pattern=WORD, maximum=80),
        autoname="same",
        verified=True,
    ),
    AzureType(
        pulumi_type="azure-native:network:PrivateEndpoint",
        path=in_group("Microsoft.Network/privateEndpoints/{privateEndpointName}"),
        name=NameRule(pattern=WORD, minimum=2, maximum=64),
        replaces="subnet",
        verified=True,
    ),
    AzureType(
        pulumi_type="azure-native:network:PublicIPAddress",
        path=in_group("Microsoft.Network/publicIPAddresses/{publicIpAddressName}"),
        name=NameRule(pattern=WORD, maximum=80),
        replaces="location publicIPAddressVersion publicIPPrefix sku",
        verified=True,
    ),
    AzureType(
        pulumi_type="azure-native:network:Route",
        path=in_group("Microsoft.Network/routeTables/{routeTableName}/routes/{routeName}"),
        name=NameRule(pattern=WORD, maximum=80),
        autoname="same",
    ),
    AzureType(
        pulumi_type="azure-native:network:RouteTable",
        path=in_group("Microsoft.Network/routeTables/{routeTableName}"),
        name=NameRule(pattern=WORD, maximum=80),
        replaces="location",
        kept=("properties.routes",),
        verified=True,
    ),
    AzureType(
        pulumi_type="azure-native:network:SecurityRule",
        path=in_group(
            "Microsoft.Network/networkSecurityGroups/{networkSecurityGroupName}"
            "/securityRules/{securityRuleName}"
        ),
        name=NameRule(pattern=WORD, maximum=80),
        autoname="same",
    ),
    AzureType(
        pulumi_type="azure-native:network:Subnet",
        path=in_group("Microsoft.Network/virtualNetworks/{virtualNetworkName}/subnets/{subnetName}"),
        name=NameRule(pattern=WORD, maximum=80),
        autoname="same",
    ),
    AzureType(
        pulumi_type="azure-native:network:VirtualNetwork",
        path=in_group("Microsoft.Network/virtualNetworks/{virtualNetworkName}"),
        name=NameRule(pattern=WORD, minimum=2, maximum=64),
        replaces="location",
        kept=("properties.subnets", "properties.virtualNetworkPeerings"),
        verified=True,
    ),
    AzureType(
        pulumi_type="azure-native:network:VirtualNetworkPeering",
        path=in_group(
            "Microsoft.Network/virtualNetworks/{virtualNetworkName}"
            "/virtualNetworkPeerings/{virtualNetworkPeeringName}"
        ),
        name=NameRule(pattern=WORD, maximum=80),
        autoname="same",
        verified=True,
    ),
    AzureType(
        pulumi_type="azure-native:operationalinsights:Workspace",
        path=in_group("Microsoft.OperationalInsights/workspaces/{workspaceName}"),
        name=NameRule(pattern=r"[A-Za-z0-9][A-Za-z0-9-]+[A-Za-z0-9]", minimum=4, maximum=63),
        replaces="location",
        verified=True,
    ),
    AzureType(
        pulumi_type="azure-native:privatedns:PrivateRecordSet",
        path=in_group(
            "Microsoft.Network/privateDnsZones/{privateZoneName}/{recordType}/{relativeRecordSetName}"
        ),
        name=NameRule(pattern=r"@|\*|(\*\.)?[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*", maximum=253),
        kinds=("A", "AAAA", "CNAME", "MX", "PTR", "SRV", "TXT"),
        autoname="same",
        verified=True,
    ),
    AzureType(
        pulumi_type="azure-native:privatedns:PrivateZone",
        path=in_group("Microsoft.Network/privateDnsZones/{privateZoneName}"),
        name=NameRule(pattern=r"[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63}){1,33}", maximum=253),
        replaces="location",
        verified=True,
    ),
    AzureType(
        pulumi_type="azure-native:privatedns:VirtualNetworkLink",
        path=in_group(
            "Microsoft.Network/privateDnsZones/{privateZoneName}/virtualNetworkLinks/{virtualNetworkLinkName}"
        ),
        name=NameRule(pattern=WORD, maximum=80),
        replaces="location",
        autoname="same",
        verified=True,
        untagged=True,
    ),
    AzureType(
        pulumi_type="azure-native:resources:ResourceGroup",
        path="/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}",
        name=NameRule(pattern=r"[-\w._()]*[-\w_()]", maximum=90),
        replaces="location",
        verified=True,
    ),
    AzureType(
        pulumi_type="azure-native:storage:BlobContainer",
        path=in_group(
            "Microsoft.Storage/storageAccounts/{accountName}/blobServices/default/containers/{containerName}"
        ),
        name=NameRule(pattern=r"\$root|\$web|\$logs|[a-z0-9]+(-[a-z0-9]+)*", minimum=3, maximum=63),
        autoname="same",
        verified=True,
    ),
    AzureType(
        pulumi_type="azure-native:storage:BlobServiceProperties",
        path=in_group("Microsoft.Storage/storageAccounts/{accountName}/blobServices/{blobServicesName}"),
        name=NameRule(pattern=r"default", maximum=7),
        autoname="default",
        singleton=True,
        verified=True,
    ),
    AzureType(
        pulumi_type="azure-native:storage:ManagementPolicy",
        path=in_group(
            "Microsoft.Storage/storageAccounts/{accountName}/managementPolicies/{managementPolicyName}"
        ),
        name=NameRule(pattern=r"default", maximum=7),
        autoname="default",
        verified=True,
    ),
    AzureType(
        pulumi_type="azure-native:storage:StorageAccount",
        path=in_group("Microsoft.Storage/storageAccounts/{accountName}"),
        name=NameRule(pattern=r"[a-z0-9]+", minimum=3, maximum=24),
        replaces="location isHnsEnabled",
        restored={
            "networkRuleSet": {
                "bypass": "AzureServices",
                "defaultAction": "Allow",
                "ipRules": [],
                "resourceAccessRules": [],
                "virtualNetworkRules": [],
            }
        },
        verified=True,
    ),
)
"""Names: https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules. What
replaces, is kept, restored or named: https://github.com/pulumi/pulumi-azure-native (provider/pkg)."""

QUERY_PARAMETERS: Final = frozenset({"syncRemoteAddressSpace"})
"""Arguments of the SDK that its provider sends in the query."""

OPEN: Final = frozenset({"VirtualMachineSizeTypes", "ConditionOperator"})
"""Enums to leave open: VM sizes are only examples, and two services of the monitor module share the name
ConditionOperator, of which the SDK kept the wrong one for alerts. Rules of emulator/arm know the values."""

OPAQUE: Final = frozenset(
    """
    network.ApplicationGatewayBackendAddressPool network.ApplicationGatewayIPConfiguration
    network.BackendAddressPool network.FrontendIPConfiguration network.InboundNatRule
    network.PrivateLinkService network.VirtualNetworkTap network.ResourceNavigationLink
    network.ServiceAssociationLink
    """.split()  # noqa: SIM905
)
"""Nested classes of services without a row: taken as they are."""

COMMON: Final = "MicrosoftCommon"
"""What the SDK puts before the name of some inputs and not before that of their answers."""

ANSWERED: Final = {
    "keyvault.KeyProperties": ("keyUri", "keyUriWithVersion"),
    "monitor.DataCollectionRuleResourceIdentity": ("principalId", "tenantId"),
}
"""Object -> what Azure answers in it and the SDK shows elsewhere, or under a class of another name."""

OTHER_VERSIONS: Final = {
    "consumption.@Budget": {"filters": {"t": "any", "p": 1, "v": 1}},
    "network.@PrivateEndpoint": {
        "ipVersionType": {"t": "s", "e": ["IPv4", "IPv6", "DualStack"], "p": 1, "v": 1},
    },
}
"""Object -> members that api-versions other than the SDK's have and azure-cli of today sends.

https://learn.microsoft.com/rest/api/virtualnetwork/private-endpoints/create-or-update (2025-07-01),
https://learn.microsoft.com/rest/api/consumption/budgets (2018-01-31)
"""

FILLED: Final = {
    "compute.DataDisk": "managedDisk name",
    "compute.OSDisk": "diskSizeGB managedDisk name osType",
    "compute.OSProfile": "allowExtensionOperations requireGuestProvisionSignal secrets",
    "containerregistry.IdentityProperties": "principalId tenantId",
    "network.Delegation": "id type etag actions",
    "network.NetworkInterfaceDnsSettings": "dnsServers",
    "network.NetworkInterfaceIPConfiguration": "id type primary privateIPAddress privateIPAddressVersion "
    "privateIPAllocationMethod",
    "network.PrivateLinkServiceConnection": "id privateLinkServiceConnectionState",
    "network.PublicIPAddressSku": "tier",
    "network.Route": "id type etag provisioningState",
    "network.SecurityRule": "id type etag provisioningState",
    "network.ServiceEndpointPropertiesFormat": "provisioningState",
    "network.Subnet": "id type etag provisioningState resourceNavigationLinks serviceAssociationLinks",
    "network.VirtualNetworkPeering": "id type peeringState peeringSyncLevel",
    "storage.VirtualNetworkRule": "state",
}
"""Object -> inputs that Azure sets where the program does not. The SDK takes them as inputs, so a refresh
compares them: https://github.com/pulumi/pulumi-azure-native/issues/4722 (etags of subnets)."""
