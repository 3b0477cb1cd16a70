"""The arithmetic of ports, and security groups against a naive reading of Azure's rules."""

from ipaddress import IPv4Address, IPv4Network
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from automation.verify.check import subscriptions, verify
from automation.verify.facts.resources import Deployment, Resource
from automation.verify.reach.gates import Gates
from automation.verify.reach.network import INBOUND, PROTOCOLS, topology
from automation.verify.reach.ports import EVERY, Ports, difference, intersection, ports, text, union
from automation.verify.reach.spots import spots
from tests.unit.support.verify_deployment import deployment, intended, parties

MOST = 60
RANGES = st.tuples(st.integers(0, MOST), st.integers(0, MOST)).map(lambda r: (min(r), max(r)))
SETS = st.lists(RANGES, max_size=5).map(union)


def members(found: Ports) -> set[int]:
    return {port for low, high in found for port in range(low, high + 1)}


@given(SETS, SETS)
def test_sets_of_ports_behave_like_sets(a: Ports, b: Ports) -> None:
    assert members(union((*a, *b))) == members(a) | members(b)
    assert members(intersection(a, b)) == members(a) & members(b)
    assert members(difference(a, b)) == members(a) - members(b)


@given(SETS)
def test_a_set_of_ports_has_one_form(a: Ports) -> None:
    assert all(low <= high for low, high in a)
    assert all(high + 1 < following for (_, high), (following, _) in pairwise(a))
    assert union(reversed(a)) == a


def test_ports_are_read_and_written_as_azure_does() -> None:
    assert ports("443", "8000-8002") == ((443, 443), (8000, 8002))
    assert ports("*") == EVERY
    assert text(ports("80", "443", "8000-8002")) == "80, 443, 8000-8002"
    assert text(EVERY) == "every port"
    assert text(()) == "no port"


RULES = st.lists(
    st.fixed_dictionaries(
        {
            "access": st.sampled_from(["Allow", "Deny"]),
            "protocol": st.sampled_from(["*", "Tcp", "Udp"]),
            "sourceAddressPrefix": st.sampled_from(
                ["*", "10.0.0.0/24", "10.0.1.4/32", "10.0.1.0/27", "VirtualNetwork", "Internet"]
            ),
            "destinationAddressPrefix": st.sampled_from(
                ["*", "10.0.0.4/32", "10.0.0.0/26", "VirtualNetwork"]
            ),
            "destinationPortRange": st.sampled_from(["*", "22", "443", "400-500", "8002"]),
        }
    ),
    max_size=6,
)
DEFAULTS = [
    {"access": "Allow", "protocol": "*", "sourceAddressPrefix": "VirtualNetwork",
     "destinationAddressPrefix": "VirtualNetwork", "destinationPortRange": "*"},
    {"access": "Deny", "protocol": "*", "sourceAddressPrefix": "*", "destinationAddressPrefix": "*",
     "destinationPortRange": "*"},
]  # fmt: skip


def naive(rules: list[dict[str, str]], source: str, destination: str, protocol: str, port: int) -> bool:
    """Go through Azure's rules as its documentation says, for one packet."""
    for rule in [*rules, *DEFAULTS]:
        if (
            rule["protocol"] in ("*", protocol)
            and _in(rule["sourceAddressPrefix"], source)
            and _in(rule["destinationAddressPrefix"], destination)
            and (protocol not in ("Tcp", "Udp") or port in members_of(rule["destinationPortRange"]))
        ):
            return rule["access"] == "Allow"
    raise AssertionError("the last rule matches everything")


def members_of(port_range: str) -> range:
    low, _, high = ("0-65535" if port_range == "*" else port_range).partition("-")
    return range(int(low), int(high or low) + 1)


def _in(prefix: str, address: str) -> bool:
    inside = address.startswith("10.0.")
    match prefix:
        case "*":
            return True
        case "VirtualNetwork":
            return inside
        case "Internet":
            return not inside
    return inside and IPv4Address(address) in IPv4Network(prefix)


def two_networks(rules: list[dict[str, str]]) -> Deployment:
    base = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network"
    group = f"{base}/networkSecurityGroups/nsg"
    entries = [
        {**rule, "name": f"r{n}", "direction": "Inbound", "priority": 100 + n, "sourcePortRange": "*"}
        for n, rule in enumerate(rules)
    ]

    def vnet(name: str, space: str, prefix: str, **more: Any) -> Resource:
        return Resource(
            type="azure-native:network:VirtualNetwork",
            id=f"{base}/virtualNetworks/{name}",
            urn="u",
            props={
                "addressSpace": {"addressPrefixes": [space]},
                "subnets": [
                    {"name": "default", "addressPrefix": prefix, "defaultOutboundAccess": False, **more}
                ],
            },
        )

    def peering(here: str, there: str) -> Resource:
        return Resource(
            type="azure-native:network:VirtualNetworkPeering",
            id=f"{base}/virtualNetworks/{here}/virtualNetworkPeerings/p",
            urn="u",
            props={
                "remoteVirtualNetwork": {"id": f"{base}/virtualNetworks/{there}"},
                "peeringState": "Connected",
            },
        )

    def nic(name: str, vnet_name: str, address: str) -> Resource:
        subnet = f"{base}/virtualNetworks/{vnet_name}/subnets/default"
        return Resource(
            type="azure-native:network:NetworkInterface",
            id=f"{base}/networkInterfaces/{name}",
            urn="u",
            props={"ipConfigurations": [{"subnet": {"id": subnet}, "privateIPAddress": address}]},
        )

    return Deployment(
        stack="test",
        source="hand",
        checksum="",
        resources=(
            Resource(
                type="azure-native:network:NetworkSecurityGroup",
                id=group,
                urn="u",
                props={"securityRules": entries},
            ),
            vnet("hub", "10.0.0.0/24", "10.0.0.0/26", networkSecurityGroup={"id": group}),
            vnet("spoke", "10.0.1.0/24", "10.0.1.0/27"),
            peering("hub", "spoke"),
            peering("spoke", "hub"),
            nic("server", "hub", "10.0.0.4"),
            nic("client", "spoke", "10.0.1.4"),
        ),
    )


@settings(max_examples=150, deadline=None)
@given(RULES)
def test_a_gate_decides_as_a_naive_reading_of_the_rules(rules: list[dict[str, str]]) -> None:
    found = topology(two_networks(rules), {"s": "party"})
    gates, empty = Gates(found), intended("dev").__class__(flows=(), grants=(), resolutions=())
    places = spots(found, empty)
    (server,) = [s for s in places if s.address_text == "10.0.0.4"]
    for source in places:
        if source is server or (source.address is None and source.part != "any"):
            continue
        address = source.address_text or "203.0.113.9"
        for protocol in PROTOCOLS:
            allowed = members_in(gates.passage(server, INBOUND, source, server, protocol).allowed)
            for port in (22, 400, 443, 501, 8002):
                assert (port in allowed) == naive(rules, address, "10.0.0.4", protocol, port)


class members_in:  # noqa: N801 reads like a set
    def __init__(self, found: Ports) -> None:
        self._found = found

    def __contains__(self, port: int) -> bool:
        return any(low <= port <= high for low, high in self._found)


def test_every_address_of_every_subnet_belongs_to_exactly_one_spot() -> None:
    found = topology(deployment("dev"), subscriptions(parties("dev")))
    places = spots(found, intended("dev"))

    for subnet in found.subnets.values():
        size = sum(p.num_addresses for p in subnet.prefixes)
        single = [s for s in places if s.subnet is subnet and s.interface is not None]
        rest = [s for s in places if s.subnet is subnet and s.interface is None]
        covered = sum(_size(s.text) for s in rest) + len(single)
        assert covered == size


def _size(ranges: str) -> int:
    ends = [part.split("-") for part in ranges.split(", ")]
    return sum(int(IPv4Address(e[-1])) - int(IPv4Address(e[0])) + 1 for e in ends)


def test_the_matrix_names_every_pair_once() -> None:
    cells = verify(deployment("dev"), parties("dev")).matrix.cells

    assert len({(c.source.name, c.destination.name, c.protocol) for c in cells}) == len(cells)
