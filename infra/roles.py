"""Which roles the deploying identities get, and which they may hand on.

A deployer is no owner: it may give a service principal other than itself one of the roles that the program
gives (`components/roles.py`), a group the one that the readers of a dashboard need, and nobody anything else.
https://learn.microsoft.com/azure/role-based-access-control/delegate-role-assignments-examples, attributes and
operators: https://learn.microsoft.com/azure/role-based-access-control/conditions-authorization-actions-attributes
"""

from typing import Final

from components.roles import ROLES as DELEGABLE

#: https://learn.microsoft.com/azure/role-based-access-control/built-in-roles
ROLES: Final = {
    "Contributor": "b24988ac-6180-42a0-ab88-20f7382dd24c",
    "Reader": "acdd72a7-3385-48ef-bd42-f606fba81ae7",
    "Role Based Access Control Administrator": "f58310d9-a9f6-439a-9e8d-f62e7b41a168",
    "Storage Blob Data Contributor": "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
    "Storage Blob Data Reader": "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1",
    "User Access Administrator": "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9",
}

_BLOB_READER: Final = ROLES["Storage Blob Data Reader"]

CONDITION_VERSION: Final = "2.0"


def definition_id(subscription: str, role: str) -> str:
    """The ARM id of a built-in role, as one subscription sees it."""
    return f"/subscriptions/{subscription}/providers/Microsoft.Authorization/roleDefinitions/{ROLES[role]}"


DEPLOYER: Final = "<deployer>"
"""Stands for the deployer's own principal in a condition, until that is known."""


def condition(*, groups: bool) -> str:
    """The condition on the right to assign roles: the program's own roles only, to service principals only.

    Never to the deployer (DEPLOYER) itself.

    With `groups` there is one exception: a group may read blobs, because people's dashboards are refreshed in
    their name. All dashboards' tables lie at the centre; a hospital's data are for no group.

    It cannot name a scope: within its subscription the deployer may choose where.
    """
    roles = ", ".join(sorted(DELEGABLE.values()))
    kinds = {"ServicePrincipal": roles} | ({"Group": _BLOB_READER} if groups else {})
    return " AND ".join(
        f"((!(ActionMatches{{'Microsoft.Authorization/roleAssignments/{action}'}})) OR "
        + " OR ".join(f"({_given(source, allowed, kind)})" for kind, allowed in kinds.items())
        + ")"
        for action, source in (("write", "Request"), ("delete", "Resource"))
    )


def _given(source: str, roles: str, kind: str) -> str:
    return (
        f"@{source}[Microsoft.Authorization/roleAssignments:RoleDefinitionId] ForAnyOfAnyValues:GuidEquals "
        f"{{{roles}}} AND @{source}[Microsoft.Authorization/roleAssignments:PrincipalId] "
        f"ForAnyOfAllValues:GuidNotEquals {{{DEPLOYER}}} AND "
        f"@{source}[Microsoft.Authorization/roleAssignments:PrincipalType] "
        f"ForAnyOfAnyValues:StringEqualsIgnoreCase {{'{kind}'}}"
    )
