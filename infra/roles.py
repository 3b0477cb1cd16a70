"""Which roles the deploying identities get, and which they may hand on.

A deployer is no owner: it may give a VM's identity one of the roles in `DELEGABLE`, and nobody anything else.
https://learn.microsoft.com/azure/role-based-access-control/delegate-role-assignments-examples
"""

from typing import Final

ROLES: Final = {
    "AcrPull": "7f951dda-4ed3-4680-a7ca-43fe172d538d",
    "Contributor": "b24988ac-6180-42a0-ab88-20f7382dd24c",
    "Disk Backup Reader": "3e5e47e6-65f7-47ef-90b5-e5dd4d455f24",
    "Disk Restore Operator": "b50d9833-a0cb-478e-945f-707fcc997c13",
    "Disk Snapshot Contributor": "7efff54f-a5b4-42b5-a1c5-5411624893ce",
    "Key Vault Crypto Service Encryption User": "e147488a-f6f5-4113-8e2d-b22465e65bf6",
    "Monitoring Metrics Publisher": "3913510d-42f4-4e42-8a64-420c390055eb",
    "Reader": "acdd72a7-3385-48ef-bd42-f606fba81ae7",
    "Role Based Access Control Administrator": "f58310d9-a9f6-439a-9e8d-f62e7b41a168",
    "Storage Blob Data Contributor": "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
    "Storage Blob Data Reader": "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1",
    "User Access Administrator": "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9",
}

#: What the program gives to the identities of VMs, disks' keys and backups.
DELEGABLE: Final = (
    "AcrPull",
    "Disk Backup Reader",
    "Disk Restore Operator",
    "Disk Snapshot Contributor",
    "Key Vault Crypto Service Encryption User",
    "Monitoring Metrics Publisher",
    "Storage Blob Data Contributor",
    "Storage Blob Data Reader",
)
CONDITION_VERSION: Final = "2.0"


def definition_id(subscription: str, role: str) -> str:
    """The ARM id of a built-in role, as one subscription sees it."""
    return f"/subscriptions/{subscription}/providers/Microsoft.Authorization/roleDefinitions/{ROLES[role]}"


def condition() -> str:
    """The condition on the right to assign roles: `DELEGABLE` roles only, to service principals only.

    It cannot name a scope: within its subscription the deployer may choose where.
    """
    roles = ", ".join(ROLES[role] for role in DELEGABLE)
    return " AND ".join(
        f"((!(ActionMatches{{'Microsoft.Authorization/roleAssignments/{action}'}})) OR "
        f"(@{source}[Microsoft.Authorization/roleAssignments:RoleDefinitionId] ForAnyOfAnyValues:GuidEquals "
        f"{{{roles}}} AND @{source}[Microsoft.Authorization/roleAssignments:PrincipalType] "
        "ForAnyOfAnyValues:StringEqualsIgnoreCase {'ServicePrincipal'}))"
        for action, source in (("write", "Request"), ("delete", "Resource"))
    )
