"""Microsoft.Authorization: role assignments, the built-in roles, permissions, and management locks."""

from __future__ import annotations

import re

from emulator.arm import ids
from emulator.arm.catalogue import GUID_NAME, Fixed, Level, Names, Place, ResourceType, listed
from emulator.arm.context import Context, Write
from emulator.arm.errors import ArmError, bad_request, conflict, not_found
from emulator.arm.grants import ASSIGNMENT, EFFECTIVE, LAG, scopes_above
from emulator.arm.identities import principal_owner
from emulator.arm.locks import LOCK
from emulator.arm.messages import Json, Request
from emulator.arm.store import Row
from emulator.arm.times import stamp
from emulator.arm.tokens import TENANT_ID

PERMISSIONS = "Microsoft.Authorization/permissions"
DEFINITION = "Microsoft.Authorization/roleDefinitions"
VERSIONS = ("2022-04-01", "2020-10-01-preview", "2018-01-01-preview", "2015-07-01")

ROLES = {
    "7f951dda-4ed3-4680-a7ca-43fe172d538d": "AcrPull",
    "8311e382-0749-4cb8-b61a-304f252e45ec": "AcrPush",
    "5e467623-bb1f-42f4-a55d-6e525e11384b": "Backup Contributor",
    "b24988ac-6180-42a0-ab88-20f7382dd24c": "Contributor",
    "3e5e47e6-65f7-47ef-90b5-e5dd4d455f24": "Disk Backup Reader",
    "b50d9833-a0cb-478e-945f-707fcc997c13": "Disk Restore Operator",
    "7efff54f-a5b4-42b5-a1c5-5411624893ce": "Disk Snapshot Contributor",
    "00482a5a-887f-4fb3-b363-3b7fe8e74483": "Key Vault Administrator",
    "f25e0fa2-a7c8-4377-a976-54943a77a395": "Key Vault Contributor",
    "14b46e9e-c2b7-41b4-b07b-48a6ebf60603": "Key Vault Crypto Officer",
    "e147488a-f6f5-4113-8e2d-b22465e65bf6": "Key Vault Crypto Service Encryption User",
    "12338af0-0e69-4776-bea7-57ae8d297424": "Key Vault Crypto User",
    "21090545-7ca7-4776-b22c-e363652d74d2": "Key Vault Reader",
    "b86a8fe4-44ce-4948-aee5-eccb2c155cd7": "Key Vault Secrets Officer",
    "4633458b-17de-408a-b874-0445c86b69e6": "Key Vault Secrets User",
    "92aaf0da-9dab-42b6-94a3-d43ce8d16293": "Log Analytics Contributor",
    "73c42c96-874c-492b-b04d-ab87d138a893": "Log Analytics Reader",
    "f1a07417-d97a-45cb-824c-7a7467783830": "Managed Identity Operator",
    "749f88d5-cbae-40b8-bcfc-e573ddc772fa": "Monitoring Contributor",
    "3913510d-42f4-4e42-8a64-420c390055eb": "Monitoring Metrics Publisher",
    "4d97b98b-1d4f-4787-a291-c67834d212e7": "Network Contributor",
    "8e3af657-a8ff-443c-a75c-2fe8c4bcb635": "Owner",
    "b12aa53e-6015-4669-85d0-8515ebb3ae7f": "Private DNS Zone Contributor",
    "acdd72a7-3385-48ef-bd42-f606fba81ae7": "Reader",
    "f58310d9-a9f6-439a-9e8d-f62e7b41a168": "Role Based Access Control Administrator",
    "17d1049b-9a84-46fb-8f53-869881c3d3ab": "Storage Account Contributor",
    "ba92f5b4-2d11-453d-a403-e96b0029c9fe": "Storage Blob Data Contributor",
    "b7e6dc6d-f1e8-4753-8033-0f276bb0955b": "Storage Blob Data Owner",
    "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1": "Storage Blob Data Reader",
    "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9": "User Access Administrator",
    "1c0163c0-47e6-4577-8991-ea5c82e286e4": "Virtual Machine Administrator Login",
    "9980e02c-c2be-4d73-94e8-173b1dc7cf3c": "Virtual Machine Contributor",
    "fb879df8-f326-4884-b1cf-06f3ad86be52": "Virtual Machine User Login",
}
"""The built-in roles that are known here, by GUID.

https://learn.microsoft.com/azure/role-based-access-control/built-in-roles
"""

PEOPLE = frozenset({"User", "Group", "ForeignGroup"})
"""Kinds of principal that the emulator's directory does not hold: taken on trust."""


def _compact(guid: str) -> str:
    return guid.replace("-", "").lower()


# Role assignments


def _check_role(write: Write) -> None:
    role = ids.name_of(str(write.properties["roleDefinitionId"])).lower()
    if role not in ROLES:
        raise bad_request(
            "RoleDefinitionDoesNotExist",
            f"The specified role definition with ID '{_compact(role)}' does not exist.",
        )
    subscription = write.id.subscription
    above = f"/subscriptions/{subscription}" if subscription else ""
    write.properties["roleDefinitionId"] = f"{above}/providers/{DEFINITION}/{role}"


def _check_principal(write: Write) -> None:
    """Azure skips this when `principalType` is given, and the assignment then helps nobody (ADR 0023)."""
    principal, kind = str(write.properties["principalId"]), write.properties.get("principalType")
    if ids.GUID.fullmatch(principal) is None:
        raise bad_request(
            "InvalidPrincipalId",
            f"The Principal ID '{principal}' is not valid. Principal ID must be a GUID.",
        )
    owner = principal_owner(write.tx, principal)
    if owner is None and kind in PEOPLE:
        return
    if owner is None:
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
    body = {"properties": {"roleName": ROLES[guid], "type": "BuiltInRole", "assignableScopes": ["/"]}}
    return Row(id=f"{above}/providers/{DEFINITION}/{guid}", type=DEFINITION, body=body, parent=scope)


def _definition_at(_: Context, path: ids.ResourceId) -> Row | None:
    return _definition(path.name.lower(), path.scope) if path.name.lower() in ROLES else None


def _definitions(_: Context, path: ids.ResourceId, request: Request) -> list[Row]:
    """Return the built-in roles; `$filter=roleName eq '...'` chooses one."""
    named = re.search(r"roleName eq '([^']+)'", request.query.get("$filter", ""))
    return [
        _definition(guid, path.scope)
        for guid, role in ROLES.items()
        if named is None or role.lower() == named[1].lower()
    ]


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
    ResourceType(
        name=ASSIGNMENT,
        versions=VERSIONS,
        level=Level.SCOPE,
        place=Place.NONE,
        tags=False,
        provisioning=False,
        names=Names(
            pattern=GUID_NAME,
            minimum=36,
            maximum=36,
            error=lambda name: bad_request(
                "InvalidRoleAssignmentId",
                f"The role assignment ID '{name}' is not valid. The role assignment ID must be a GUID.",
            ),
        ),
        fixed=(
            Fixed(path="properties.principalId", error=_fixed),
            Fixed(path="properties.roleDefinitionId", error=_fixed),
        ),
        check=(_check_role, _check_principal, _claim_guid, _check_single, _complete),
        listing=_applying,
        missing=_missing_assignment,
        seconds=(3, 3),
    ),
    ResourceType(
        name=DEFINITION,
        versions=(*VERSIONS, "2022-05-01-preview"),
        level=Level.SCOPE,
        place=Place.NONE,
        tags=False,
        schema=False,
        provisioning=False,
        creatable=False,
        names=Names(pattern=GUID_NAME, minimum=36, maximum=36),
        methods=frozenset({"GET", "HEAD"}),
        listing=_definitions,
        virtual=_definition_at,
        missing=_missing_definition,
    ),
    listed(PERMISSIONS, ("2022-04-01", "2018-01-01-preview", "2015-07-01"), _permissions, level=Level.SCOPE),
    ResourceType(
        name=LOCK,
        versions=("2020-05-01", "2016-09-01"),
        level=Level.SCOPE,
        place=Place.NONE,
        tags=False,
        provisioning=False,
        names=Names(pattern=r"[A-Za-z0-9._()-]*[A-Za-z0-9_()-]", maximum=90),
        check=(_check_lock,),
        listing=_locks,
        seconds=(3, 3),
    ),
)
