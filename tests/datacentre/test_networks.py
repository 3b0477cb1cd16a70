"""Networks follow ARM's state: peerings, endpoints, machines, ranges, and what is left when they go."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from emulator import record
from emulator.datacentre import sandbox
from emulator.datacentre.control import Datacentre
from emulator.datacentre.errors import DatacentreError
from emulator.datacentre.names import PUBLIC_FRONT_DOOR
from emulator.datacentre.probe import Probe, Target
from tests.datacentre.cloud import Cloud, descendants, resource, rule

HUB, ONE, TWO = "10.0.0.4", "10.1.0.4", "10.2.0.4"
ENDPOINT = "10.1.0.36"


def open_network(cloud: Cloud, party: str, prefix: str, group: str | None = None) -> str:
    """Store a network of one subnet and return its id."""
    subnet = {"addressPrefix": prefix, "defaultOutboundAccess": False}
    if group:
        subnet["networkSecurityGroup"] = {"id": group}
    return cloud.vnet(party, [prefix], {"only": subnet})


@pytest.fixture(autouse=True)
def two_networks(cloud: Cloud, datacentre: Datacentre) -> Iterator[None]:
    """Before each test: a hub and a hospital without security groups, peered; after it: nothing."""
    hub, one = open_network(cloud, "hub", "10.0.0.0/24"), open_network(cloud, "one", "10.1.0.0/24")
    cloud.peer(hub, one)
    cloud.vm("hub", f"{hub}/subnets/only", HUB)
    cloud.vm("one", f"{one}/subnets/only", ONE)
    datacentre.wait_ready(cloud.revision)
    datacentre.forget_flows()
    yield
    cloud.delete(*list(cloud.documents))


def vnet(party: str) -> str:
    return resource(party, "Microsoft.Network/virtualNetworks", f"vnet-{party}")


def machine(party: str) -> str:
    return resource(party, "Microsoft.Compute/virtualMachines", f"vm-{party}")


def attempt(cloud: Cloud, datacentre: Datacentre, source: str, address: str, port: int = 8002) -> Probe:
    datacentre.wait_ready(cloud.revision)
    return datacentre.probe([source], [Target(address=address, port=port)], seconds=0.5)[0]


class TestPeerings:
    def test_a_half_that_stands_alone_carries_nothing(self, cloud: Cloud, datacentre: Datacentre) -> None:
        assert attempt(cloud, datacentre, "vm-one", HUB).passed
        cloud.delete(f"{vnet('hub')}/virtualNetworkPeerings/to-vnet-one")
        assert attempt(cloud, datacentre, "vm-one", HUB).rule.startswith("the networks are not peered")

    def test_a_disconnected_half_carries_nothing(self, cloud: Cloud, datacentre: Datacentre) -> None:
        cloud.half(vnet("one"), vnet("hub"), "Disconnected")
        assert attempt(cloud, datacentre, "vm-one", HUB).rule.startswith("the networks are not peered")

    def test_peers_of_a_hub_do_not_reach_each_other(self, cloud: Cloud, datacentre: Datacentre) -> None:
        two = open_network(cloud, "two", "10.2.0.0/24")
        cloud.vm("two", f"{two}/subnets/only", TWO)
        cloud.peer(two, vnet("hub"))
        assert attempt(cloud, datacentre, "vm-two", HUB).passed
        assert not attempt(cloud, datacentre, "vm-two", ONE).passed

    def test_access_switched_off_leaves_only_what_a_rule_names(
        self, cloud: Cloud, datacentre: Datacentre
    ) -> None:
        open_network(cloud, "hub", "10.0.0.0/24", cloud.nsg("hub", "nsg-hub", []))
        cloud.half(vnet("hub"), vnet("one"), allowVirtualNetworkAccess=False)
        assert attempt(cloud, datacentre, "vm-one", HUB).rule == "nsg-hub/DenyAllInBound"
        cloud.nsg("hub", "nsg-hub", [rule("one", 100, source="10.1.0.0/24", port="8002")])
        assert attempt(cloud, datacentre, "vm-one", HUB).rule == "nsg-hub/one"


class TestPrivateEndpoints:
    def endpoint(self, cloud: Cloud, status: str = "Approved") -> None:
        account = cloud.account("one", "stone")
        subnet = f"{vnet('one')}/subnets/only"
        cloud.endpoint("one", "pe-one", subnet, account, "blob", {"blob": ENDPOINT}, status)

    def test_an_endpoint_is_reached_across_the_peering(self, cloud: Cloud, datacentre: Datacentre) -> None:
        self.endpoint(cloud)
        assert attempt(cloud, datacentre, "vm-hub", ENDPOINT, 443).passed

    def test_an_endpoint_that_waits_for_approval_is_silent(
        self, cloud: Cloud, datacentre: Datacentre
    ) -> None:
        self.endpoint(cloud, "Pending")
        assert attempt(cloud, datacentre, "vm-hub", ENDPOINT, 443).outcome == "timeout"

    @pytest.mark.parametrize(
        ("policies", "passes"),
        [
            ("Disabled", True),
            ("RouteTableEnabled", True),
            ("Enabled", False),
            ("NetworkSecurityGroupEnabled", False),
        ],
    )
    def test_a_group_counts_at_an_endpoint_only_where_the_subnet_says_so(
        self, cloud: Cloud, datacentre: Datacentre, policies: str, passes: bool
    ) -> None:
        group = cloud.nsg("one", "nsg-one", [rule("no", 100, "Deny", source_port="1-1023", to=ENDPOINT)])
        subnet = {
            "addressPrefix": "10.1.0.0/24",
            "networkSecurityGroup": {"id": group},
            "privateEndpointNetworkPolicies": policies,
        }
        cloud.vnet("one", ["10.1.0.0/24"], {"only": subnet})
        self.endpoint(cloud)
        found = attempt(cloud, datacentre, "vm-hub", ENDPOINT, 443)
        assert (found.passed, found.rule) == (passes, "" if passes else "nsg-one/no")


class TestMachines:
    def test_a_stopped_machine_answers_nobody(self, cloud: Cloud, datacentre: Datacentre) -> None:
        cloud.power(machine("hub"), "deallocated")
        found = attempt(cloud, datacentre, "vm-one", HUB)
        assert found.outcome == "timeout"
        assert found.rule == "the machine is stopped or the endpoint not approved"
        cloud.power(machine("hub"), "running")
        assert attempt(cloud, datacentre, "vm-one", HUB).outcome == "refused"

    def test_an_address_moves_to_another_machine(self, cloud: Cloud, datacentre: Datacentre) -> None:
        subnet = f"{vnet('hub')}/subnets/only"
        cloud.vm("hub", subnet, "10.0.0.9")
        cloud.vm("hub", subnet, HUB, name="vm-second")
        assert attempt(cloud, datacentre, "vm-one", HUB).outcome == "refused"
        assert attempt(cloud, datacentre, "vm-second", "10.0.0.9").outcome == "refused"

    def test_a_machine_nobody_ordered_meets_the_subnets_group(
        self, cloud: Cloud, datacentre: Datacentre
    ) -> None:
        group = cloud.nsg("hub", "nsg-hub", [rule("ssh", 100, "Deny", port="22")])
        hub = open_network(cloud, "hub", "10.0.0.0/24", group)
        datacentre.wait_ready(cloud.revision)
        targets = [Target(address=HUB, port=22), Target(address=HUB, port=8002)]
        found = datacentre.probe([f"subnet:{hub}/subnets/only"], targets, seconds=0.5)
        assert [each.rule for each in found] == ["nsg-hub/ssh", "nsg-hub/AllowVnetInBound"]

    def test_interface_and_subnet_must_both_allow(self, cloud: Cloud, datacentre: Datacentre) -> None:
        subnet = cloud.nsg("hub", "nsg-subnet", [rule("a", 100, port="8002"), rule("b", 110, port="22")])
        nic = cloud.nsg("hub", "nsg-nic", [rule("c", 100, "Deny", port="22")])
        hub = open_network(cloud, "hub", "10.0.0.0/24", subnet)
        cloud.vm("hub", f"{hub}/subnets/only", HUB, nic={"networkSecurityGroup": {"id": nic}})
        assert attempt(cloud, datacentre, "vm-one", HUB, 22).rule == "nsg-nic/c"
        assert attempt(cloud, datacentre, "vm-one", HUB, 8002).rule == "nsg-nic/AllowVnetInBound"


class TestEgress:
    def gateway(self, cloud: Cloud) -> None:
        nat = resource("one", "Microsoft.Network/natGateways", "nat")
        subnet = {"addressPrefix": "10.1.0.0/24", "defaultOutboundAccess": False, "natGateway": {"id": nat}}
        cloud.vnet("one", ["10.1.0.0/24"], {"only": subnet})

    def test_a_gateway_leads_out_to_what_lives_there(self, cloud: Cloud, datacentre: Datacentre) -> None:
        assert attempt(cloud, datacentre, "vm-one", PUBLIC_FRONT_DOOR, 443).rule.startswith(
            "the subnet has neither"
        )
        self.gateway(cloud)
        assert attempt(cloud, datacentre, "vm-one", PUBLIC_FRONT_DOOR, 443).outcome == "open"
        assert not attempt(cloud, datacentre, "vm-hub", PUBLIC_FRONT_DOOR, 443).passed

    def test_everything_else_out_there_swallows_packets(self, cloud: Cloud, datacentre: Datacentre) -> None:
        self.gateway(cloud)
        found = attempt(cloud, datacentre, "vm-one", "198.51.100.1", 443)
        assert (found.outcome, found.passed) == ("timeout", True)
        private = attempt(cloud, datacentre, "vm-one", "10.99.0.1", 443)
        assert (private.outcome, private.passed) == ("timeout", False)


class TestRanges:
    def test_networks_with_the_same_range_live_beside_each_other(
        self, cloud: Cloud, datacentre: Datacentre
    ) -> None:
        other, its_peer = (
            open_network(cloud, "other", "10.0.0.0/24"),
            open_network(cloud, "peer", "10.9.0.0/24"),
        )
        cloud.vm("other", f"{other}/subnets/only", HUB)
        cloud.vm("peer", f"{its_peer}/subnets/only", "10.9.0.4")
        cloud.peer(its_peer, other)
        cloud.power(machine("other"), "stopped")
        assert attempt(cloud, datacentre, "vm-one", HUB).outcome == "refused"
        assert attempt(cloud, datacentre, "vm-peer", HUB).outcome == "timeout"

    def test_networks_already_apart_meet_when_they_are_peered(
        self, cloud: Cloud, datacentre: Datacentre
    ) -> None:
        other, lone = open_network(cloud, "other", "10.0.0.0/24"), open_network(cloud, "lone", "10.9.0.0/24")
        cloud.vm("other", f"{other}/subnets/only", HUB)
        cloud.vm("lone", f"{lone}/subnets/only", "10.9.0.4")
        assert not attempt(cloud, datacentre, "vm-lone", HUB).passed
        cloud.peer(lone, other)
        cloud.power(machine("hub"), "stopped")  # the first of that address
        assert attempt(cloud, datacentre, "vm-lone", HUB).outcome == "refused"

    def test_peered_networks_that_overlap_are_refused_aloud(
        self, cloud: Cloud, datacentre: Datacentre
    ) -> None:
        cloud.peer(open_network(cloud, "other", "10.0.0.0/16"), vnet("one"))
        cloud.half(vnet("one"), vnet("other"))
        with pytest.raises(DatacentreError, match=r"vnet-other .* and vnet-hub .* overlap"):
            datacentre.wait_ready(cloud.revision)


class TestLife:
    def test_the_same_datacentre_is_found_again(self, datacentre: Datacentre) -> None:
        first = Datacentre.ensure()
        assert Datacentre.ensure().pid == first.pid
        found = Datacentre.running()
        assert found is not None
        assert found.pid == first.pid

    @pytest.mark.parametrize("victim", ["first process", "wrapper", "datacentre itself"])
    def test_after_a_kill_nothing_is_left_and_the_next_one_rebuilds(
        self, cloud: Cloud, datacentre: Datacentre, victim: str
    ) -> None:
        before = Datacentre.ensure()
        everything = [before.pid, *descendants(before.pid)]
        parents = {pid: int(stat(pid)[1]) for pid in everything}
        target = {
            "first process": before.pid,
            "wrapper": parents[before.pid],
            "datacentre itself": next(pid for pid in everything if parents[pid] == before.pid),
        }[victim]
        os.kill(target, signal.SIGKILL)
        deadline = time.monotonic() + 5
        while any(map(record.start_time, everything)) and time.monotonic() < deadline:
            time.sleep(0.002)
        assert not any(map(record.start_time, everything))
        assert Datacentre.running() is None
        again = Datacentre.ensure()
        try:
            assert attempt(cloud, again, "vm-one", HUB).passed
        finally:
            again.stop()
        assert Datacentre.running() is None
        Datacentre.ensure()  # for the tests that come after, whatever their order

    def test_a_second_one_in_the_same_place_leaves_at_once(self, datacentre: Datacentre) -> None:
        first = Datacentre.ensure()
        assert sandbox.start(first.settings).wait(10) == 4
        assert Datacentre.ensure().pid == first.pid


def stat(pid: int) -> list[str]:
    text = Path(f"/proc/{pid}/stat").read_text()
    return text[text.rindex(")") + 2 :].split()
