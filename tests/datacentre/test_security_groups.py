"""Security groups, peerings and egress as on Azure: random rules against an oracle, with real packets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulator.datacentre.control import Datacentre
from emulator.datacentre.probe import Target
from tests.datacentre.cloud import Cloud, resource, rule
from tests.datacentre.oracle import Oracle, Packet

PARTIES = {"hub": "10.0.0.4", "one": "10.1.0.4", "two": "10.2.0.4"}
NOWHERE, OUTSIDE = "10.77.0.1", "203.0.113.7"
PORTS = (22, 444, 8002)

ADDRESSES = st.sampled_from(
    [
        "*", "VirtualNetwork", "Internet", "AzureLoadBalancer", "Storage.WestEurope", "10.0.0.0/24",
        "10.1.0.4", "0.0.0.0/0", ("10.0.0.0/25", "10.0.0.0/26", "10.2.0.4/32"),
        ("10.1.0.0/27", "203.0.113.0/24"),
    ]
)  # fmt: skip
RANGES = st.sampled_from(
    ["*", "8002", "8000-8010", "22", ("22", "443-445", "444-500"), ("1-8001", "8003-65535")]
)
RULES = st.builds(
    lambda **fields: fields,
    access=st.sampled_from(["Allow", "Deny"]),
    direction=st.sampled_from(["Inbound", "Outbound"]),
    protocol=st.sampled_from(["*", "Tcp", "Udp", "Icmp"]),
    source=ADDRESSES,
    to=ADDRESSES,
    port=RANGES,
    source_port=st.sampled_from(["*", "*", "*", "1-1023", ("1024-65535",)]),
)
GROUPS = st.lists(RULES, max_size=5)


@pytest.fixture(scope="module")
def networks(cloud: Cloud, datacentre: Datacentre) -> Datacentre:
    """A hub and two hospitals; the second one's half of the peering does not open its VirtualNetwork tag."""
    vnets = {}
    for party, address in PARTIES.items():
        group = cloud.nsg(party, f"nsg-{party}", [])
        prefix = address.rsplit(".", 1)[0] + ".0/24"
        gateway = {"natGateway": {"id": resource(party, "Microsoft.Network/natGateways", "nat")}}
        vnets[party] = cloud.vnet(
            party,
            [prefix],
            {
                "only": {
                    "addressPrefix": prefix,
                    "networkSecurityGroup": {"id": group},
                    "defaultOutboundAccess": False,
                    **(gateway if party == "one" else {}),
                }
            },
        )
        cloud.vm(party, f"{vnets[party]}/subnets/only", address)
    cloud.peer(vnets["hub"], vnets["one"])
    cloud.peer(vnets["two"], vnets["hub"], allowVirtualNetworkAccess=False)
    return datacentre


def check(cloud: Cloud, datacentre: Datacentre) -> None:
    """Compare every verdict of the datacentre with the oracle's."""
    datacentre.wait_ready(cloud.revision)
    datacentre.forget_flows()
    oracle = Oracle(cloud)
    targets = [
        Target(address=address, port=port, protocol=protocol)
        for address in (*PARTIES.values(), NOWHERE, OUTSIDE)
        for port in PORTS
        for protocol in ("udp", "tcp")[: 1 if address == OUTSIDE else 2]  # nobody answers out there
    ]
    found = datacentre.probe(targets=targets, seconds=0.5)
    assert len(found) == len(PARTIES) * (len(targets) - 2 * len(PORTS))
    for each in found:
        packet = Packet(PARTIES[each.source.removeprefix("vm-")], each.address, each.protocol, each.port)
        assert (each.passed, each.rule) == oracle.verdict(packet), packet
        if each.protocol == "tcp":
            assert each.outcome == ("refused" if each.passed else "timeout"), packet


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(groups=st.lists(GROUPS, min_size=3, max_size=3))
def test_any_rules_decide_as_azure_would(
    cloud: Cloud, networks: Datacentre, groups: Sequence[Sequence[dict[str, Any]]]
) -> None:
    for party, rules in zip(PARTIES, groups, strict=True):
        # Not in the order of their priorities, which alone counts.
        cloud.nsg(party, f"nsg-{party}", [rule(f"r{i}", 200 - i, **each) for i, each in enumerate(rules)])
    check(cloud, networks)
