"""What a run does about a peering that somebody cut (docs/adr/0014)."""

from types import SimpleNamespace
from typing import Any

import pytest

from automation.stacks.arm import Answer
from automation.stacks.recovery import peerings
from automation.ui.outcome import FedError, QuestionError, RefusedError

HUB = "/subscriptions/0/resourceGroups/rg/providers/Microsoft.Network/virtualNetworks/hub"


def from_centre(hospital: str) -> str:
    return f"{HUB}/virtualNetworkPeerings/peer-fed-dev-centre-{hospital}"


def from_hospital(hospital: str) -> str:
    return f"/subscriptions/{hospital}/virtualNetworkPeerings/peer-fed-dev-{hospital}-centre"


def peering(hospital: str, *, deployed: bool = True) -> list[dict[str, Any]]:
    """A peering's component and halves, as they stand in a state."""
    mark = "urn:pulumi:dev::fed::fed:components:HubSpokePeering"
    urn = f"{mark}::peering-fed-dev-{hospital}"
    ids = {"fromHospital": from_hospital(hospital), "fromCentre": from_centre(hospital)}
    half = f"{mark}$azure-native:network:VirtualNetworkPeering::peer-fed-dev-"
    return [
        {"urn": urn, "outputs": ids if deployed else {}},
        {"urn": f"{half}{hospital}-centre", "parent": urn, "outputs": {}},
        {"urn": f"{half}centre-{hospital}", "parent": urn, "outputs": {}},
    ]


class Azure:
    """The centre's network, with the state of each of its halves; notes what is deleted."""

    def __init__(self, **states: str) -> None:
        self.states = states
        self.refuses = False
        self.deleted: list[str] = []

    def get(self, path: str, version: str) -> Answer:
        assert path == f"{HUB}/virtualNetworkPeerings"
        value = [
            {"id": from_centre(name).upper(), "properties": {"peeringState": state}}
            for name, state in self.states.items()
        ]
        return Answer(status=200, body={"value": value})

    def delete(self, path: str, version: str) -> Answer:
        self.deleted.append(path)
        error = {"error": {"code": "AuthorizationFailed", "message": "no"}}
        return Answer(status=403, body=error) if self.refuses else Answer(status=404, body={})


def target(azure: Azure, *, emulated: bool = False) -> Any:
    emulator = object() if emulated else None
    return SimpleNamespace(
        name="dev", hospitals=("cleveland", "hungary"), arm=lambda: azure, emulator=emulator
    )


RESOURCES = [*peering("cleveland"), *peering("hungary")]


@pytest.mark.parametrize("state", ["Disconnected", None], ids=["hospital's half", "centre's half"])
def test_one_that_lost_a_half_stays_cut_until_its_hospital_is_named(
    state: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    azure = Azure(cleveland="Connected", **({"hungary": state} if state else {}))
    there = target(azure)
    assert peerings.to_make_again(there, RESOURCES, named=(), killed=True, refresh=False) == []
    told = " ".join(capsys.readouterr().err.split())
    assert "hungary is cut off" in told and "./fed up dev --on azure --reconnect hungary" in told
    assert "cleveland" not in told

    (again,) = peerings.to_make_again(
        there, RESOURCES, named=("hungary", "cleveland"), killed=False, refresh=False
    )
    assert again.urns == tuple(one["urn"] for one in peering("hungary")[1:])
    peerings.delete_what_is_left(there, [again])
    assert azure.deleted == [from_centre("hungary"), from_hospital("hungary")]


def test_one_that_a_killed_run_on_the_emulator_cut_is_made_again() -> None:
    azure = Azure(cleveland="Connected")
    there = target(azure, emulated=True)
    (again,) = peerings.to_make_again(there, RESOURCES, named=(), killed=True, refresh=False)
    assert again.hospital == "hungary"


def test_on_the_emulator_the_fix_is_for_the_emulator(capsys: pytest.CaptureFixture[str]) -> None:
    there = target(Azure(cleveland="Connected"), emulated=True)
    assert peerings.to_make_again(there, RESOURCES, named=(), killed=False, refresh=False) == []
    assert "./fed up dev --reconnect hungary" in " ".join(capsys.readouterr().err.split())


def test_one_that_waits_for_its_second_half_or_was_never_whole_is_not_cut() -> None:
    azure = Azure(cleveland="Initiated")
    assert peerings.cut(target(azure), [*peering("cleveland"), *peering("hungary", deployed=False)]) == []


def test_ids_that_the_engine_did_not_know_are_not_looked_for() -> None:
    """After a failed update that went on with what it could, the state has its mark for them."""
    unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
    component, *halves = peering("cleveland")
    component["outputs"] = {"fromHospital": unknown, "fromCentre": unknown}
    assert peerings.cut(target(Azure(cleveland="Connected")), [component, *halves]) == []


def test_a_name_that_is_no_hospitals_is_refused() -> None:
    with pytest.raises(QuestionError, match="basel"):
        peerings.to_make_again(target(Azure()), [], named=("basel",), killed=False, refresh=False)


def test_what_azure_refuses_to_delete_is_said_with_the_fix() -> None:
    azure = Azure()
    azure.refuses = True
    with pytest.raises(FedError, match=r"AuthorizationFailed(.|\n)*Fix: delete it in the portal"):
        peerings.delete_what_is_left(target(azure), peerings.cut(target(azure), RESOURCES))


def test_a_refresh_makes_no_peering_again_that_nobody_named() -> None:
    azure = Azure(hungary="Disconnected", cleveland="Connected")
    with pytest.raises(RefusedError, match=r"hungary is cut off[\s\S]*Fix: ask the hospital"):
        peerings.to_make_again(target(azure), RESOURCES, named=(), killed=False, refresh=True)
    (again,) = peerings.to_make_again(
        target(azure), RESOURCES, named=("hungary",), killed=False, refresh=True
    )
    assert again.hospital == "hungary"
