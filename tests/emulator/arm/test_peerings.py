"""Peerings: states, address spaces, and what becomes of a half whose other half goes."""

from typing import Any

import pytest

from emulator.arm.tokens import Caller
from tests.emulator.arm_client import GROUP, OTHER_SUBSCRIPTION, Arm, said

HUB = f"{GROUP}/providers/Microsoft.Network/virtualNetworks/hub"
SPOKE_GROUP = f"{OTHER_SUBSCRIPTION}/resourceGroups/spoke"
SPOKE = f"{SPOKE_GROUP}/providers/Microsoft.Network/virtualNetworks/spoke"
THIRD = f"{SPOKE_GROUP}/providers/Microsoft.Network/virtualNetworks/third"
TO_SPOKE = f"{HUB}/virtualNetworkPeerings/to-spoke"
TO_HUB = f"{SPOKE}/virtualNetworkPeerings/to-hub"


def network(space: str) -> dict[str, Any]:
    return {"location": "westeurope", "properties": {"addressSpace": {"addressPrefixes": [space]}}}


def peering(remote: str, **properties: Any) -> dict[str, Any]:
    return {"properties": {"remoteVirtualNetwork": {"id": remote}, **properties}}


@pytest.fixture(autouse=True)
def _networks(arm: Arm) -> None:
    arm.put(SPOKE_GROUP, {"location": "westeurope"})
    arm.put(HUB, network("10.0.0.0/24"))
    arm.put(SPOKE, network("10.1.0.0/24"))


def state(arm: Arm, path: str) -> str:
    found: str = arm.get(path)["properties"]["peeringState"]
    return found


def connect(arm: Arm) -> None:
    arm.put(TO_SPOKE, peering(SPOKE))
    arm.put(TO_HUB, peering(HUB))


def test_halves_are_initiated_then_connected(arm: Arm) -> None:
    """As recorded by Azure/azure-service-operator, Networking_VirtualNetworkPeering_20240301_CRUD."""
    first = arm.put(TO_SPOKE, peering(SPOKE))["properties"]
    assert (first["peeringState"], first["peeringSyncLevel"]) == ("Initiated", "RemoteNotInSync")
    assert arm.put(TO_HUB, peering(HUB))["properties"]["peeringState"] == "Connected"
    assert state(arm, TO_SPOKE) == "Connected"
    shown = arm.get(TO_SPOKE)["properties"]
    assert shown["remoteAddressSpace"] == {"addressPrefixes": ["10.1.0.0/24"]}
    assert shown["peeringSyncLevel"] == "FullyInSync"
    assert shown["allowForwardedTraffic"] is False


def test_a_half_whose_other_half_goes_is_disconnected(arm: Arm) -> None:
    connect(arm)
    arm.delete(TO_HUB)
    assert state(arm, TO_SPOKE) == "Disconnected"


def test_a_half_whose_remote_network_goes_is_disconnected(arm: Arm) -> None:
    connect(arm)
    arm.delete(SPOKE)
    assert state(arm, TO_SPOKE) == "Disconnected"


def test_a_disconnected_half_forbids_the_other_until_it_is_written_again(arm: Arm) -> None:
    connect(arm)
    arm.delete(TO_HUB)
    assert arm.refusal(TO_HUB, peering(HUB)).startswith(
        f"RemotePeeringIsDisconnected: Cannot create or update peering {TO_HUB} because remote peering "
        f"{TO_SPOKE}"
    )
    assert arm.put(TO_SPOKE, peering(SPOKE))["properties"]["peeringState"] == "Initiated"
    assert arm.put(TO_HUB, peering(HUB))["properties"]["peeringState"] == "Connected"


def test_a_disconnected_half_forbids_the_other_until_it_is_deleted(arm: Arm) -> None:
    connect(arm)
    arm.delete(TO_HUB)
    arm.delete(TO_SPOKE)
    assert arm.put(TO_HUB, peering(HUB))["properties"]["peeringState"] == "Initiated"


def test_overlapping_networks_cannot_be_peered(arm: Arm) -> None:
    arm.put(THIRD, network("10.0.0.128/25"))
    assert arm.refusal(TO_SPOKE, peering(THIRD)).startswith("VnetAddressSpacesOverlap")


def test_a_network_that_overlaps_with_a_peer_cannot_be_peered(arm: Arm) -> None:
    arm.put(THIRD, network("10.1.0.0/25"))
    connect(arm)
    for path, remote in (
        (f"{HUB}/virtualNetworkPeerings/x", THIRD),
        (f"{THIRD}/virtualNetworkPeerings/x", HUB),
    ):
        assert arm.refusal(path, peering(remote)).startswith("VnetAddressSpaceOverlapsWithAlreadyPeeredVnet")


def test_a_stale_disconnected_peering_still_counts(arm: Arm) -> None:
    connect(arm)
    arm.delete(SPOKE)
    arm.put(THIRD, network("10.1.0.0/24"))
    path = f"{HUB}/virtualNetworkPeerings/x"
    assert arm.refusal(path, peering(THIRD)).startswith("VnetAddressSpaceOverlapsWithAlreadyPeeredVnet")


def test_a_pair_is_peered_once(arm: Arm) -> None:
    connect(arm)
    assert arm.refusal(f"{HUB}/virtualNetworkPeerings/again", peering(SPOKE)).startswith(
        "AnotherPeeringAlreadyReferencesRemoteVnet"
    )


def test_the_remote_network_of_a_half_is_fixed(arm: Arm) -> None:
    arm.put(THIRD, network("10.2.0.0/24"))
    connect(arm)
    assert arm.refusal(TO_SPOKE, peering(THIRD)).startswith("ChangingRemoteVirtualNetworkNotAllowed")


def test_the_remote_network_exists(arm: Arm) -> None:
    assert arm.refusal(TO_SPOKE, peering(THIRD)).startswith("InvalidResourceReference")


def test_no_network_is_its_own_peer(arm: Arm) -> None:
    assert arm.refusal(TO_SPOKE, peering(HUB)).startswith("InvalidRemoteVirtualNetwork")


def test_there_are_no_remote_gateways(arm: Arm) -> None:
    assert arm.refusal(TO_SPOKE, peering(SPOKE, useRemoteGateways=True)).startswith("RemoteVnetHasNoGateways")


def test_a_grown_network_is_out_of_sync_until_the_peering_is_written_again(arm: Arm) -> None:
    connect(arm)
    grown = {"location": "westeurope", "properties": {"addressSpace": {"addressPrefixes": ["10.1.0.0/23"]}}}
    body = arm.get(SPOKE)
    grown["properties"]["virtualNetworkPeerings"] = body["properties"]["virtualNetworkPeerings"]  # type: ignore[index]
    arm.put(SPOKE, grown)
    assert arm.get(TO_SPOKE)["properties"]["peeringSyncLevel"] == "LocalNotInSync"
    assert arm.get(TO_HUB)["properties"]["peeringSyncLevel"] == "RemoteNotInSync"
    arm.put(TO_SPOKE, peering(SPOKE))
    assert arm.get(TO_HUB)["properties"]["peeringSyncLevel"] == "FullyInSync"


def test_a_network_cannot_grow_into_its_peer(arm: Arm) -> None:
    connect(arm)
    assert arm.refusal(SPOKE, network("10.0.0.0/23")).startswith(
        "VnetAddressSpaceOverlapsWithAlreadyPeeredVnet"
    )


def test_a_caller_without_rights_on_the_remote_network_is_refused(arm: Arm) -> None:
    own = OTHER_SUBSCRIPTION.rsplit("/", 1)[-1]
    hospital = arm.as_caller(Caller(subscriptions=frozenset({own})))
    answer = hospital("PUT", TO_HUB, peering(HUB))
    assert answer.status == 403
    assert said(answer).startswith("LinkedAuthorizationFailed")
    assert "Microsoft.Network/virtualNetworks/peer/action" in said(answer)
    assert said(hospital("GET", HUB)).startswith("AuthorizationFailed")
