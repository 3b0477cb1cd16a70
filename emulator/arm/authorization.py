"""Microsoft.Authorization: role assignments, the built-in roles, and management locks."""

from __future__ import annotations

import datetime as dt

from emulator.arm import ids
from emulator.arm.catalogue import GUID_NAME, Fixed, Level, Names, Place, ResourceType
from emulator.arm.errors import ArmError, bad_request, conflict
from emulator.arm.identities import principal_owner
from emulator.arm.locks import LOCK
from emulator.arm.messages import Json, Request
from emulator.arm.store import Row
from emulator.arm.tokens import TENANT_ID
from emulator.arm.writes import Context, Write

ASSIGNMENT = "Microsoft.Authorization/roleAssignments"
DEFINITION = "Microsoft.Authorization/roleDefinitions"
VERSIONS = ("2022-04-01", "2020-10-01-preview", "2018-01-01-preview", "2015-07-01")

ROLES = {
    "7f951dda-4ed3-4680-a7ca-43fe172d538d": "AcrPull",
    "8311e382-0749-4cb8-b61a-304f252e45ec": "AcrPush",
    "b24988ac-6180-42a0-ab88-20f7382dd24c": "Contributor",
    "3e5e47e6-65f7-47ef-90b5-e5dd4d455f24": "Disk Backup Reader",
    "b50d9833-a0cb-478e-945f-707fcc997c13": "Disk Restore Operator",
    "7efff54f-a5b4-42b5-a1c5-5411624893ce": "Disk Snapshot Contributor",
    "00482a5a-887f-4fb3-b363-3b7fe8e74483": "Key Vault Administrator",
    "f25e0fa2-a7c8-4377-a976-54943a77a395": "Key Vault Contributor",
    "e147488a-f6f5-4113-8e2d-b22465e65bf6": "Key Vault Crypto Service Encryption User",
    "12338af0-0e69-4776-bea7-57ae8d297424": "Key Vault Crypto User",
    "b86a8fe4-44ce-4948-aee5-eccb2c155cd7": "Key Vault Secrets Officer",
    "4633458b-17de-408a-b874-0445c86b69e6": "Key Vault Secrets User",
    "749f88d5-cbae-40b8-bcfc-e573ddc772fa": "Monitoring Contributor",
    "3913510d-42f4-4e42-8a64-420c390055eb": "Monitoring Metrics Publisher",
    "4d97b98b-1d4f-4787-a291-c67834d212e7": "Network Contributor",
    "8e3af657-a8ff-443c-a75c-2fe8c4bcb635": "Owner",
    "acdd72a7-3385-48ef-bd42-f606fba81ae7": "Reader",
    "f58310d9-a9f6-439a-9e8d-f62e7b41a168": "Role Based Access Control Administrator",
    "17d1049b-9a84-46fb-8f53-869881c3d3ab": "Storage Account Contributor",
    "ba92f5b4-2d11-453d-a403-e96b0029c9fe": "Storage Blob Data Contributor",
    "b7e6dc6d-f1e8-4753-8033-0f276bb0955b": "Storage Blob Data Owner",
    "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1": "Storage Blob Data Reader",
    "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9": "User Access Administrator",
    "9980e02c-c2be-4d73-94e8-173b1dc7cf3c": "Virtual Machine Contributor",
}
"""The built-in roles that are known here
(https://learn.microsoft.com/azure/role-based-access-control/built-in-roles)."""


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
    """Azure skips this when `principalType` is given, and the assignment then helps nobody."""
    principal = str(write.properties["principalId"])
    if principal_owner(write.tx, principal) is None:
        raise bad_request(
            "PrincipalNotFound",
            f"Principal {_compact(principal)} does not exist in the directory {TENANT_ID}. Check that you "
            "have the correct principal ID. If you are creating this principal and then immediately "
            "assigning a role, this error might be related to a replication delay. In this case, set the "
            "role assignment principalType property to a value, such as ServicePrincipal, User, or Group.",
        )
    kind = write.properties.setdefault("principalType", "ServicePrincipal")
    if kind != "ServicePrincipal":
        raise bad_request(
            "UnmatchedPrincipalType",
            f"The PrincipalId '{_compact(principal)}' has type 'ServicePrincipal' , which is different from "
            f"specified PrinciaplType '{kind}'.",
        )


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
    now = dt.datetime.now(dt.UTC).isoformat().replace("+00:00", "Z")
    caller = write.context.caller.object_id
    write.properties["scope"] = write.id.scope or "/"
    write.settle("properties.createdOn", now)
    write.settle("properties.createdBy", caller)
    write.properties["updatedOn"], write.properties["updatedBy"] = now, caller


def _definitions(context: Context, path: ids.ResourceId, request: Request) -> list[Row]:
    """The built-in roles; `$filter=roleName eq '...'` chooses one."""
    del context
    wanted = request.query.get("$filter", "").partition("roleName eq ")[2].strip("' ")
    return [
        Row(
            id=f"{path.scope}/providers/{DEFINITION}/{guid}",
            type=DEFINITION,
            body=_definition(role),
            parent=path.scope,
        )
        for guid, role in ROLES.items()
        if not wanted or role.lower() == wanted.lower()
    ]


def _definition(role: str) -> Json:
    return {"properties": {"roleName": role, "type": "BuiltInRole", "assignableScopes": ["/"]}}


# Locks


def _check_lock(write: Write) -> None:
    if write.properties.get("level") not in {"CanNotDelete", "ReadOnly"}:
        raise bad_request("InvalidLockLevel", "The level of a lock is CanNotDelete or ReadOnly.")


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
        listing=_definitions,
    ),
    ResourceType(
        name=LOCK,
        versions=("2020-05-01", "2016-09-01"),
        level=Level.SCOPE,
        place=Place.NONE,
        tags=False,
        provisioning=False,
        names=Names(pattern=r"[A-Za-z0-9._()-]*[A-Za-z0-9_()-]", maximum=90),
        check=(_check_lock,),
        seconds=(3, 3),
    ),
)
