"""How long Azure typically takes over a write, type by type, and who says so.

Whether a type's writes go on after their answer is in `answers.py`; how long is here. `FED_EMULATOR_LATENCY`
scales all of it (docs/adr/0024).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

ASSUMED: Final = "assumed: no public measurement found"
_READMES: Final = "logs of `terraform apply` in public READMEs, 2022 to 2026"
_ACR: Final = "Azure CLI's recording test_private_endpoint_connection_acr"
_LINK: Final = "hashicorp/terraform-provider-azurerm#22234"
_PALO: Final = "PaloAltoNetworks/terraform-azurerm-vmseries-modules#87"


@dataclass(frozen=True, slots=True)
class Duration:
    """Seconds of a PUT that makes or changes a resource and of a DELETE, and the witness of the PUT."""

    put: float
    delete: float
    witness: str


SHORT: Final = Duration(2, 2, ASSUMED)
"""What has no line is answered at once."""

TYPICAL: Final = {
    "Microsoft.Authorization/locks": Duration(3, 3, ASSUMED),
    "Microsoft.Authorization/roleAssignments": Duration(3, 3, ASSUMED),
    "Microsoft.Authorization/roleDefinitions": Duration(2, 2, ASSUMED),
    "Microsoft.Compute/diskEncryptionSets": Duration(5, 5, ASSUMED),
    "Microsoft.Compute/disks": Duration(3, 5, _READMES),
    "Microsoft.Compute/virtualMachines": Duration(50, 28, _READMES),
    "Microsoft.Compute/virtualMachines/extensions": Duration(70, 20, ASSUMED),
    "Microsoft.Consumption/budgets": Duration(3, 2, ASSUMED),
    "Microsoft.ContainerRegistry/registries": Duration(24, 10, f"{_READMES}; {_ACR} (10 s)"),
    "Microsoft.ContainerRegistry/registries/privateEndpointConnections": Duration(5, 5, ASSUMED),
    "Microsoft.DataProtection/backupVaults": Duration(15, 10, ASSUMED),
    "Microsoft.DataProtection/backupVaults/backupInstances": Duration(4, 30, ASSUMED),
    "Microsoft.DataProtection/backupVaults/backupPolicies": Duration(3, 3, ASSUMED),
    "Microsoft.Insights/actionGroups": Duration(3, 2, ASSUMED),
    "Microsoft.Insights/dataCollectionRuleAssociations": Duration(3, 2, ASSUMED),
    "Microsoft.Insights/dataCollectionRules": Duration(3, 2, ASSUMED),
    "Microsoft.Insights/diagnosticSettings": Duration(3, 2, ASSUMED),
    "Microsoft.Insights/metricAlerts": Duration(3, 2, ASSUMED),
    "Microsoft.Insights/scheduledQueryRules": Duration(3, 2, ASSUMED),
    "Microsoft.KeyVault/vaults": Duration(66, 10, "alan-turing-institute/data-safe-haven#2523"),
    "Microsoft.KeyVault/vaults/keys": Duration(3, 3, _READMES),
    "Microsoft.KeyVault/vaults/privateEndpointConnections": Duration(5, 5, ASSUMED),
    "Microsoft.ManagedIdentity/userAssignedIdentities": Duration(2, 2, _READMES),
    "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials": Duration(2, 2, ASSUMED),
    "Microsoft.Network/natGateways": Duration(10, 10, ASSUMED),
    "Microsoft.Network/networkInterfaces": Duration(7, 12, f"{_READMES}; {_PALO}"),
    "Microsoft.Network/networkSecurityGroups": Duration(3, 10, _READMES),
    "Microsoft.Network/networkSecurityGroups/securityRules": Duration(
        2, 2, "PaloAltoNetworks/terraform-azurerm-vmseries-modules#92"
    ),
    "Microsoft.Network/networkWatchers": Duration(3, 3, ASSUMED),
    "Microsoft.Network/networkWatchers/flowLogs": Duration(10, 10, ASSUMED),
    "Microsoft.Network/privateDnsZones": Duration(30, 30, ASSUMED),
    "Microsoft.Network/privateDnsZones/virtualNetworkLinks": Duration(
        35, 30, f"{_LINK} (35 s); cloudera-labs/terraform-cdp-modules#39 (70 s)"
    ),
    "Microsoft.Network/privateEndpoints": Duration(
        50, 40, f"{_ACR} (61 s); Azure/azure-cli#16598 (31.7 s); {_LINK} (over 50 s)"
    ),
    "Microsoft.Network/privateEndpoints/privateDnsZoneGroups": Duration(10, 10, ASSUMED),
    "Microsoft.Network/publicIPAddresses": Duration(3, 12, _READMES),
    "Microsoft.Network/routeTables": Duration(3, 10, ASSUMED),
    "Microsoft.Network/routeTables/routes": Duration(2, 2, ASSUMED),
    "Microsoft.Network/virtualNetworks": Duration(5, 11, _READMES),
    "Microsoft.Network/virtualNetworks/subnets": Duration(6, 11, _READMES),
    "Microsoft.Network/virtualNetworks/virtualNetworkPeerings": Duration(12, 11, _PALO),
    "Microsoft.OperationalInsights/workspaces": Duration(46, 15, _READMES),
    "Microsoft.Resources/resourceGroups": Duration(2, 30, _READMES),
    "Microsoft.Storage/storageAccounts": Duration(
        26, 15, f"{_READMES}; cloudera-labs/terraform-cdp-modules#39"
    ),
    "Microsoft.Storage/storageAccounts/blobServices": Duration(2, 2, ASSUMED),
    "Microsoft.Storage/storageAccounts/blobServices/containers": Duration(1, 1, _READMES),
    "Microsoft.Storage/storageAccounts/managementPolicies": Duration(2, 2, ASSUMED),
    "Microsoft.Storage/storageAccounts/privateEndpointConnections": Duration(5, 5, ASSUMED),
}


def of(type_: str) -> Duration:
    """Return the line of a type."""
    return TYPICAL.get(type_, SHORT)
