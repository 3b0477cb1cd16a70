"""Microsoft.Authorization: role assignments, the built-in roles, permissions, and management locks."""

from __future__ import annotations

import re
from dataclasses import replace

from azure_types.roles import NAMES
from azure_types.types import BY_ARM_TYPE
from emulator.arm import answers, ids
from emulator.arm.catalogue import Fixed, Level, Names, Place, ResourceType, described, listed
from emulator.arm.context import Context, Write
from emulator.arm.custom_roles import DEFINITION, check_definition, custom_role, custom_roles, keep_assigned
from emulator.arm.errors import ArmError, bad_request, conflict, not_found
from emulator.arm.grants import ASSIGNMENT, EFFECTIVE, LAG, scopes_above
from emulator.arm.identities import principal_owner
from emulator.arm.locks import LOCK
from emulator.arm.messages import Json, Request
from emulator.arm.store import Row
from emulator.arm.times import stamp
from emulator.arm.tokens import TENANT_ID

PERMISSIONS = "Microsoft.Authorization/permissions"

REPLICATION = 20.0
"""Seconds until the directory knows a new identity everywhere."""


def _compact(guid: str) -> str:
    return guid.replace("-", "").lower()


# Role assignments


def _check_role(write: Write) -> None:
    role = ids.name_of(str(write.properties["roleDefinitionId"])).lower()
    if role not in NAMES and custom_role(write.tx, role) is None:
        raise bad_request(
            "RoleDefinitionDoesNotExist",
            f"The specified role definition with ID '{_compact(role)}' does not exist.",
        )
    subscription = write.id.subscription
    above = f"/subscriptions/{subscription}" if subscription else ""
    write.properties["roleDefinitionId"] = f"{above}/providers/{DEFINITION}/{role}"


def _check_principal(write: Write) -> None:
    """Look for the principal in the directory, unless `principalType` is given: then Azure takes it on trust,
    and an assignment to nobody helps nobody.

    https://learn.microsoft.com/azure/role-based-access-control/role-assignments-template#new-service-principal
    """
    principal, kind = str(write.properties["principalId"]), write.properties.get("principalType")
    if ids.GUID.fullmatch(principal) is None:
        raise bad_request(
            "InvalidPrincipalId",
            f"The Principal ID '{principal}' is not valid. Principal ID must be a GUID.",
        )
    owner = principal_owner(write.tx, principal)
    if owner is None and kind is not None:
        return
    if owner is None or (kind is None and not _is_replicated(write, owner)):
        raise bad_request(
            "PrincipalNotFound",
            f"Principal {_compact(principal)} does not exist in the directory {TENANT_ID}. Check that you "
            "have the correct principal ID. If you are creating this principal and then immediately "
            "assigning a role, this error might be related to a replication delay. In this case, set the "
            "role assignment principalType property to a value, such as ServicePrincipal, User, or Group. "
            "See https://aka.ms/docs-principaltype",
        )
    if kind not in {None, "ServicePrincipal"}:
        raise bad_request(
            "UnmatchedPrincipalType",
            f"The PrincipalId '{_compact(principal)}' has type 'ServicePrincipal' , which is different from "
            f"specified PrinciaplType '{kind}'.",
        )
    write.properties["principalType"] = "ServicePrincipal"


def _is_replicated(write: Write, owner: str) -> bool:
    """Say whether the directory knows a new identity everywhere.

    Recorded: 400 seconds after the identity was made, 201 soon after that
    (Test_Authorization_RoleAssignment_OnResourceGroup_CRUD, 2025).
    """
    row = write.tx.get(owner)
    return row is None or write.tx.now >= row.created + write.context.latency.seconds(REPLICATION)


def _check_single(write: Write) -> None:
    properties = write.properties
    for other in write.tx.children(write.id.scope, ASSIGNMENT):
        same = all(
            str(other.properties.get(name)).lower() == str(properties[name]).lower()
            for name in ("principalId", "roleDefinitionId")
        )
        if same and other.key != write.id.key:
            raise conflict(
                "RoleAssignmentExists",
                f"The role assignment already exists. The ID of the existing role assignment is "
                f"{_compact(other.name)}.",
            )


def _fixed(_: str) -> ArmError:
    return bad_request(
        "RoleAssignmentUpdateNotPermitted",
        "Tenant ID, application ID, principal ID, and scope are not allowed to be updated.",
    )


def _claim_guid(write: Write) -> None:
    """The name of an assignment is unique in the tenant."""
    if write.old is None and write.tx.claim("role-assignment", write.id.name, write.id.key) is not None:
        raise _fixed("scope")


def _complete(write: Write) -> None:
    now = stamp(write.tx.now)
    caller = write.context.caller.object_id
    write.properties["scope"] = write.id.scope or "/"
    write.settle("properties.createdOn", now)
    write.settle("properties.createdBy", caller)
    write.properties["updatedOn"], write.properties["updatedBy"] = now, caller
    if write.properties.get("condition") and write.properties.get("conditionVersion") != "2.0":
        raise bad_request(
            "InvalidConditionVersion", "A role assignment's condition needs conditionVersion 2.0."
        )
    if write.old is None:
        write.hidden[EFFECTIVE] = write.tx.now + write.context.latency.seconds(LAG)


def _applying(context: Context, path: ids.ResourceId, request: Request) -> list[Row]:
    """Return the assignments that apply to a scope: on it, above it, and (without atScope()) below it."""
    wanted = request.query.get("$filter", "")
    rows = [row for scope in scopes_above(path.scope) for row in context.tx.children(scope, ASSIGNMENT)]
    if "atscope()" not in wanted.lower():
        rows += [row for row in context.tx.below(path.scope) if row.type == ASSIGNMENT and row not in rows]
    principal = re.search(r"(?:principalId eq|assignedTo\()\s*'([^']+)'", wanted)
    return [
        row
        for row in rows
        if principal is None or row.properties["principalId"].lower() == principal[1].lower()
    ]


# Roles


def _definition(guid: str, scope: str) -> Row:
    above = f"/subscriptions/{ids.subscription_of(scope)}" if ids.subscription_of(scope) else ""
    body = {"properties": {"roleName": NAMES[guid], "type": "BuiltInRole", "assignableScopes": ["/"]}}
    return Row(id=f"{above}/providers/{DEFINITION}/{guid}", type=DEFINITION, body=body, parent=scope)


def _definition_at(context: Context, path: ids.ResourceId) -> Row | None:
    if path.name.lower() in NAMES:
        return _definition(path.name.lower(), path.scope)
    return custom_role(context.tx, path.name)


def _definitions(context: Context, path: ids.ResourceId, request: Request) -> list[Row]:
    """Return the roles that can be assigned at a scope; `$filter` chooses by roleName and by type."""
    text = request.query.get("$filter", "")
    rows = [*(_definition(guid, path.scope) for guid in NAMES), *custom_roles(context, path.scope)]
    for name in ("roleName", "type"):
        wanted = re.search(rf"{name} eq '([^']+)'", text)
        if wanted is not None:
            rows = [row for row in rows if str(row.properties[name]).lower() == wanted[1].lower()]
    return rows


def _refuse_builtin(write: Write) -> None:
    if write.id.name.lower() in NAMES:
        raise bad_request(
            "RoleDefinitionUpdateNotPermitted",
            f"The built-in role '{NAMES[write.id.name.lower()]}' cannot be changed.",
        )


def _missing_definition(id_: ids.ResourceId) -> ArmError:
    return not_found(
        "RoleDefinitionDoesNotExist",
        f"The specified role definition with ID '{_compact(id_.name)}' does not exist.",
    )


def _missing_assignment(id_: ids.ResourceId) -> ArmError:
    """Recorded: Test_Authorization_RoleAssignmentOfBuiltInRole_OnResourceGroup_CRUD, 2025."""
    return not_found("RoleAssignmentNotFound", f"The role assignment '{id_.name}' is not found.")


# Permissions


def _permissions(_: Context, path: ids.ResourceId, __: Request) -> list[Row]:
    """Return what the caller may do: a deployer owns the subscriptions that it may use at all."""
    body: Json = {"actions": ["*"], "notActions": [], "dataActions": [], "notDataActions": []}
    return [Row(id=f"{path.path}/own", type=PERMISSIONS, body=body, parent=path.scope)]


# Locks


def _check_lock(write: Write) -> None:
    if write.properties.get("level") not in {"CanNotDelete", "ReadOnly"}:
        raise bad_request("InvalidLockLevel", "The level of a lock is CanNotDelete or ReadOnly.")


def _locks(context: Context, path: ids.ResourceId, _: Request) -> list[Row]:
    """Return the locks on a scope and below it."""
    return [row for row in context.tx.below(path.scope) if row.type == LOCK]


TYPES = (
    replace(
        described(
            ASSIGNMENT,
            error=lambda name: bad_request(
                "InvalidRoleAssignmentId",
                f"The role assignment ID '{name}' is not valid. The role assignment ID must be a GUID.",
            ),
        ),
        answers=answers.GRANT,
        provisioning=False,
        fixed=(
            Fixed(path="properties.principalId", error=_fixed),
            Fixed(path="properties.roleDefinitionId", error=_fixed),
        ),
        check=(_check_role, _check_principal, _claim_guid, _check_single, _complete),
        listing=_applying,
        missing=_missing_assignment,
    ),
    ResourceType(
        name=DEFINITION,
        versions=(*BY_ARM_TYPE[ASSIGNMENT].versions, "2022-05-01-preview"),
        level=Level.SCOPE,
        place=Place.NONE,
        tags=False,
        schema=False,
        provisioning=False,
        answers=answers.ROLE,
        names=Names(rule=BY_ARM_TYPE[ASSIGNMENT].name),
        methods=frozenset({"GET", "HEAD", "PUT", "DELETE"}),
        check=(_refuse_builtin, check_definition),
        keep=(keep_assigned,),
        listing=_definitions,
        virtual=_definition_at,
        missing=_missing_definition,
    ),
    listed(PERMISSIONS, ("2022-04-01", "2018-01-01-preview", "2015-07-01"), _permissions, level=Level.SCOPE),
    replace(
        described(LOCK),
        provisioning=False,
        check=(_check_lock,),
        listing=_locks,
    ),
)
