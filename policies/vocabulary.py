"""The resource types of this platform, and the tags they carry.

A type that is not listed here is refused by the rule ``known-types`` and reported by ``./fed verify``: both
would otherwise say "closed" about something whose effect they do not know. To add a type, first teach
`automation.verify` what it opens (or that it opens nothing), then list it.
"""

from typing import Final

_NETWORK_TYPES = (
    "network:VirtualNetwork",
    "network:NetworkSecurityGroup",
    "network:NetworkInterface",
    "network:RouteTable",
    "network:NatGateway",
    "network:PublicIPAddress",
    "network:VirtualNetworkPeering",
    "network:PrivateEndpoint",
    "network:PrivateDnsZoneGroup",
    "privatedns:PrivateZone",
    "privatedns:VirtualNetworkLink",
    "privatedns:PrivateRecordSet",
)
_ACCESS_TYPES = (
    "storage:StorageAccount",
    "storage:BlobContainer",
    "containerregistry:Registry",
    "keyvault:Vault",
    "keyvault:Key",
    "compute:VirtualMachine",
    "compute:VirtualMachineExtension",
    "compute:Disk",
    "compute:DiskEncryptionSet",
    "managedidentity:UserAssignedIdentity",
    "authorization:RoleAssignment",
)
_HARMLESS_TYPES = (
    "dataprotection:BackupInstance",
    "dataprotection:BackupPolicy",
    "dataprotection:BackupVault",
    "resources:ResourceGroup",
    "authorization:ManagementLockByScope",
    "consumption:Budget",
    "monitor:ActionGroup",
    "monitor:DataCollectionRule",
    "monitor:DataCollectionRuleAssociation",
    "monitor:DiagnosticSetting",
    "monitor:MetricAlert",
    "monitor:ScheduledQueryRule",
    "network:FlowLog",
    "operationalinsights:Workspace",
    "storage:BlobServiceProperties",
    "storage:ManagementPolicy",
)

KNOWN_TYPES: Final = frozenset(
    f"azure-native:{t}" for t in (*_NETWORK_TYPES, *_ACCESS_TYPES, *_HARMLESS_TYPES)
)
"""Every Azure type the platform may use."""

TAGGED_TYPES: Final = frozenset(
    f"azure-native:{t}"
    for t in (
        "resources:ResourceGroup",
        "network:VirtualNetwork",
        "network:NetworkSecurityGroup",
        "network:NetworkInterface",
        "network:NatGateway",
        "network:PublicIPAddress",
        "network:PrivateEndpoint",
        "network:RouteTable",
        "privatedns:PrivateZone",
        "storage:StorageAccount",
        "containerregistry:Registry",
        "keyvault:Vault",
        "compute:VirtualMachine",
        "compute:Disk",
        "compute:DiskEncryptionSet",
        "managedidentity:UserAssignedIdentity",
        "operationalinsights:Workspace",
        "monitor:ActionGroup",
        "monitor:DataCollectionRule",
        "dataprotection:BackupVault",
    )
)
"""Types whose tags Azure keeps and cost reports use."""

REQUIRED_TAGS: Final = ("project", "environment", "party", "managedBy")
"""Tags that every resource of `TAGGED_TYPES` carries."""
