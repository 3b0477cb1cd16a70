"""Roles that an organisation defines itself. They can be assigned; no data plane here asks for one.

https://learn.microsoft.com/azure/role-based-access-control/custom-roles
"""

from __future__ import annotations

from emulator.arm import ids
from emulator.arm.context import Context, Deletion, Write
from emulator.arm.errors import bad_request, conflict
from emulator.arm.grants import ASSIGNMENT, scopes_above
from emulator.arm.messages import Json
from emulator.arm.store import Row, Transaction
from emulator.arm.times import stamp

DEFINITION = "Microsoft.Authorization/roleDefinitions"
_SPACE = "role-definition"
_LISTS = ("actions", "notActions", "dataActions", "notDataActions")


def custom_role(tx: Transaction, guid: str) -> Row | None:
    """Return a custom role by its GUID, wherever it was defined."""
    owner = tx.claimed(_SPACE, guid)
    return tx.get(owner) if owner else None


def custom_roles(context: Context, scope: str) -> list[Row]:
    """Return the custom roles that can be assigned at a scope."""
    above = {one.lower() for one in scopes_above(scope)}
    return [
        row
        for row in context.tx.of_type(DEFINITION)
        if above & {str(one).lower().rstrip("/") for one in row.properties["assignableScopes"]}
    ]


def check_definition(write: Write) -> None:
    """Hold a definition to Azure's rules and complete it."""
    properties = write.properties
    name, scopes = properties.get("roleName"), properties.get("assignableScopes")
    if not isinstance(name, str) or not name:
        raise bad_request("RoleDefinitionNameNullOrEmpty", "The role definition needs a roleName.")
    if not isinstance(scopes, list) or not scopes:
        raise bad_request(
            "MissingAssignableScopes", f"The role definition '{name}' needs at least one assignable scope."
        )
    for scope in scopes:
        subscription = ids.subscription_of(str(scope))
        if subscription is None or not write.tx.has_subscription(subscription):
            raise bad_request("InvalidAssignableScope", f"The assignable scope '{scope}' was not found.")
    for other in write.tx.of_type(DEFINITION):
        if other.key != write.id.key and str(other.properties["roleName"]).lower() == name.lower():
            raise conflict(
                "RoleDefinitionWithSameNameExists",
                f"A custom role with the same name '{name}' already exists in this directory. Use a "
                "different name.",
            )
    _complete(write)
    write.tx.claim(_SPACE, write.id.name, write.id.key)


def _complete(write: Write) -> None:
    given = write.properties.get("permissions")
    permissions: list[Json] = given if isinstance(given, list) else []
    now, caller = stamp(write.tx.now), write.context.caller.object_id
    kept = {name: write.properties[name] for name in ("roleName", "assignableScopes")}
    write.body = {
        "properties": kept
        | {
            "type": "CustomRole",
            "description": write.properties.get("description") or "",
            "permissions": [{name: one.get(name) or [] for name in _LISTS} for one in permissions],
            "createdOn": write.before("properties.createdOn") or now,
            "createdBy": write.before("properties.createdBy") or caller,
            "updatedOn": now,
            "updatedBy": caller,
        }
    }


def keep_assigned(deletion: Deletion) -> None:
    """A role that somebody holds stays.

    https://learn.microsoft.com/azure/role-based-access-control/troubleshooting
    """
    for assignment in deletion.tx.of_type(ASSIGNMENT):
        if ids.name_of(assignment.properties["roleDefinitionId"]).lower() == deletion.row.name.lower():
            raise conflict(
                "RoleDefinitionHasAssignments",
                "There are existing role assignments referencing role.",
            )
