"""The table of types against what it stands between: the SDK's classes and the control plane's catalogue."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pulumi_azure_native
import pytest

from emulator.arm import ids, schema
from emulator.arm.catalogue import ResourceType
from emulator.arm.types import CATALOGUE
from emulator.plugins.azure_native.layout import Layout
from emulator.plugins.azure_native.shape import Shape
from emulator.plugins.azure_native.shapes import SHAPES

SDK = Path(pulumi_azure_native.__file__).parent
NOT_IN_THE_ANSWER = {
    # What no answer of Azure carries in its body under this name: the id of the whole resource, a parameter
    # of the query, and the inputs of a key, which its answer has one level up.
    "FlowLog": {"id"},
    "Key": {"properties"},
    "NatGateway": {"id"},
    "NetworkInterface": {"id"},
    "NetworkSecurityGroup": {"id"},
    "PrivateDnsZoneGroup": {"id"},
    "PrivateEndpoint": {"id"},
    "PublicIPAddress": {"id"},
    "Subnet": {"id"},
    "VirtualNetwork": {"id"},
    "VirtualNetworkPeering": {"id", "syncRemoteAddressSpace"},
}
DEFAULTED_BY_THE_SDK = {"ActionGroup": {"enabled"}}

every_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=lambda shape: shape.pulumi_type)


def source(shape: Shape) -> str:
    _, module, kind = shape.pulumi_type.split(":")
    (text,) = (
        text
        for file in (SDK / module).glob("*.py")
        if f"class {kind}(pulumi.CustomResource)" in (text := file.read_text())
    )
    return text


def arguments(shape: Shape) -> str:
    kind = shape.pulumi_type.rpartition(":")[2]
    found = re.search(rf"class {kind}(?:Init)?Args:(.*?)@pulumi\.type_token", source(shape), re.DOTALL)
    assert found
    return found[1]


def arm_type(shape: Shape) -> ResourceType:
    path = re.sub(r"^/\{\w+\}", "/subscriptions/x", shape.path.replace("{recordType}", "A"))
    parsed = ids.parse(re.sub(r"\{(\w+)\}", r"\1", path))
    assert parsed
    found = CATALOGUE.find(parsed.type)
    assert found, f"emulator/arm does not know {parsed.type}"
    return found


@every_shape
def test_a_row_knows_every_input_of_the_sdk(shape: Shape) -> None:
    getters = re.finditer(r'@pulumi\.getter(?:\(name="(\w+)"\))?\s+def (\w+)\(self\) ->', arguments(shape))
    of_the_sdk = {getter[1] or getter[2] for getter in getters}
    known = shape.body_inputs | set(shape.parameters)
    assert known <= of_the_sdk
    assert of_the_sdk - known == NOT_IN_THE_ANSWER.get(shape.pulumi_type.rpartition(":")[2], set())


@every_shape
def test_a_refresh_compares_every_nested_input_of_the_sdk(shape: Shape) -> None:
    """The real provider projects answers to inputs by the same lists: sdkOutputsToSDKInputs in
    https://github.com/pulumi/pulumi-azure-native/blob/master/provider/pkg/convert/sdkOutputsToSdkInputs.go
    """
    content = json.loads(Path(schema.__file__).with_name("schema.json").read_text())
    root = content["types"][arm_type(shape).name]
    assert not list(inputs_left_out(shape.layout, root, content["objects"]))


def inputs_left_out(
    layout: Layout, name: str, objects: Mapping[str, Mapping[str, Any]]
) -> Iterator[tuple[str, str]]:
    members = objects[name]
    for computed in layout.computed:
        if not members.get(layout.renamed.get(computed, computed), {"ro": 1}).get("ro"):
            yield name, computed
    for member, below in layout.members.items():
        spec = members.get(layout.renamed.get(member, member), {})
        while "i" in spec:
            spec = spec["i"]
        if "o" in spec:
            yield from inputs_left_out(below, spec["o"], objects)


@every_shape
def test_a_row_demands_what_the_sdk_demands(shape: Shape) -> None:
    text = arguments(shape)
    signature = re.search(r"def __init__\(__self__, \*,(.*?)\):", text, re.DOTALL)
    assert signature
    demanded = set()
    for name in re.findall(r"(\w+): pulumi\.Input\[(?!Optional)", signature[1]):
        renamed = re.search(rf'getter\(name="(\w+)"\)\s+def {name}\(self\)', text)
        demanded.add(renamed[1] if renamed else name)
    more = DEFAULTED_BY_THE_SDK.get(shape.pulumi_type.rpartition(":")[2], set())
    assert set(shape.required_inputs) == demanded | more


@every_shape
def test_a_row_speaks_the_api_version_of_the_sdk(shape: Shape) -> None:
    used = re.search(r"Uses Azure REST API version (\S+?)\.", source(shape))
    assert used
    assert shape.version == used[1]
    assert shape.version in arm_type(shape).versions


@every_shape
def test_a_preview_and_azure_agree_on_names(shape: Shape) -> None:
    names = arm_type(shape).names
    mine = (shape.name.pattern, shape.name.minimum, shape.name.maximum)
    assert mine == (names.pattern, names.minimum, names.maximum)


@every_shape
def test_an_id_is_read_back_whatever_its_case(shape: Shape) -> None:
    values = {
        name: "/subscriptions/s/resourceGroups/g" if name in {"scope", "resourceUri"} else f"{name}-x"
        for name in shape.parameters
    }
    found = shape.parse(shape.resource_id("s", values).replace("/providers/", "/PROVIDERS/"))
    assert found is not None
    assert {name: found[name] for name in values} == values
