"""Who holds which role where: what other providers ask before they act for a principal."""

from __future__ import annotations

from collections.abc import Collection

from emulator.arm import ids
from emulator.arm.store import Transaction

ASSIGNMENT = "Microsoft.Authorization/roleAssignments"
EFFECTIVE = "effective"
"""The hidden member of an assignment that says from when (seconds since 1970) it has an effect."""
LAG = 60.0
"""Seconds that an assignment typically takes to have an effect."""


def scopes_above(scope: str) -> list[str]:
    """Return a scope and all above it, nearest first: resource, parents, group, subscription."""
    scopes = [scope]
    while (parsed := ids.parse(scopes[-1])) is not None and parsed.parent:
        scopes.append(parsed.parent)
    return scopes


def holds_role(
    tx: Transaction, principal: str, roles: Collection[str], scope: str, *, at: float | None = None
) -> bool:
    """Say whether a principal holds one of these roles (GUIDs) on a scope or above it, in effect by now.

    `at` asks for another time, in seconds since 1970.
    """
    when = tx.now if at is None else at
    return any(
        assignment.properties["principalId"].lower() == principal.lower()
        and ids.name_of(assignment.properties["roleDefinitionId"]).lower() in roles
        and float(assignment.hidden.get(EFFECTIVE, 0)) <= when
        for above in scopes_above(scope)
        for assignment in tx.children(above, ASSIGNMENT)
    )
