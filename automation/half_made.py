"""Removes what a killed engine left half made on the emulator and what no state knows of.

A deployment that runs again takes up its interrupted creates by itself (docs/adr/0033). What it no longer
wants, and everything when the stack is taken down, would stay and stand in the way: a network with an unknown
interface in it cannot be deleted.
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from automation.outcome import FedError
from automation.parties import type_of
from emulator.control import Emulator
from emulator.plugins.azure_native import shapes

_PATIENCE = 30.0
_PAUSE = 0.1


@dataclass(frozen=True)
class HalfMade:
    """A resource whose create was under way; `id` and `version` (of the API) are for Resource Manager."""

    urn: str
    id: str
    version: str


def half_made(deployment: Mapping[str, Any]) -> list[HalfMade]:
    """Return the resources of Azure whose creates an exported state says were under way."""
    subscriptions = {
        f"{resource['urn']}::{resource['id']}": resource["inputs"].get("subscriptionId", "")
        for resource in deployment.get("resources") or ()
        if type_of(resource["urn"]) == "pulumi:providers:azure-native"
    }
    found = []
    for operation in deployment.get("pending_operations") or ():
        resource = operation["resource"]
        shape = shapes.find(resource["type"])
        if operation["type"] == "creating" and shape and not shape.singleton:
            subscription = subscriptions[resource["provider"]]
            id_ = shape.resource_id(subscription, resource.get("inputs") or {})
            found.append(HalfMade(resource["urn"], id_, shape.version))
    return found


def discard(emulator: Emulator, leftovers: Iterable[HalfMade]) -> None:
    """Delete resources from the emulator, in whatever order they let themselves be deleted.

    Raises FedError when one is still there after 30 s.
    """
    left = list(leftovers)
    until = time.monotonic() + _PATIENCE
    while left:
        answers = {item: emulator.arm("DELETE", item.id, api_version=item.version) for item in left}
        left = [item for item, answer in answers.items() if answer.status_code not in {204, 404}]
        if left and time.monotonic() > until:
            told = "\n".join(
                f"- {item.id}: {answers[item].text or answers[item].status_code}" for item in left
            )
            raise FedError(f"a killed run left these resources half made and they cannot be deleted:\n{told}")
        if left:
            time.sleep(_PAUSE)
