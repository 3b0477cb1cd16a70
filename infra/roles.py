"""Which roles the deploying identities get, and which they may hand on.

A deployer is no owner: it may give a service principal other than itself one of the roles that the program
gives (`components/roles.py`), a group the one that the readers of a dashboard need, and nobody anything else.
https://learn.microsoft.com/azure/role-based-access-control/delegate-role-assignments-examples, attributes and
operators: https://learn.microsoft.com/azure/role-based-access-control/conditions-authorization-actions-attributes
"""

from typing import Final

from azure_types.roles import BUILT_IN
from components.roles import ROLES as DELEGABLE

_BLOB_READER: Final = BUILT_IN["Storage Blob Data Reader"]

CONDITION_VERSION: Final = "2.0"

DEPLOYER: Final = "<deployer>"
"""Stands for the deployer's own principal in a condition, until that is known."""


def condition(*, groups: bool) -> str:
    """The condition on the right to assign roles: the program's own roles only, to service principals only.

    Never to the deployer (DEPLOYER) itself.

    With `groups` there is one exception: a group may read blobs, because people's dashboards are refreshed in
    their name. All dashboards' tables lie at the centre; a hospital's data are for no group.

    It cannot name a scope: within its subscription the deployer may choose where.
    """
    roles = ", ".join(sorted(BUILT_IN[role] for role in DELEGABLE))
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
