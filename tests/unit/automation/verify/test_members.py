"""Verification follows the settings: members come, leave and keep their data; networks have no way out."""

import copy
import dataclasses
import threading
from typing import Any

import pytest

from automation.operate.machines import Ran
from automation.verify.check import Verification, verify
from automation.verify.facts.resources import VerifyError
from automation.verify.observed import probes
from tests.unit.federation.test_settings import GALLERY
from tests.unit.support.program_graph import stack_config
from tests.unit.support.verify_deployment import deployment, parties


def changed(stack: str, **hospitals: dict[str, Any]) -> dict[str, Any]:
    """Return a stack's settings with changes to the entries of hospitals."""
    config = copy.deepcopy(stack_config(stack))
    for name, change in hospitals.items():
        config["fed:hospitals"].setdefault(name, {}).update(change)
    return config


def verified(stack: str, config: dict[str, Any]) -> Verification:
    return verify(deployment(stack, config=config), parties(stack, config))


def flows(found: Verification) -> set[tuple[str, str]]:
    return {(c.source.name, c.destination.name) for c in found.matrix.cells if c.computed}


def test_a_fourth_hospital_is_as_isolated_as_the_others() -> None:
    zurich = {
        "subscriptionId": "20000000-0000-4000-8000-000000000009",
        "addressSpace": "10.10.9.0/27",
    }

    found = verified("dev", changed("dev", zurich=zurich))

    assert found.findings == ()
    assert {end for start, end in flows(found) if start == "zurich/machine"} == {
        "centre/server",
        "centre/storage",
        "centre/registry",
        "centre/registry-data",
        "zurich/storage",
        "internet/any",
    }


@pytest.mark.parametrize("stack", ["dev", "prod"])
@pytest.mark.parametrize("state", ["leaving", "left"])
def test_a_hospital_that_leaves_has_no_way_in_and_none_out(stack: str, state: str) -> None:
    found = verified(stack, changed(stack, hungary={"retired": state}))

    assert found.findings == ()
    assert not any("hungary" in name for flow in flows(found) for name in flow)
    assert not any("hungary" in cell.target.resource for cell in found.access.cells)


def test_a_hospital_that_is_still_connected_after_leaving_is_found() -> None:
    config = changed("dev", hungary={"retired": "left"})

    found = verify(deployment("dev"), parties("dev", config))

    assert any("hungary/" in f.what and f.kind == "open" for f in found.findings)
    assert any("hungary's machine may" in f.what for f in found.findings)


def test_without_egress_nothing_leads_from_a_hospital_to_the_internet() -> None:
    config = changed("dev")
    for hospital in config["fed:hospitals"].values():
        hospital["egress"] = "none"
    config["fed:machine"]["image"] = {
        "galleryImageId": "/subscriptions/20000000-0000-4000-8000-000000000000/resourceGroups/rg/providers/"
        "Microsoft.Compute/galleries/images/images/ubuntu-docker/versions/1.0.0"
    }

    found = verified("dev", config)

    assert found.findings == ()
    assert {flow[0] for flow in flows(found) if any("internet" in name for name in flow)} == {"centre/server"}


FIREWALL = "10.200.0.4"


def behind_a_firewall() -> dict[str, Any]:
    return changed("dev", hungary={"egress": "firewall", "firewall": FIREWALL})


def test_with_a_firewall_a_hospitals_packets_leave_through_it_and_nowhere_else() -> None:
    found = verified("dev", behind_a_firewall())

    assert found.findings == ()
    (subnet,) = [s for s in found.topology.subnets.values() if "-hungary-" in s.name]
    assert not subnet.nat and [str(route.address) for route in subnet.routes] == [FIREWALL]
    assert ("hungary/machine", "internet/any") in flows(found)
    assert ("hungary/machine", "cleveland/machine") not in flows(found)


@pytest.mark.parametrize(
    ("party", "space", "flags", "rules"),
    [
        ("hungary", "10.200.0.0/24", {}, set()),
        ("hungary", "10.201.0.0/24", {}, {"peering-flags", "peering-hub-only"}),
        ("hungary", "10.200.0.0/24", {"useRemoteGateways": True}, {"peering-flags", "peering-hub-only"}),
        ("cleveland", "10.200.0.0/24", {}, {"peering-flags", "peering-hub-only"}),
    ],
)
def test_of_all_strangers_peerings_only_the_firewalls_is_expected(
    party: str, space: str, flags: dict[str, Any], rules: set[str]
) -> None:
    """The organisation makes it: docs/adr/0015."""
    there = deployment("dev", config=behind_a_firewall())
    (vnet,) = [one for one in there.of("network:VirtualNetwork") if one.name.endswith(party)]
    hub = "/subscriptions/h/resourceGroups/rg/providers/Microsoft.Network/virtualNetworks/hub"
    props = {
        "remoteVirtualNetwork": {"id": hub},
        "remoteAddressSpace": {"addressPrefixes": [space]},
        "peeringState": "Connected",
        "allowVirtualNetworkAccess": True,
        "allowForwardedTraffic": True,
        "allowGatewayTransit": False,
        "useRemoteGateways": False,
        **flags,
    }
    (like, *_) = there.of("network:VirtualNetworkPeering")
    peering = dataclasses.replace(
        like, id=f"{vnet.id}/virtualNetworkPeerings/to-hub", urn="", props=props, refers={}
    )
    whole = dataclasses.replace(there, resources=(*there.resources, peering))

    found = verify(whole, parties("dev", behind_a_firewall()))

    assert {finding.rule for finding in found.findings} == rules


@pytest.mark.parametrize(
    "config", [changed("dev"), changed("dev", hungary={"egress": "firewall", "firewall": "10.200.0.5"})]
)
def test_packets_that_pass_the_firewall_by_are_found(config: dict[str, Any]) -> None:
    found = verify(deployment("dev", config=config), parties("dev", behind_a_firewall()))

    (past,) = [f for f in found.findings if f.kind == "open" and "past the firewall" in f.what]
    assert "snet-fed-dev-hungary-workload" in past.what and FIREWALL in past.fix


def test_a_machine_without_a_way_out_is_not_asked_what_it_could_not_answer() -> None:
    """https://learn.microsoft.com/azure/virtual-machines/linux/run-command, Restrictions."""
    config = changed("dev", hungary={"egress": "none"})
    config["fed:machine"]["image"] = {"galleryImageId": GALLERY}
    asked: list[str] = []
    everybody = threading.Barrier(3, timeout=60)

    def run(machine: str, _: list[str]) -> Ran:
        asked.append(machine.rsplit("/", 1)[-1])
        everybody.wait()
        return Ran(1, "", "stop here")

    with pytest.raises(VerifyError, match="stop here"):
        probes.look(verified("dev", config), run)
    assert sorted(asked) == ["vm-fed-dev-centre", "vm-fed-dev-cleveland", "vm-fed-dev-va-long-beach"]


def test_a_dashboard_opens_the_centres_storage_to_power_bi_alone() -> None:
    found = verified("prod", changed("prod"))

    assert found.findings == ()
    assert {flow for flow in flows(found) if "centre/gateway" in flow} == {
        ("centre/gateway", "centre/storage")
    }
    cells = {(c.principal, c.target.resource): c.computed for c in found.access.cells}
    assert cells["cleveland's dashboard readers", "client-cleveland"] == {"read the dashboard's tables in"}
    assert not any(
        "readers" in who and what.removeprefix("client-") not in {who.partition("'")[0], "server"}
        for who, what in cells
    )


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"condition": None}, "cleveland's dashboard readers may list, read client-cleveland of centre"),
        ({"principalId": "42000000-0000-4000-8000-000000000002"}, "hungary's dashboard readers may read"),
        ({"principalId": "00000000-0000-4000-8000-00000000000f"}, "unknown principal"),
    ],
    ids=["a condition that was lifted", "another hospital's readers", "a stranger"],
)
def test_readers_who_may_read_more_are_found(change: dict[str, str | None], found: str) -> None:
    def broken(document: dict[str, Any]) -> None:
        (role,) = [
            resource
            for resource in document["deployment"]["resources"]
            if "cleveland-dashboard" in resource["urn"] and resource["type"].endswith("RoleAssignment")
        ]
        role["outputs"].update(change)

    verification = verify(deployment("prod", broken), parties("prod"))

    assert any(finding.what.startswith(found) for finding in verification.findings)
