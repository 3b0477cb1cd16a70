"""Role assignments: who may do what, on exactly one resource.

Names are made from words that are known at plan time. Azure is told what a principal is, an identity or a
group: without `principalType` an assignment to a fresh identity fails until the directory has replicated it
(https://learn.microsoft.com/azure/role-based-access-control/troubleshooting#symptom---assigning-a-role-to-a-new-principal-sometimes-fails).
"""

from typing import Final

import pulumi
from pulumi_azure_native import authorization

from components.context import Context
from federation.curated import CURATED_ONLY
from federation.intent import Grant
from federation.naming import role_assignment_name
from federation.parties import Party

#: https://learn.microsoft.com/azure/role-based-access-control/built-in-roles
ROLES: Final = {
    "AcrPull": "7f951dda-4ed3-4680-a7ca-43fe172d538d",
    "Disk Backup Reader": "3e5e47e6-65f7-47ef-90b5-e5dd4d455f24",
    "Disk Restore Operator": "b50d9833-a0cb-478e-945f-707fcc997c13",
    "Disk Snapshot Contributor": "7efff54f-a5b4-42b5-a1c5-5411624893ce",
    "Key Vault Crypto Service Encryption User": "e147488a-f6f5-4113-8e2d-b22465e65bf6",
    "Storage Blob Data Contributor": "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
    "Storage Blob Data Reader": "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1",
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
            principal=f"{grant.principal}-dashboard",
            principal_id=grant.group,
            principal_type=authorization.PrincipalType.GROUP,
            resource=grant.resource,
            scope=scope,
            condition=CURATED_ONLY,
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
    """Gives `principal` a role on `scope`; `principal` and `resource` are the words its name is made of."""
    subscription = context.party.subscription_id
    words = (context.names.stack, context.party.name, resource, role, principal)
    return authorization.RoleAssignment(
        context.names.label("role", "-".join((resource, principal, role.lower().replace(" ", "-")))),
        role_assignment_name=role_assignment_name(subscription, *words),
        principal_id=principal_id,
        principal_type=principal_type,
        role_definition_id=(
            f"/subscriptions/{subscription}/providers/Microsoft.Authorization/roleDefinitions/{ROLES[role]}"
        ),
        scope=scope,
        condition=condition,
        condition_version="2.0" if condition else None,
        opts=context.options(parent),
    )
