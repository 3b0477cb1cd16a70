"""Addresses in subnets, over all that programs could ask for."""

from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulator.arm.control_plane import ControlPlane
from emulator.arm.errors import ArmError
from emulator.arm.network.addresses import check_static, first_free, parse_prefix, usable
from tests.emulator.arm_client import GROUP, Arm

NETWORK = f"{GROUP}/providers/Microsoft.Network"
VNET = f"{NETWORK}/virtualNetworks/vnet"

subnets = st.builds(
    lambda address, length: IPv4Network((address, length), strict=False),
    st.integers(int(IPv4Address("10.0.0.0")), int(IPv4Address("10.255.255.255"))),
    st.integers(20, 29),
)


@given(subnets)
def test_a_subnet_loses_five_addresses(subnet: IPv4Network) -> None:
    free = usable(subnet)
    assert len(free) == subnet.num_addresses - 5
    assert IPv4Address(free[0]) == subnet.network_address + 4
    assert IPv4Address(free[-1]) == subnet.broadcast_address - 1


@given(subnets, st.data())
def test_the_first_free_address_is_the_lowest_one_not_taken(subnet: IPv4Network, data: st.DataObject) -> None:
    taken = data.draw(st.sets(st.sampled_from(list(usable(subnet))[:200])))
    found = first_free(subnet, taken)
    lower = [address for address in usable(subnet) if found is None or address < found]
    assert found not in taken
    assert all(address in taken for address in lower)


@given(subnets, st.integers(-10, 4110))
def test_a_static_address_is_taken_exactly_when_it_is_usable(subnet: IPv4Network, offset: int) -> None:
    address = IPv4Address(int(subnet.network_address) + offset)
    if int(address) in usable(subnet):
        assert check_static(subnet, str(subnet), str(address)) == int(address)
    else:
        expected = "PrivateIPAddressInReservedRange" if address in subnet else "PrivateIPAddressNotInSubnet"
        with pytest.raises(ArmError, match=expected):
            check_static(subnet, str(subnet), str(address))


@given(st.text(alphabet="0123456789./abcx:", max_size=20))
def test_a_prefix_is_either_a_network_or_refused(text: str) -> None:
    try:
        network = parse_prefix(text, "subnet")
    except ArmError as refusal:
        assert refusal.code in {"InvalidAddressPrefixFormat", "InvalidCIDRNotation"}
    else:
        assert str(network).rpartition("/")[2] == str(int(text.rpartition("/")[2]))


steps = st.lists(
    st.tuples(st.sampled_from(["put", "delete"]), st.integers(0, 7), st.none() | st.integers(0, 15)),
    max_size=25,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps)
def test_no_history_of_writes_gives_an_address_twice(
    tmp_path: Path, history: list[tuple[str, int, int | None]]
) -> None:
    file = tmp_path / "arm.sqlite"
    for left in tmp_path.glob("arm.sqlite*"):
        left.unlink()
    plane = ControlPlane(file, b"k" * 32)
    arm = Arm(plane)
    arm.put(GROUP, {"location": "westeurope"})
    subnet = {"name": "one", "properties": {"addressPrefix": "10.0.0.0/28"}}
    space = {"addressSpace": {"addressPrefixes": ["10.0.0.0/24"]}}
    arm.put(VNET, {"location": "westeurope", "properties": space | {"subnets": [subnet]}})
    expected: dict[int, str] = {}
    for verb, number, static in history:
        path = f"{NETWORK}/networkInterfaces/nic{number}"
        if verb == "delete":
            arm.delete(path)
            expected.pop(number, None)
            continue
        answer = arm("PUT", path, _interface(static))
        if answer.status < 300:
            assert answer.body is not None
            address = answer.body["properties"]["ipConfigurations"][0]["properties"]["privateIPAddress"]
            others = {held for holder, held in expected.items() if holder != number}
            assert address not in others
            assert static is None or address == f"10.0.0.{static}"
            expected[number] = address
    shown = arm.get(f"{VNET}/subnets/one")["properties"].get("ipConfigurations", [])
    assert len(shown) == len(expected)
    plane.close()


def _interface(static: int | None) -> dict[str, Any]:
    properties: dict[str, Any] = {"subnet": {"id": f"{VNET}/subnets/one"}}
    if static is not None:
        properties |= {"privateIPAllocationMethod": "Static", "privateIPAddress": f"10.0.0.{static}"}
    one = {"name": "primary", "properties": properties}
    return {"location": "westeurope", "properties": {"ipConfigurations": [one]}}
