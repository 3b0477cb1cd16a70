"""What Resource Manager answers alike for every type, asked of one resource of each.

Witnesses: recorded refusals of azure-service-operator's tests (2023 to 2025) where no other is named.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from emulator.arm.catalogue import Level, Place
from emulator.arm.ids import parse
from emulator.arm.types import CATALOGUE
from tests.emulator.arm import test_round_trip as round_trip
from tests.emulator.arm_client import GROUP, SUBSCRIPTION, Arm, said

_deployment = round_trip._deployment
NONE = f"{GROUP}-none"
METHODS = ("GET", "PUT", "PATCH", "DELETE")
UNPATCHED = (
    "Microsoft.Network/virtualNetworks/subnets",
    "Microsoft.Network/virtualNetworks/virtualNetworkPeerings",
    "Microsoft.Network/networkSecurityGroups/securityRules",
    "Microsoft.Network/privateEndpoints/privateDnsZoneGroups",
    "Microsoft.Storage/storageAccounts/blobServices",
    "Microsoft.KeyVault/vaults/keys",
    "Microsoft.Authorization/roleAssignments",
    "Microsoft.Insights/diagnosticSettings",
)
"""Types without an update in the REST reference and in Microsoft's clients of today."""


def one_of_each(arm: Arm) -> Iterator[tuple[str, dict[str, Any]]]:
    """A resource of each type that is in the test's group, with the type's name."""
    seen = set()
    for one in round_trip.everything(arm):
        if one["type"] not in seen and one["id"].lower().startswith(f"{GROUP}/".lower()):
            seen.add(one["type"])
            yield one["type"], one["body"]


def moved(identifier: str, group: str) -> str:
    """The id in another group."""
    return group + identifier[len(GROUP) :]


def test_without_its_group_nothing_is_there(arm: Arm) -> None:
    for name, body in one_of_each(arm):
        for method in sorted(set(METHODS) & CATALOGUE[name].verbs):
            answer = arm(method, moved(body["id"], NONE), body if method in {"PUT", "PATCH"} else None)
            assert (answer.status, said(answer).partition(":")[0]) == (404, "ResourceGroupNotFound"), name
        collection = moved(body["id"], NONE).rpartition("/")[0]
        assert said(arm("GET", collection)).startswith("ResourceGroupNotFound: "), name


def test_below_a_parent_that_is_not_there_the_parent_is_named(arm: Arm) -> None:
    """Private DNS and storage say so of reading, too: azure-cli's `network private-dns record-set a list`
    and azurerm's reading of `storageAccounts/blobServices` (public logs, 2024 to 2026).
    """
    for name, body in one_of_each(arm):
        type_ = CATALOGUE[name]
        path = parse(body["id"])
        if type_.level is not Level.PARENT or path is None or type_.virtual:
            continue
        parent = parse(path.parent)
        assert parent is not None
        child = body["id"][len(path.parent) :]
        below = f"{path.parent}-none{child}"
        for asked in (below, below.rpartition("/")[0]):
            words = said(arm("GET", asked))
            orphan = "ParentResourceNotFound: Failed to perform 'read' on resource(s) of type"
            gone = f"ResourceNotFound: The Resource '{parent.namespace}/"
            assert words.startswith(orphan if type_.parent_first else gone), words
            assert f"{parent.names[-1]}-none' " in words, words


def test_a_patch_is_taken_where_the_type_has_one(arm: Arm) -> None:
    """The words: azurerm #3178 (a subnet), azure-sdk-for-python's test_cli_mgmt_network_ip (ip_groups)."""
    refused = set()
    for name, body in one_of_each(arm):
        answer = arm("PATCH", body["id"], {"tags": {"a": "b"}})
        if answer.status == 405:
            refused.add(name)
            assert said(answer).endswith(": The requested resource does not support http method 'PATCH'.")
        elif not CATALOGUE[name].tags:
            assert said(answer).startswith("InvalidRequestContent: "), name
    assert set(UNPATCHED) <= refused
    assert not any(CATALOGUE[name].tags for name in refused - {"Microsoft.KeyVault/vaults/keys"})


def test_the_place_is_asked_for_before_anything_of_the_type(arm: Arm) -> None:
    """Resource Manager asks, the provider is not asked yet: LocationRequired has no `details`."""
    for name, body in one_of_each(arm):
        type_ = CATALOGUE[name]
        if type_.place is Place.NONE or "PUT" not in type_.methods:
            continue
        new = f"{body['id']}2"
        assert said(arm("PUT", new, {})).startswith("LocationRequired: "), name
        nowhere = said(arm("PUT", new, {"location": "nowhere"}))
        assert nowhere.startswith("LocationNotAvailableForResourceType: "), name


def test_a_question_that_nobody_asks_is_no_failure(arm: Arm) -> None:
    odd: list[tuple[str, str, dict[str, str]]] = []
    for _, body in one_of_each(arm):
        at, collection = body["id"], body["id"].rpartition("/")[0]
        odd += [(method, at, {}) for method in ("OPTIONS", "POST", "HEAD", "TRACE", "COPY")]
        odd += [(method, collection, {}) for method in ("PUT", "PATCH", "DELETE", "HEAD", "POST")]
        odd += [("GET", where, {"api-version": "tomorrow"}) for where in (at, collection)]
        odd += [
            ("GET", at, {"$expand": "a,b,,"}),
            ("GET", f"{at}/nothing", {}),
            ("POST", f"{at}/nothing", {}),
        ]
        odd += [("GET", collection, {name: "'"}) for name in ("$top", "$filter", "$expand", "$skiptoken")]
    for method, path, query in odd:
        assert arm(method, path, None, **query).status < 500, (method, path, query)


class TestPages:
    """https://learn.microsoft.com/rest/api/resources/resource-groups/list."""

    @pytest.mark.parametrize("path", [f"{SUBSCRIPTION}/resourceGroups", f"{SUBSCRIPTION}/resources"])
    def test_follow_one_another_to_the_end(self, arm: Arm, path: str) -> None:
        whole, found, more = arm.get(path)["value"], [], {"$top": "2"}
        while more:
            page = arm.get(path, **more)
            assert 0 < len(page["value"]) <= 2
            found += page["value"]
            link = page.get("nextLink", "")
            assert not link or link.startswith(f"https://management.azure.com{path}?")
            more = {"$top": "2", "$skiptoken": link.rpartition("=")[2]} if link else {}
        assert found == whole
        assert len(whole) >= 2

    @pytest.mark.parametrize("top", ["0", "-1", "many"])
    def test_have_a_size(self, arm: Arm, top: str) -> None:
        assert arm("GET", f"{SUBSCRIPTION}/resources", None, **{"$top": top}).status == 400


def test_a_resource_is_listed_with_what_is_asked_of_it(arm: Arm) -> None:
    """azure-cli's `resource list` asks so: $expand=createdTime,changedTime,provisioningState."""
    path = f"{GROUP}/resources"
    assert all("createdTime" not in one for one in arm.get(path)["value"])
    for one in arm.get(path, **{"$expand": "createdTime,changedTime,provisioningState"})["value"]:
        assert one["createdTime"].startswith("20")
        assert one["provisioningState"] == "Succeeded"
