"""Removes from the emulator what a killed run made and no state knows of.

The engine saves an emulated state at its end only (`NO_CHECKPOINTS`), so what a killed run had made is
unknown to Pulumi. It is taken away before the next run begins. To adopt it would not do: random suffixes of
names are lost with the state, and what bears the old ones would stay and stand in the way (Azure, and so the
emulator, refuses a role assignment that exists at another scope).
"""

import sqlite3
from collections.abc import Collection, Sequence
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus

from pulumi.automation import Stack

from automation.stacks.arm import Arm, of_emulator
from automation.stacks.urns import type_of
from automation.ui.outcome import FedError
from azure_types.types import find
from clone import paths
from emulator.control import Emulator
from federation.naming import PROJECT


@dataclass(frozen=True)
class HalfMade:
    """A resource that no state knows of; `version` is that of the API which deletes it."""

    urn: str
    id: str
    version: str


def roll_back(emulator: Emulator, stack: Stack) -> list[HalfMade]:
    """Delete what no state knows of; return what refuses because something in the state still needs it."""
    return _discard(emulator, half_made(emulator, stack))


def clear(emulator: Emulator, stack: Stack, left: Collection[HalfMade]) -> None:
    """Delete what `roll_back` had to leave, now that another run has ended; what that adopted stays.

    Raises FedError when a resource still refuses.
    """
    if left := _discard(emulator, [item for item in half_made(emulator, stack) if item in left]):
        told = "\n".join(f"- {item.id}" for item in left)
        raise FedError(
            f"a killed run left these resources, and Resource Manager refuses to delete them:\n{told}"
        )


def half_made(emulator: Emulator, stack: Stack) -> list[HalfMade]:
    """Return what was made on the emulator for a stack (the daemon notes it) and is not in its state.

    Resource groups come first: they take along what is in them.
    """
    file = emulator.home / paths.emulator().relative_to(paths.home()) / "creations.sqlite"
    resources = (stack.export_stack().deployment or {}).get("resources") or ()
    known = {str(resource.get("id", "")).lower() for resource in resources}
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
        made = database.execute("SELECT id, urn FROM creations ORDER BY length(id)").fetchall()
    prefix = f"urn:pulumi:{stack.name}::{PROJECT}::"
    found = []
    for id_, urn in made:
        type_ = find(type_of(urn))
        if urn.startswith(prefix) and id_ not in known and type_ and not type_.singleton:
            found.append(HalfMade(urn, id_, type_.version))
    return found


def _discard(emulator: Emulator, leftovers: Sequence[HalfMade]) -> list[HalfMade]:
    """Delete resources from the emulator in whatever order they let themselves be deleted.

    Returns those that refuse because something else still needs them.
    """
    left = list(leftovers)
    if not left:
        return left
    arm = of_emulator(emulator)
    while left:
        refused = [item for item in left if not _delete(arm, item)]
        if len(refused) == len(left):
            break
        left = refused
    return left


def _delete(arm: Arm, item: HalfMade) -> bool:
    """Delete one resource; return whether it is gone."""
    answer = arm.delete(item.id, item.version)
    return not answer.is_error or answer.status == HTTPStatus.NOT_FOUND
