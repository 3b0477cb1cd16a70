"""Managed identities on resources: the `identity` member of a body, and the directory of principals."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from emulator.arm import ids
from emulator.arm.errors import ArmError, bad_request
from emulator.arm.messages import Json
from emulator.arm.refusals import linked_authorization_failed
from emulator.arm.store import Transaction
from emulator.arm.tokens import DEPLOYER_OBJECT_ID, TENANT_ID

if TYPE_CHECKING:
    from emulator.arm.context import Write

USER_ASSIGNED = "Microsoft.ManagedIdentity/userAssignedIdentities"
LINK = "identity.userAssignedIdentities"
_SPACE = "principal"


def register_principal(tx: Transaction, principal: str, owner: str) -> None:
    """Enter a principal in the directory."""
    tx.claim(_SPACE, principal, owner)


def principal_owner(tx: Transaction, principal: str) -> str | None:
    """Return the key of the resource behind a principal ('deployer' for the deployer's), None when
    unknown."""
    if principal.lower() == DEPLOYER_OBJECT_ID:
        return "deployer"
    return tx.claimed(_SPACE, principal)


def assign_identities(write: Write) -> None:
    """Check the `identity` of a body and complete it with what Azure answers of each identity."""
    wanted = write.body.get("identity")
    if wanted is None:
        return
    kinds = {kind.strip() for kind in str(wanted.get("type") or "None").split(",")}
    if not kinds <= {"None", "SystemAssigned", "UserAssigned"}:
        raise bad_request(
            "InvalidIdentityType", f"The identity type '{wanted.get('type')}' is not supported."
        )
    named = wanted.get("userAssignedIdentities") or {}
    kept = [identifier for identifier, value in named.items() if value is not None]
    if kept and "UserAssigned" not in kinds:
        raise bad_request(
            "InvalidIdentityValues",
            "The 'identity.userAssignedIdentities' property is only allowed with identity type "
            "'UserAssigned'.",
        )
    if "UserAssigned" in kinds and not kept:
        raise bad_request(
            "InvalidIdentityValues",
            "The 'identity.userAssignedIdentities' property keys must name at least one identity for type "
            f"'{wanted.get('type')}'.",
        )
    answer: Json = {"type": wanted.get("type") or "None"}
    if "SystemAssigned" in kinds:
        before = write.before("identity.principalId")
        answer["principalId"] = before or str(uuid.uuid4())
        answer["tenantId"] = TENANT_ID
        register_principal(write.tx, answer["principalId"], write.id.key)
    if kept:
        answer["userAssignedIdentities"] = {identifier: _look_up(write, identifier) for identifier in kept}
    write.body["identity"] = answer


def _look_up(write: Write, identifier: str) -> Json:
    parsed = ids.parse(identifier)
    row = write.tx.get(identifier)
    if parsed is None or row is None or row.type != USER_ASSIGNED:
        raise _identity_failed(write, f"Resource '{identifier}' was not found.")
    if not write.context.caller.may_use(parsed.subscription):
        right = f"{USER_ASSIGNED}/assign/action"
        raise linked_authorization_failed(write.context.caller, write.type, write.id, right, identifier)
    return {
        "principalId": row.properties["principalId"],
        "clientId": row.properties["clientId"],
    }


def _identity_failed(write: Write, reason: str) -> ArmError:
    return bad_request(
        "FailedIdentityOperation",
        f"Identity operation for resource '{write.id.path}' failed with error 'Failed to perform resource "
        "identity "
        f"operation. Status: 'BadRequest'. Response: '{reason}''.",
    )
