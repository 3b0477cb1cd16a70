"""What a teardown must leave because it is a hospital's: the data, and whatever they cannot be kept without.

On Azure nobody but the hospital can look into its account, so every account counts as full. On the emulator
it can be seen whether anything is in there but what `fed up` put there itself (docs/adr/0096).
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from automation.stacks.demonstration import foreign
from automation.stacks.target import Target
from automation.stacks.urns import party_of, type_of
from automation.ui.outcome import QuestionError, RefusedError
from emulator.datacentre.control import Datacentre
from emulator.datacentre.errors import DatacentreError
from federation.naming import DATA_CONTAINER
from federation.parties import CENTRE

State = Mapping[str, Any]
"""A resource in the engine's state."""

_CONTAINER = "azure-native:storage:BlobContainer"
_MACHINE = "azure-native:compute:VirtualMachine"
_HOLDS = {
    _CONTAINER,
    "azure-native:keyvault:Key",
    "azure-native:keyvault:Vault",
    "azure-native:storage:BlobServiceProperties",
    "azure-native:storage:ManagementPolicy",
    "azure-native:storage:StorageAccount",
}


def kept(target: Target, resources: Sequence[State], delete: Collection[str]) -> dict[str, str]:
    """Return the hospitals whose data have to stay, and what is known of them.

    Raises QuestionError when `delete` names a hospital that has nothing in the state, RefusedError when the
    emulator cannot tell whether an account is empty.
    """
    containers = {
        _party(target, each): each
        for each in resources
        if _holds(target, each) and _is(each, _CONTAINER) and str(each["id"]).endswith(f"/{DATA_CONTAINER}")
    }
    if unknown := sorted(set(delete) - containers.keys()):
        known = ", ".join(sorted(containers)) or "none"
        raise QuestionError(
            f"--delete-data names {', '.join(unknown)}; the hospitals with data in {target.name} are: "
            f"{known}. Nothing was deleted"
        )
    asked = {name: str(each["id"]) for name, each in containers.items() if name not in delete}
    if target.emulator is None:
        return dict.fromkeys(asked, "only the hospital can look into it")
    if not Datacentre.has_blobs(target.emulator):
        return {}
    try:
        datacentre = Datacentre.ensure(target.emulator)
        found = {name: foreign(name, datacentre.blobs(container)) for name, container in asked.items()}
    except DatacentreError as error:
        names = " ".join(f"--delete-data {name}" for name in sorted(asked))
        raise RefusedError(
            "nobody can tell what the hospitals have put into their accounts, so nothing was deleted: "
            f"{error}\n"
            f"To delete it unseen: ./fed down {target.name} {names}"
        ) from error
    return {name: _told(blobs) for name, blobs in found.items() if blobs}


def without(target: Target, resources: Sequence[State], hospitals: Collection[str]) -> list[str]:
    """Return the URNs of all resources but those that hold the data of these hospitals, or that these need.

    Of a hospital that has left (it has no VM any more) everything is kept: the data and their records.
    """
    present = {_party(target, each) for each in resources if _is(each, _MACHINE)}
    roots = {
        str(each["urn"])
        for each in resources
        if _party(target, each) in hospitals and (_holds(target, each) or _party(target, each) not in present)
    }
    stay = _needed(resources, roots)
    return [str(each["urn"]) for each in resources if each["urn"] not in stay]


def _holds(target: Target, state: State) -> bool:
    """Say whether a resource is one of those in a hospital's data group that are, or open, its data."""
    group = str((state.get("inputs") or {}).get("resourceGroupName", ""))
    return type_of(state["urn"]) in _HOLDS and _party(target, state) != "" and group.endswith("-data")


def _is(state: State, kind: str) -> bool:
    return type_of(state["urn"]) == kind


def _party(target: Target, state: State) -> str:
    """Return the hospital whose resource it is, empty for the centre's."""
    found = party_of(target.name, state["urn"], str(state.get("provider") or ""), target.hospitals)
    return "" if found == CENTRE else found


def _needed(resources: Sequence[State], roots: Collection[str]) -> set[str]:
    """Return the roots and everything that they depend on."""
    by_urn = {str(each["urn"]): each for each in resources}
    found: set[str] = set()
    open_ends = list(roots)
    while open_ends:
        urn = open_ends.pop()
        if urn not in found and urn in by_urn:
            found.add(urn)
            open_ends += _depends_on(by_urn[urn])
    return found


def _depends_on(state: State) -> list[str]:
    provider = str(state.get("provider") or "").rpartition("::")[0]
    by_property = state.get("propertyDependencies") or {}
    named = [state.get("parent"), provider, state.get("deletedWith"), *(state.get("dependencies") or ())]
    return [
        str(urn) for urn in (*named, *(urn for urns in by_property.values() for urn in urns or ())) if urn
    ]


def _told(blobs: Sequence[str]) -> str:
    more = f" and {len(blobs) - 3} more" if len(blobs) > 3 else ""
    return f"{', '.join(blobs[:3])}{more}"
