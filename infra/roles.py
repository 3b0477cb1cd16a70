"""Which roles the deploying identities get, and which they may hand on.

A deployer is no owner: it may give a service principal other than itself one of the roles that the program
gives (`components/roles.py`), a group what the readers of a dashboard or people at a door need, and nobody
anything else.
https://learn.microsoft.com/azure/role-based-access-control/delegate-role-assignments-examples, attributes and
operators: https://learn.microsoft.com/azure/role-based-access-control/conditions-authorization-actions-attributes
"""

from typing import Final

from azure_types.roles import BUILT_IN
from components.roles import ROLES as DELEGABLE

_BLOB_READER: Final = BUILT_IN["Storage Blob Data Reader"]
_BLOB_CONTRIBUTOR: Final = BUILT_IN["Storage Blob Data Contributor"]

CONDITION_VERSION: Final = "2.0"

DEPLOYER: Final = "<deployer>"
"""Stands for the deployer's own principal in a condition, until that is known."""


def condition() -> str:
    """Return the condition on the right to assign roles: the program's own roles only, never to the deployer
    itself.

    Service principals get any of them. Groups may read and write blobs: dashboards are refreshed in people's
    name, and a party's people come through its door (docs/adr/0047).

    It cannot name a scope: within its subscription the deployer may choose where.
    """
    roles = ", ".join(sorted(BUILT_IN[role] for role in DELEGABLE))
    kinds = {"ServicePrincipal": roles, "Group": f"{_BLOB_READER}, {_BLOB_CONTRIBUTOR}"}
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
