"""What must hold where an organisation's own private DNS zones name what parties reach (docs/adr/0017)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from federation.door_rules import every_door
from federation.naming import PROJECT
from federation.problem import Problem
from federation.violations import violation

if TYPE_CHECKING:
    from federation.settings import Settings


def zones_are_used(stack: str, draft: Settings) -> Iterator[Problem]:
    """Zones that nobody writes to are a mistake about who names things."""
    if draft.network.zones is not None and draft.network.dns == "own":
        yield violation(
            key="fed:network.zones",
            value="(set)",
            why="dns is own: each party would get zones of its own, and these no record",
            fix="write dns: existing next to them, or take them out",
        )


def zones_are_the_organisations(stack: str, draft: Settings) -> Iterator[Problem]:
    """The program makes no such zone where others are to be used, and deletes what it had made."""
    for name, zone_id in vars(draft.network.zones).items() if draft.network.zones else ():
        if zone_id is not None and f"/resourcegroups/rg-{PROJECT}-{stack}-" in zone_id.lower():
            yield violation(
                key=f"fed:network.zones.{name}",
                value=zone_id,
                why="it is one of the federation's own, which dns: existing takes away",
                fix="name the zone that your organisation keeps for everybody",
            )


def doors_have_zones_apart(stack: str, draft: Settings) -> Iterator[Problem]:
    """In a zone an account has one record: of two endpoints, the later one's.

    https://learn.microsoft.com/azure/private-link/private-endpoint-dns
    """
    if draft.network.dns != "existing":
        return
    shared = draft.network.zones.blob if draft.network.zones else None
    for key, door, _ in every_door(draft):
        endpoint = door.endpoint
        if endpoint is None or (endpoint.zone_id and endpoint.zone_id.lower() != (shared or "").lower()):
            continue
        yield violation(
            key=f"{key}.endpoint.zoneId",
            value=endpoint.zone_id,
            why="in your zones the account's name leads to the endpoint of its VM, or to the door's for "
            "everybody, and with dns: existing the program makes no other zone",
            fix="name a zone that only the network of the door is linked to, or open a window instead",
        )


ZONE_RULES: Final = (zones_are_used, zones_are_the_organisations, doors_have_zones_apart)
