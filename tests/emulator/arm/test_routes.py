"""Route tables: what Azure takes, and where a machine's packets go.

https://learn.microsoft.com/azure/virtual-network/virtual-networks-udr-overview
"""

from typing import Any

import pytest

from emulator.arm.compute.way_out import has_way_out
from emulator.datacentre.inventory import Inventory, topology
from tests.emulator.arm.test_feed import changes
from tests.emulator.arm.test_machines import NIC, VM, network_and_disk, vm
from tests.emulator.arm_client import GROUP, Arm

__all__ = ["network_and_disk"]

NETWORK = f"{GROUP}/providers/Microsoft.Network"
TABLE = f"{NETWORK}/routeTables/rt"
VNET = f"{NETWORK}/virtualNetworks/vnet"
HUB = f"{NETWORK}/virtualNetworks/hub"
SUBNET = f"{VNET}/subnets/one"
FIREWALL = "10.200.0.4"


def route(name: str = "firewall", **properties: Any) -> dict[str, Any]:
    default = {"addressPrefix": "0.0.0.0/0", "nextHopType": "VirtualAppliance", "nextHopIpAddress": FIREWALL}
    kept = {key: value for key, value in {**default, **properties}.items() if value is not None}
    return {"name": name, "properties": kept}


def table(*routes: dict[str, Any]) -> dict[str, Any]:
    return {"location": "westeurope", "properties": {"routes": list(routes)}}


def network(space: str, **subnet: Any) -> dict[str, Any]:
    one = {"name": "one", "properties": {"addressPrefix": space, "defaultOutboundAccess": False, **subnet}}
    spaces = {"addressPrefixes": [space]}
    return {"location": "westeurope", "properties": {"addressSpace": spaces, "subnets": [one]}}


@pytest.fixture
def machine(arm: Arm, network_and_disk: None) -> Arm:
    """A machine in a subnet whose packets go to a firewall in another network."""
    arm.put(VM, vm())
    arm.put(TABLE, table(route()))
    arm.put(SUBNET, {"properties": {"addressPrefix": "10.0.0.0/26", "routeTable": {"id": TABLE}}})
    arm.put(HUB, network("10.200.0.0/24"))
    return arm


def peer(arm: Arm) -> None:
    for here, there in ((VNET, HUB), (HUB, VNET)):
        arm.put(f"{here}/virtualNetworkPeerings/p", {"properties": {"remoteVirtualNetwork": {"id": there}}})


def leads_out(arm: Arm) -> set[bool]:
    """What the control plane says of the machine, and the networks of the datacentre."""
    inventory = Inventory()
    inventory.apply(changes(arm))
    with arm.plane.store.transaction() as tx:
        row = tx.get(VM)
        assert row is not None
        return {has_way_out(tx, row), topology(inventory).ports[NIC.lower()].egress}


def test_routes_come_back_as_azure_shows_them_and_the_table_names_its_subnets(arm: Arm) -> None:
    arm.put(TABLE, table(route()))
    arm.put(SUBNET, {"properties": {"addressPrefix": "10.0.0.0/26", "routeTable": {"id": TABLE}}})
    found = arm.get(TABLE)["properties"]
    (only,) = found["routes"]
    assert only["id"] == f"{TABLE}/routes/firewall"
    assert only["properties"]["provisioningState"] == "Succeeded"
    assert found["disableBgpRoutePropagation"] is False
    assert found["subnets"] == [{"id": SUBNET}]


@pytest.mark.parametrize(
    ("routes", "code"),
    [
        ([route(nextHopIpAddress=None)], "InvalidRouteNextHopIpAddress"),
        ([route(nextHopType="Internet")], "InvalidRouteNextHopIpAddress"),
        ([route(), route("other")], "RouteConflict"),
    ],
)
def test_what_leads_nowhere_or_twice_is_refused(arm: Arm, routes: list[dict[str, Any]], code: str) -> None:
    assert arm.refusal(TABLE, table(*routes)).startswith(code)


def test_a_table_in_use_stays(arm: Arm) -> None:
    arm.put(TABLE, table(route()))
    arm.put(SUBNET, {"properties": {"addressPrefix": "10.0.0.0/26", "routeTable": {"id": TABLE}}})
    refused = arm("DELETE", TABLE)
    assert refused.body and refused.body["error"]["code"] == "InUseRouteTableCannotBeDeleted"
    arm.put(SUBNET, {"properties": {"addressPrefix": "10.0.0.0/26"}})
    arm.delete(TABLE)


def test_a_firewall_is_a_way_out_once_its_network_is_peered(machine: Arm) -> None:
    assert leads_out(machine) == {False}
    peer(machine)
    assert leads_out(machine) == {True}


def test_without_the_route_azures_own_way_out_is_back(machine: Arm) -> None:
    machine.put(SUBNET, {"properties": {"addressPrefix": "10.0.0.0/26"}})
    assert leads_out(machine) == {True}


def test_the_route_is_in_effect_instead_of_azures_own(machine: Arm) -> None:
    with machine.plane.store.transaction() as tx:
        row = tx.get(VM)
        assert row is not None
        row.hidden["power"] = "running"
        tx.put(row)
    answer = machine("POST", f"{NIC}/effectiveRouteTable")
    routes = (machine.follow(answer) if answer.status == 202 else answer).body
    assert isinstance(routes, dict)
    default = [one for one in routes["value"] if one["addressPrefix"] == ["0.0.0.0/0"]]
    assert [(one["source"], one["state"], one["nextHopIpAddress"]) for one in default] == [
        ("Default", "Invalid", []),
        ("User", "Active", [FIREWALL]),
    ]
