"""Who may do what: role assignments of ARM's state, judged by the actions that their roles hold.

Scopes count as in Azure: an assignment on a resource, its group or its subscription reaches everything below.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from azure_types.roles import NAMES
from emulator.datacentre.inventory import Inventory

ASSIGNMENT = "microsoft.authorization/roleassignments"
DEFINITION = "microsoft.authorization/roledefinitions"

_BLOBS = "Microsoft.Storage/storageAccounts/blobServices"


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """What a role allows: actions on ARM's plane and on the data plane, wildcards as in Azure."""

    actions: tuple[str, ...] = ()
    not_actions: tuple[str, ...] = ()
    data_actions: tuple[str, ...] = ()
    not_data_actions: tuple[str, ...] = ()

    def allows(self, action: str, *, data: bool) -> bool:
        """Say whether the role holds an action."""
        granted, refused = (
            (self.data_actions, self.not_data_actions) if data else (self.actions, self.not_actions)
        )
        return _matches(granted, action) and not _matches(refused, action)


_KNOWN = {
    "Storage Blob Data Owner": Role(
        actions=(f"{_BLOBS}/containers/*", f"{_BLOBS}/generateUserDelegationKey/action"),
        data_actions=(f"{_BLOBS}/containers/blobs/*",),
    ),
    "Storage Blob Data Contributor": Role(
        actions=(
            f"{_BLOBS}/containers/delete",
            f"{_BLOBS}/containers/read",
            f"{_BLOBS}/containers/write",
            f"{_BLOBS}/generateUserDelegationKey/action",
        ),
        data_actions=(
            f"{_BLOBS}/containers/blobs/delete",
            f"{_BLOBS}/containers/blobs/read",
            f"{_BLOBS}/containers/blobs/write",
            f"{_BLOBS}/containers/blobs/move/action",
            f"{_BLOBS}/containers/blobs/add/action",
        ),
    ),
    "Storage Blob Data Reader": Role(
        actions=(f"{_BLOBS}/containers/read", f"{_BLOBS}/generateUserDelegationKey/action"),
        data_actions=(f"{_BLOBS}/containers/blobs/read",),
    ),
    "AcrPull": Role(
        actions=("Microsoft.ContainerRegistry/registries/pull/read",),
    ),
    "AcrPush": Role(
        actions=(
            "Microsoft.ContainerRegistry/registries/pull/read",
            "Microsoft.ContainerRegistry/registries/push/write",
        ),
    ),
    "Owner": Role(actions=("*",)),
    "Contributor": Role(
        actions=("*",), not_actions=("Microsoft.Authorization/*/Delete", "Microsoft.Authorization/*/Write")
    ),
    "Reader": Role(actions=("*/read",)),
}
"""The built-in roles that say anything about what the datacentre serves, by name.
https://learn.microsoft.com/azure/role-based-access-control/built-in-roles"""


def permits(inventory: Inventory, principals: frozenset[str], action: str, scope: str, *, data: bool) -> bool:
    """Say whether a caller may do an action on a resource (or below it) by now.

    `principals` are the object ids of the caller and of the groups it is in, lower case.
    """
    return any(role.allows(action, data=data) for role in _roles(inventory, principals, scope))


def _roles(inventory: Inventory, principals: frozenset[str], scope: str) -> Iterable[Role]:
    for assignment in inventory.of_type(ASSIGNMENT):
        properties = assignment.properties
        above = str(properties["scope"]).lower().rstrip("/")
        if (
            str(properties["principalId"]).lower() in principals
            and f"{scope.lower()}/".startswith(above + "/")
            and float(assignment.hidden.get("effective", 0)) <= time.time()
        ):
            yield _role(inventory, properties["roleDefinitionId"])


def _role(inventory: Inventory, definition: str) -> Role:
    name = definition.rsplit("/", 1)[-1].lower()
    custom = next((each for each in inventory.of_type(DEFINITION) if each.name.lower() == name), None)
    if custom is None:
        return _KNOWN.get(NAMES.get(name, ""), Role())
    permissions: list[dict[str, Any]] = custom.properties.get("permissions") or []

    def gather(key: str) -> tuple[str, ...]:
        return tuple(action for permission in permissions for action in permission.get(key) or ())

    return Role(
        actions=gather("actions"),
        not_actions=gather("notActions"),
        data_actions=gather("dataActions"),
        not_data_actions=gather("notDataActions"),
    )


def _matches(patterns: Iterable[str], action: str) -> bool:
    return any(
        re.fullmatch(re.escape(pattern.lower()).replace(r"\*", ".*"), action.lower()) for pattern in patterns
    )
