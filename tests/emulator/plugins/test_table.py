"""The table of types against what it stands between: the SDK's classes and the control plane's catalogue."""

import re
from pathlib import Path

import pulumi_azure_native
import pytest

from azure_types.azure_type import AzureType
from azure_types.derive import classes, members
from azure_types.layout import derived, layout
from azure_types.overrides import FILLED, TYPES
from emulator.arm.types import CATALOGUE

SDK = Path(pulumi_azure_native.__file__).parent
NOT_IN_THE_ANSWER = {
    # What no answer of Azure carries in its body under this name: the id of the whole resource, a parameter
    # of the query, and the inputs of a key, which its answer has one level up.
    "FlowLog": {"id"},
    "Key": {"properties"},
    "NatGateway": {"id"},
    "NetworkInterface": {"id"},
    "NetworkSecurityGroup": {"id"},
    "NetworkWatcher": {"id"},
    "PrivateDnsZoneGroup": {"id"},
    "PrivateEndpoint": {"id"},
    "PublicIPAddress": {"id"},
    "Route": {"id"},
    "RouteTable": {"id"},
    "SecurityRule": {"id"},
    "Subnet": {"id"},
    "VirtualNetwork": {"id"},
    "VirtualNetworkPeering": {"id", "syncRemoteAddressSpace"},
}
DEFAULTED_BY_THE_SDK = {"ActionGroup": {"enabled"}}

every_type = pytest.mark.parametrize("type_", TYPES, ids=lambda type_: type_.pulumi_type)


def source(type_: AzureType) -> str:
    _, module, kind = type_.pulumi_type.split(":")
    (text,) = (
        text
        for file in (SDK / module).glob("*.py")
        if f"class {kind}(pulumi.CustomResource)" in (text := file.read_text())
    )
    return text


def arguments(type_: AzureType) -> str:
    kind = type_.pulumi_type.rpartition(":")[2]
    found = re.search(rf"class {kind}(?:Init)?Args:(.*?)@pulumi\.type_token", source(type_), re.DOTALL)
    assert found
    return found[1]


@every_type
def test_a_row_has_its_rules_in_the_control_plane(type_: AzureType) -> None:
    assert all(CATALOGUE.find(name) for name in type_.arm_types), type_.arm_types


@every_type
def test_a_row_knows_every_input_of_the_sdk(type_: AzureType) -> None:
    getters = re.finditer(r'@pulumi\.getter(?:\(name="(\w+)"\))?\s+def (\w+)\(self\) ->', arguments(type_))
    of_the_sdk = {getter[1] or getter[2] for getter in getters}
    known = type_.body_inputs | set(type_.parameters)
    assert known <= of_the_sdk
    assert of_the_sdk - known == NOT_IN_THE_ANSWER.get(type_.pulumi_type.rpartition(":")[2], set())


@pytest.mark.parametrize("name", [name for name in derived()["objects"] if "@" not in name])
def test_a_refresh_compares_every_nested_input_of_the_sdk(name: str) -> None:
    """The real provider projects answers to inputs by the same lists: sdkOutputsToSDKInputs in
    https://github.com/pulumi/pulumi-azure-native/blob/master/provider/pkg/convert/sdkOutputsToSdkInputs.go
    """
    module, _, kind = name.partition(".")
    inputs = members(classes(SDK / module / "_inputs.py")[f"{kind}Args"])
    known = layout(name)
    assert known.specs.keys() - known.computed == {member.wire for member in inputs.values()}


@pytest.mark.parametrize("name", FILLED)
def test_what_azure_fills_in_are_inputs(name: str) -> None:
    known = layout(name)
    assert set(FILLED[name].split()) <= known.specs.keys() - known.computed


@every_type
def test_a_row_demands_what_the_sdk_demands(type_: AzureType) -> None:
    text = arguments(type_)
    signature = re.search(r"def __init__\(__self__, \*,(.*?)\):", text, re.DOTALL)
    assert signature
    demanded = set()
    for name in re.findall(r"(\w+): pulumi\.Input\[(?!Optional)", signature[1]):
        renamed = re.search(rf'getter\(name="(\w+)"\)\s+def {name}\(self\)', text)
        demanded.add(renamed[1] if renamed else name)
    more = DEFAULTED_BY_THE_SDK.get(type_.pulumi_type.rpartition(":")[2], set())
    assert set(type_.required_inputs) == demanded | more


@every_type
def test_a_row_speaks_the_api_version_of_the_sdk(type_: AzureType) -> None:
    used = re.search(r"Uses Azure REST API version (\S+?)\.", source(type_))
    assert used
    assert type_.version == used[1]


@every_type
def test_an_id_is_read_back_whatever_its_case(type_: AzureType) -> None:
    values = {
        name: "/subscriptions/s/resourceGroups/g" if name in {"scope", "resourceUri"} else f"{name}-x"
        for name in type_.parameters
    }
    found = type_.parse(type_.resource_id("s", values).replace("/providers/", "/PROVIDERS/"))
    assert found is not None
    assert {name: found[name] for name in values} == values
