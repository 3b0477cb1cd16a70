"""Stacks as ARM templates, and what Checkov says of them."""

import json
from typing import Any

import pytest

from automation.verify.facts.resources import VerifyError
from automation.verify.scan.arm_template import UNKNOWN, from_export, from_preview
from automation.verify.scan.checkov import Failed, Suppression, scan, summary, suppressions
from tests.unit.support.verify_deployment import exported

CENTRE = "20000000-0000-4000-8000-000000000000"
CLEVELAND = "20000000-0000-4000-8000-000000000001"


def entry(template: dict[str, Any], kind: str, name: str) -> dict[str, Any]:
    (found,) = [r for r in template["resources"] if r["type"] == kind and name in r["name"]]
    return dict(found)


def test_each_subscription_has_a_template_of_its_own_resources() -> None:
    templates = from_export(exported("dev"))

    assert len(templates) == 4
    account = entry(templates[CLEVELAND], "Microsoft.Storage/storageAccounts", "stfeddevclevel")
    assert account["properties"]["publicNetworkAccess"] == "Disabled"
    assert account["properties"]["supportsHttpsTrafficOnly"] is True
    assert account["sku"] == {"name": "Standard_LRS"}
    half = entry(
        templates[CENTRE],
        "Microsoft.Network/virtualNetworks/virtualNetworkPeerings",
        "peer-fed-dev-centre-cleveland",
    )
    assert half["name"] == "vnet-fed-dev-centre/peer-fed-dev-centre-cleveland"
    assert not any("fed-dev-hungary" in r["name"] for r in templates[CLEVELAND]["resources"])


def test_a_template_holds_nothing_that_a_machine_boots_from() -> None:
    text = json.dumps(from_export(exported("dev")))

    assert "(left out)" in text
    assert "I2Nsb3VkLWNvbmZpZ" not in text  # "#cloud-config", as custom data carries it


def test_a_preview_is_rendered_with_placeholders() -> None:
    resources = exported("dev")["deployment"]["resources"]
    for resource in resources:
        if resource["type"] == "azure-native:storage:BlobContainer":
            resource["inputs"]["accountName"] = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"

    templates = from_preview({"steps": [{"op": "create", "newState": r} for r in resources]})

    container = entry(
        templates[CLEVELAND], "Microsoft.Storage/storageAccounts/blobServices/containers", "data"
    )
    assert container["name"] == f"{UNKNOWN}/default/data"


def test_an_empty_document_is_refused() -> None:
    with pytest.raises(VerifyError, match="no Azure resource"):
        from_export({"deployment": {"resources": []}})


def test_checkov_finds_nothing_but_what_is_explained_or_opened_here() -> None:
    stacks = {stack: from_export(exported(stack)) for stack in ("dev", "mvp", "prod")}
    opened = exported("dev")
    for resource in opened["deployment"]["resources"]:
        if resource["type"] == "azure-native:storage:StorageAccount":
            resource["inputs"] |= {"allowBlobPublicAccess": True, "publicNetworkAccess": "Enabled"}

    found = scan({**stacks, "opened": {CLEVELAND: from_export(opened)[CLEVELAND]}})

    left = [str(f) for f in found.unexplained if f.stack != "opened"]
    assert left == []
    assert [s.check for s in found.stale] == []
    assert found.passed > 300
    assert "CKV_AZURE_59" in {f.check for f in found.unexplained if f.stack == "opened"}
    assert summary(found).startswith("Checkov: ")


def test_a_suppression_covers_its_own_place_only() -> None:
    only_dev = Suppression(check="CKV_1", where="dev/st.*", reason="because")

    assert only_dev.covers(Failed(check="CKV_1", title="", stack="dev", resource="stfed"))
    assert not only_dev.covers(Failed(check="CKV_1", title="", stack="prod", resource="stfed"))
    assert not only_dev.covers(Failed(check="CKV_2", title="", stack="dev", resource="stfed"))
    assert not only_dev.covers(Failed(check="CKV_1", title="", stack="dev", resource="vm-stfed"))


def test_every_suppression_gives_a_reason_worth_reading() -> None:
    assert all(len(s.reason) > 40 for s in suppressions())
