"""Role assignments: who may do what, on exactly one resource.

Names are made from words that are known at plan time. Azure is told what a principal is, an identity or a
group: without `principalType` an assignment to a fresh identity fails until the directory has replicated it
(https://learn.microsoft.com/azure/role-based-access-control/troubleshooting#symptom---assigning-a-role-to-a-new-principal-sometimes-fails).
"""

from typing import Final

import pulumi
from pulumi_azure_native import authorization

from azure_types.roles import definition_id
from components.context import Context
from federation.curated import CURATED_ONLY
from federation.naming import role_assignment_name
from federation.parties import Party
from federation.stated import Grant

ROLES: Final = (
    "AcrPull",
    "Disk Backup Reader",
    "Disk Restore Operator",
    "Disk Snapshot Contributor",
    "Key Vault Crypto Service Encryption User",
    "Storage Blob Data Contributor",
    "Storage Blob Data Reader",
)
"""The roles that the program gives; the deployers may give no others (`infra/roles.py`)."""
_WORDS: Final = {
    "dashboard readers": "dashboard",
    "people": "people",
    "officers": "officers",
    "researchers": "researchers",
    "operators": "operators",
}


def grant_role(
    parent: pulumi.Resource,
    context: Context[Party],
    grant: Grant,
    *,
    machine_id: pulumi.Input[str],
    scope: pulumi.Input[str],
) -> authorization.RoleAssignment:
    """One line of the statement of intent, in the subscription of the owner (`context`).

    `machine_id` is the principal of the party's VM.
    """
    if grant.group is not None:
        return assign_role(
            parent,
            context,
            grant.role,
            principal=f"{grant.principal}-{_WORDS[grant.holder]}",
            principal_id=grant.group,
            principal_type=authorization.PrincipalType.GROUP,
            resource=grant.resource,
            scope=scope,
            condition=CURATED_ONLY if grant.tables_only else None,
        )
    return assign_role(
        parent,
        context,
        grant.role,
        principal=grant.principal,
        principal_id=machine_id,
        resource=grant.resource,
        scope=scope,
    )


def assign_role(
    parent: pulumi.Resource,
    context: Context[Party],
    role: str,
    *,
    principal: str,
    principal_id: pulumi.Input[str],
    resource: str,
    scope: pulumi.Input[str],
    principal_type: authorization.PrincipalType = authorization.PrincipalType.SERVICE_PRINCIPAL,
    condition: str | None = None,
) -> authorization.RoleAssignment:
    """Give `principal` a role on `scope`; `principal` and `resource` are the words its name is made of."""
    subscription = context.party.subscription_id
    words = (context.names.stack, context.party.name, resource, role, principal)
    return authorization.RoleAssignment(
        context.names.label("role", "-".join((resource, principal, role.lower().replace(" ", "-")))),
        role_assignment_name=role_assignment_name(subscription, *words),
        principal_id=principal_id,
        principal_type=principal_type,
        role_definition_id=definition_id(subscription, role),
        scope=scope,
        condition=condition,
        condition_version="2.0" if condition else None,
        opts=context.options(parent),
    )
