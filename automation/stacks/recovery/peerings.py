"""Peerings that somebody cut by deleting one half, and how they are made whole again (docs/adr/0014).

Azure calls the half that is left Disconnected, for good, and refuses to make the other one meanwhile
(RemotePeeringIsDisconnected, https://github.com/hashicorp/terraform-provider-azurerm/issues/14051); Pulumi's
state knows both and sees nothing to do. So what is left is deleted, and the deployment makes both again.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from automation.stacks.target import Target
from automation.stacks.urns import party_of, type_of
from automation.ui.console import say, warn
from automation.ui.outcome import FedError, QuestionError, RefusedError

COMPONENT: Final = "fed:components:HubSpokePeering"
_HALF: Final = "azure-native:network:VirtualNetworkPeering"
_VERSION: Final = "2024-05-01"


@dataclass(frozen=True, kw_only=True)
class CutPeering:
    """A peering without one half or both: the ids of both, and the URNs of those that the state knows."""

    hospital: str
    from_hospital: str
    from_centre: str
    urns: tuple[str, ...]


def to_make_again(
    target: Target,
    resources: Collection[Mapping[str, Any]],
    *,
    named: Collection[str],
    killed: bool,
    refresh: bool,
) -> list[CutPeering]:
    """Return the cut peerings that this run is to make whole; warn of the others.

    These are the ones of the hospitals `named`, and all where a killed run on the emulator may have cut them.
    Raises QuestionError for a name that is no hospital's, RefusedError where a `refresh` would make one whole
    that nobody named.
    """
    if unknown := sorted(set(named) - set(target.hospitals)):
        raise QuestionError(
            f"--reconnect {unknown[0]}: {target.name} has no such hospital. Nothing was done."
        )
    again = []
    on = " --on azure" if target.emulator is None else ""
    for peering in cut(target, resources):
        if peering.hospital in named or (killed and target.emulator):
            again.append(peering)
        elif refresh:
            raise RefusedError(
                f"{peering.hospital} is cut off: a half of its peering was deleted, not from here, and a "
                "refresh would make it again: a hospital may stop all traffic at any time (hospital.md)\n"
                f"Fix: ask the hospital, then add --reconnect {peering.hospital}; or leave --refresh out. "
                "Nothing was deployed."
            )
        else:
            warn(
                f"{peering.hospital} is cut off: a half of its peering was deleted, not from here. It stays "
                "so, because a hospital may stop all traffic at any time (docs/hospital.md). Fix: ask the "
                f"hospital, then ./fed up {target.name}{on} --reconnect {peering.hospital}"
            )
    return again


def cut(target: Target, resources: Collection[Mapping[str, Any]]) -> list[CutPeering]:
    """Return the peerings in a stack's state of which Azure lacks a half.

    The centre's network alone is asked: its half is gone, or Disconnected because the hospital's is. Raises
    FedError when Azure does not show it.
    """
    pairs = [pair for one in resources if (pair := _pair(target, one, resources))]
    states = _states(target, {_network(pair) for pair in pairs})
    return [pair for pair in pairs if states.get(pair.from_centre.lower()) in {None, "Disconnected"}]


def delete_what_is_left(target: Target, peerings: Iterable[CutPeering]) -> None:
    """Delete the half that is left of each; raise FedError when Azure refuses."""
    for peering in peerings:
        say(f"{peering.hospital}: both halves of its peering are made again")
        for half in (peering.from_centre, peering.from_hospital):
            answer = target.arm().delete(half, _VERSION)
            if answer.is_error and answer.status != HTTPStatus.NOT_FOUND:
                raise FedError(
                    f"{half}: Azure refused to delete what is left of a peering, and makes neither half "
                    f"before: {answer.error}\nFix: delete it in the portal, then run this again."
                )


def _pair(
    target: Target, component: Mapping[str, Any], resources: Iterable[Mapping[str, Any]]
) -> CutPeering | None:
    """Return the peering of a component in the state; None where its deployment did not get as far as both
    ids: there may be none, or the engine's mark for what it does not know (after a failed update).
    """
    urn, ids = component["urn"], component.get("outputs") or {}
    halves = [str(ids.get(half, "")) for half in ("fromHospital", "fromCentre")]
    if type_of(urn) != COMPONENT or not all(half.startswith("/subscriptions/") for half in halves):
        return None
    return CutPeering(
        hospital=party_of(target.name, urn, "", target.hospitals),
        from_hospital=ids["fromHospital"],
        from_centre=ids["fromCentre"],
        urns=tuple(
            one["urn"] for one in resources if type_of(one["urn"]) == _HALF and one.get("parent") == urn
        ),
    )


def _network(peering: CutPeering) -> str:
    """Return the id of the list in which the centre's half stands."""
    return peering.from_centre.rpartition("/")[0]


def _states(target: Target, lists: Collection[str]) -> dict[str, str]:
    """Return the state of every peering in these lists, by its id in lower case."""
    found: dict[str, str] = {}
    for peerings in lists:
        answer = target.arm().get(peerings, _VERSION)
        if answer.is_error and answer.status != HTTPStatus.NOT_FOUND:
            raise FedError(f"{peerings}: Azure refused to list the peerings: {answer.error}")
        found |= {
            one["id"].lower(): one["properties"]["peeringState"] for one in answer.body.get("value", ())
        }
    return found
