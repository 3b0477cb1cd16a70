"""Templates: what is made of them, in which order, and how what cannot be made is said.

https://learn.microsoft.com/azure/azure-resource-manager/templates/
"""

from typing import Any

import pytest

from tests.emulator.arm.test_any_body import STRANGE, changed, places
from tests.emulator.arm_client import GROUP, OTHER_GROUP, Arm, said

DEPLOYMENT = f"{GROUP}/providers/Microsoft.Resources/deployments/first"
NETWORK = f"{GROUP}/providers/Microsoft.Network"
VNET: dict[str, Any] = {
    "type": "Microsoft.Network/virtualNetworks",
    "name": "[concat(parameters('prefix'), '-vnet')]",
    "apiVersion": "2024-05-01",
    "location": "[resourceGroup().location]",
    "properties": {"addressSpace": {"addressPrefixes": ["[variables('space')]"]}},
}
SUBNET: dict[str, Any] = {
    "type": "Microsoft.Network/virtualNetworks/subnets",
    "name": "[format('{0}-vnet/{1}', parameters('prefix'), 'inner')]",
    "apiVersion": "2024-05-01",
    "dependsOn": ["[resourceId('Microsoft.Network/virtualNetworks', concat(parameters('prefix'), '-vnet'))]"],
    "properties": {"addressPrefix": "10.0.0.0/26"},
}
PREFIX = {"prefix": {"type": "string", "defaultValue": "a"}}


def deployed(*resources: dict[str, Any], values: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    template: dict[str, Any] = {"contentVersion": "1.0.0.0", "parameters": PREFIX}
    template |= {"variables": {"space": "10.0.0.0/24"}, "resources": list(resources), **more}
    given = {name: {"value": value} for name, value in (values or {}).items()}
    return {"properties": {"mode": "Incremental", "template": template, "parameters": given}}


def outcome(arm: Arm, body: dict[str, Any]) -> dict[str, Any]:
    """Deploy and wait; return what the operation came to."""
    answer = arm("PUT", DEPLOYMENT, body)
    assert answer.status in {200, 201}, answer.body
    assert (answer.body or {})["properties"]["provisioningState"] == "Accepted"
    where = answer.headers["azure-asyncoperation"].removeprefix("https://management.azure.com")
    return arm.get(where.partition("?")[0])


def test_resources_are_made_after_what_they_depend_on(arm: Arm) -> None:
    reference = "[reference('b-vnet').addressSpace.addressPrefixes[0]]"
    outputs = {"space": {"type": "string", "value": reference}}
    body = deployed(SUBNET, VNET, values={"prefix": "b"}, outputs=outputs)
    assert outcome(arm, body)["status"] == "Succeeded"
    made = arm.get(DEPLOYMENT)["properties"]
    assert made["provisioningState"] == "Succeeded"
    assert made["outputs"]["space"]["value"] == "10.0.0.0/24"
    assert made["parameters"] == {"prefix": {"type": "String", "value": "b"}}
    vnet = f"{NETWORK}/virtualNetworks/b-vnet"
    assert [one["id"] for one in made["outputResources"]] == [vnet, f"{vnet}/subnets/inner"]
    assert arm.get(vnet)["location"] == "westeurope"
    assert [
        one["name"] for one in arm.get(f"{GROUP}/providers/Microsoft.Resources/deployments")["value"]
    ] == ["first"]


def test_what_was_made_stays_when_a_later_resource_is_refused(arm: Arm) -> None:
    bad = SUBNET | {"properties": {"addressPrefix": "10.9.0.0/26"}}
    ended = outcome(arm, deployed(VNET, bad))
    assert (ended["status"], ended["error"]["code"]) == ("Failed", "DeploymentFailed")
    (why,) = ended["error"]["details"]
    assert why["code"] == "NetcfgInvalidSubnet"
    assert arm.get(DEPLOYMENT)["properties"]["error"]["code"] == "DeploymentFailed"
    assert arm.get(f"{NETWORK}/virtualNetworks/a-vnet")["properties"]["subnets"] == []


def test_nothing_is_left_of_the_resource_that_was_refused(arm: Arm) -> None:
    """The network itself is written before its second subnet is refused."""
    inner = [{"name": name, "properties": {"addressPrefix": "10.0.0.0/26"}} for name in ("one", "two")]
    overlap = VNET | {"properties": VNET["properties"] | {"subnets": inner}}
    assert outcome(arm, deployed(overlap))["status"] == "Failed"
    assert arm("GET", f"{NETWORK}/virtualNetworks/a-vnet").status == 404


def test_a_secret_is_used_and_never_answered(arm: Arm) -> None:
    declared = {"parameters": PREFIX | {"word": {"type": "secureString"}}}
    tagged = VNET | {"tags": {"word": "[toUpper(parameters('word'))]"}}
    assert outcome(arm, deployed(tagged, values={"word": "hush"}, **declared))["status"] == "Succeeded"
    assert arm.get(f"{NETWORK}/virtualNetworks/a-vnet")["tags"] == {"word": "HUSH"}
    assert arm.get(DEPLOYMENT)["properties"]["parameters"]["word"] == {"type": "Securestring"}


def test_a_deployment_goes_and_what_it_made_stays(arm: Arm) -> None:
    outcome(arm, deployed(VNET | {"condition": "[equals(parameters('prefix'), 'a')]"}))
    assert arm("HEAD", DEPLOYMENT).status == 204
    arm.delete(DEPLOYMENT)
    assert said(arm("GET", DEPLOYMENT)).startswith("DeploymentNotFound: ")
    arm.get(f"{NETWORK}/virtualNetworks/a-vnet")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (deployed(VNET | {"name": "[uniqueString('a')]"}), "function 'uniqueString' is not valid"),
        (deployed(VNET | {"name": "[parameters('x')]"}), "The template parameter 'x' is not found"),
        (deployed(VNET | {"name": "[concat('a']"}), "language expression '[concat('a']' is not valid"),
        (deployed(VNET | {"name": "a/b"}), "has incorrect segment lengths"),
        (deployed(VNET | {"copy": {"name": "c", "count": 2}}), "'copy' is not emulated"),
        (
            deployed(VNET, values={"y": 1}),
            "The template parameters 'y' in the parameters file are not valid",
        ),
        (deployed(VNET | {"dependsOn": ["nobody"]}), "The resource 'nobody' is not defined in the template"),
        (deployed(VNET | {"dependsOn": ["a-vnet"]}), "Circular dependency detected on resource: 'a-vnet'"),
    ],
)
def test_a_template_that_cannot_be_read_is_refused_before_anything_is_made(
    arm: Arm, body: dict[str, Any], words: str
) -> None:
    for method, path in (("PUT", DEPLOYMENT), ("POST", f"{DEPLOYMENT}/validate")):
        refused = said(arm(method, path, body))
        assert refused.startswith("InvalidTemplate: Deployment template validation failed: ")
        assert words in refused
    assert arm.get(f"{NETWORK}/virtualNetworks")["value"] == []


def test_a_template_is_validated_without_being_deployed(arm: Arm) -> None:
    answer = arm("POST", f"{DEPLOYMENT}/validate", deployed(VNET, SUBNET))
    assert answer.status == 200
    assert len((answer.body or {})["properties"]["validatedResources"]) == 2
    assert arm.get(f"{NETWORK}/virtualNetworks")["value"] == []


@pytest.mark.parametrize(
    "change",
    [{"mode": "Complete"}, {"template": None}, {"templateLink": {"uri": "https://x"}, "template": None}],
)
def test_what_is_not_emulated_is_refused(arm: Arm, change: dict[str, Any]) -> None:
    body = {"properties": deployed(VNET)["properties"] | change}
    assert said(arm("PUT", DEPLOYMENT, body)).startswith(("InvalidRequestContent: ", "InvalidDeployment: "))


def test_a_template_may_hold_another_and_reach_another_group(arm: Arm) -> None:
    inner = deployed(VNET | {"name": "far"})["properties"]
    nested = {"type": "Microsoft.Resources/deployments", "name": "inner", "apiVersion": "2021-04-01"}
    nested |= {"resourceGroup": "other", "properties": inner}
    assert outcome(arm, deployed(nested))["status"] == "Succeeded"
    arm.get(f"{OTHER_GROUP}/providers/Microsoft.Network/virtualNetworks/far")


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_no_template_makes_the_control_plane_fail(arm: Arm, method: str) -> None:
    outputs = {"space": {"type": "string", "value": "[reference('a-vnet').addressSpace]"}}
    whole = deployed(VNET, SUBNET, values={"prefix": "a"}, outputs=outputs)
    path = DEPLOYMENT if method == "PUT" else f"{DEPLOYMENT}/validate"
    for place in places(whole):
        for strange in STRANGE:
            assert arm(method, path, changed(whole, place, strange)).status < 500, (place, strange)


def test_without_its_group_or_right_nothing_is_deployed(arm: Arm) -> None:
    nowhere = DEPLOYMENT.replace("/rg/", "/none/")
    assert said(arm("PUT", nowhere, deployed(VNET))).startswith("ResourceGroupNotFound: ")
    assert said(arm("POST", DEPLOYMENT, {})).startswith("MethodNotAllowed: ")


def test_what_if_is_refused_by_name_and_nothing_is_made(arm: Arm) -> None:
    answer = arm("POST", f"{DEPLOYMENT}/whatIf", deployed(VNET))
    assert answer.status == 404
    assert said(answer).startswith(
        "InvalidResourceType: The resource type 'deployments/whatIf' could not be found"
    )
    assert arm.get(f"{NETWORK}/virtualNetworks")["value"] == []
