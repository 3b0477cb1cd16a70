"""What must hold for a door in the settings: one way in, to its own account, for its own people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from federation.naming import PROJECT
from federation.problem import Problem
from federation.violations import NOT_SET, violation

if TYPE_CHECKING:
    from federation.settings import Centre, CentreDoor, Door, Hospital, Settings


def doors_lead_one_way(stack: str, draft: Settings) -> Iterator[Problem]:
    """A hospital's door is an endpoint or a window."""
    for key, door, _ in _hospital_doors(draft):
        if (door.endpoint is None) == (door.window is None):
            yield violation(
                key=key,
                value="endpoint and window" if door.window else "neither endpoint nor window",
                why="a door is one way in, for somebody to look at",
                fix="write endpoint with subnetId and address, or window with address and until",
            )


def doors_are_in_the_partys_subscription(stack: str, draft: Settings) -> Iterator[Problem]:
    """The program may act in the party's own subscription alone, and leaves its own networks closed."""
    for key, door, party in every_door(draft):
        if door.endpoint is None or party.subscription_id is None:
            continue
        own = f"/subscriptions/{party.subscription_id}/".lower()
        for name, found in (("subnetId", door.endpoint.subnet_id), ("zoneId", door.endpoint.zone_id)):
            if found is None:
                continue
            if not found.lower().startswith(own):
                yield violation(
                    key=f"{key}.endpoint.{name}",
                    value=found,
                    why="it is in another subscription, where the federation has no rights",
                    fix=f"make it in {party.subscription_id}, for example as a spoke of your own hub",
                )
            elif f"/resourcegroups/rg-{PROJECT}-{stack}-" in found.lower():
                yield violation(
                    key=f"{key}.endpoint.{name}",
                    value=found,
                    why="it is the federation's own: nobody enters that network, its people neither",
                    fix="name a network that was made without it",
                )


def doors_have_addresses_of_their_own(stack: str, draft: Settings) -> Iterator[Problem]:
    """Verification tells by addresses whose packets it sees."""
    spaces = {"centre": draft.centre.address_space}
    spaces |= {name: hospital.address_space for name, hospital in draft.hospitals.items()}
    for key, door, _ in every_door(draft):
        address = door.endpoint.address if door.endpoint else None
        if address is None:
            continue
        owner = next((name for name, space in spaces.items() if space and address in space), None)
        if owner is not None:
            yield violation(
                key=f"{key}.endpoint.address",
                value=str(address),
                why=f"it is in the range of {owner} ({spaces[owner]}): nobody could tell the two apart",
                fix=f"use a subnet outside {spaces[owner]}",
            )


def doors_are_for_people_of_their_own(stack: str, draft: Settings) -> Iterator[Problem]:
    """Whoever uploads data does not approve the code that runs on them, nor is anybody of another party."""
    holders: dict[str, str] = {}
    parties: list[tuple[str, Centre | Hospital]] = [("centre", draft.centre), *draft.hospitals.items()]
    for name, party in parties:
        if readers := getattr(party.dashboard, "readers", None):
            holders.setdefault(readers, f"the readers of {name}'s dashboard")
    for key, door, _ in every_door(draft):
        for name, group in _groups(door):
            holder = holders.setdefault(group, key) if group else key
            if holder != key:
                yield violation(
                    key=f"{key}.{name}", value=group, why=_same(holder), fix="make a group of their own"
                )
        for name, group in _groups(door)[1:]:
            if group is not None and group == door.people:
                yield violation(
                    key=f"{key}.{name}", value=group, why=_TWICE[name], fix="make a group of their own"
                )


def _groups(door: Door | CentreDoor) -> list[tuple[str, str | None]]:
    """A door's groups by their settings, `people` first."""
    return [(name, getattr(door, name, None)) for name in ("people", *_TWICE)]


def windows_have_a_reason_in_prod(stack: str, draft: Settings) -> Iterator[Problem]:
    """An account with patients' data on the internet, however narrow, is an exception."""
    for key, door, _ in _hospital_doors(draft):
        if draft.environment == "prod" and door.window and door.window.reason is None:
            yield violation(
                key=f"{key}.window.reason",
                value=NOT_SET,
                why="the account answers on the internet, and prod opens nothing that nobody explains",
                fix="write the reason, for example who asked for it; or give the hospital a network",
            )


DOOR_RULES: Final = (
    doors_lead_one_way,
    doors_are_in_the_partys_subscription,
    doors_have_addresses_of_their_own,
    doors_are_for_people_of_their_own,
    windows_have_a_reason_in_prod,
)


def _hospital_doors(draft: Settings) -> Iterator[tuple[str, Door, Hospital]]:
    """Yield the key of each hospital's door, the door, and its hospital."""
    for name, hospital in draft.hospitals.items():
        if hospital.door is not None:
            yield f"fed:hospitals.{name}.door", hospital.door, hospital


def every_door(draft: Settings) -> Iterator[tuple[str, Door | CentreDoor, Centre | Hospital]]:
    """Yield the key of each door, the door, and its party."""
    if draft.centre.door is not None:
        yield "fed:centre.door", draft.centre.door, draft.centre
    yield from _hospital_doors(draft)


_TWICE: Final = {
    "officers": "the same people would upload data and approve the code that runs on them",
    "operators": "the same people would send jobs and decide which hospitals take part",
}
"""What it means when a door's `people` are these as well."""


def _same(holder: str) -> str:
    return f"{holder} has the same group: its people would get in at both"
