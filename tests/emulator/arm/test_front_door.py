"""The front door: who may enter, in which order Azure checks, and the words of its refusals."""

import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest

from emulator.arm.control_plane import ControlPlane
from emulator.arm.messages import Request, Response
from emulator.arm.tokens import AUDIENCE, ISSUER, TENANT_ID, Caller, issue
from tests.emulator.arm_client import GROUP, OTHER_SUBSCRIPTION, SUBSCRIPTION, Arm, said

KEY = b"k" * 32
NETWORK = f"{GROUP}/providers/Microsoft.Network"
NSG = f"{NETWORK}/networkSecurityGroups/nsg"
LOCKS = "providers/Microsoft.Authorization/locks"
BODY: dict[str, Any] = {"location": "westeurope"}


def ask(arm: Arm, path: str, headers: dict[str, str] | None = None, **query: str) -> Response:
    return arm.plane.handle(Request(method="GET", path=path, query=query, headers=headers or {}))


def bearer(key: bytes = KEY, **claims: Any) -> dict[str, str]:
    now = int(time.time())
    own = {
        "aud": AUDIENCE,
        "iss": ISSUER,
        "tid": TENANT_ID,
        "oid": "o",
        "appid": "a",
        "nbf": now,
        "exp": now + 60,
    }
    return {"authorization": f"Bearer {jwt.encode(own | claims, key, algorithm='HS256')}"}


class TestTokens:
    @pytest.mark.parametrize(
        ("headers", "code"),
        [
            (dict, "AuthenticationFailed"),
            (lambda: {"authorization": "Basic abc"}, "AuthenticationFailedInvalidHeader"),
            (lambda: {"authorization": "Bearer abc"}, "InvalidAuthenticationToken"),
            (lambda: bearer(b"x" * 32), "InvalidAuthenticationToken"),
            (lambda: bearer(exp=1), "ExpiredAuthenticationToken"),
            (lambda: bearer(aud="https://storage.azure.com/"), "InvalidAuthenticationTokenAudience"),
            (lambda: bearer(tid="another"), "InvalidAuthenticationTokenTenant"),
        ],
    )
    def test_a_bad_one_is_refused_before_anything_else(
        self, arm: Arm, headers: Callable[[], dict[str, str]], code: str
    ) -> None:
        for path in ("/nonsense", "/emulator/vms"):
            answer = ask(arm, path, headers())
            assert answer.status == 401
            assert said(answer).split(":")[0] == code
            assert answer.headers["WWW-Authenticate"].startswith("Bearer ")

    def test_one_of_another_emulator_is_worth_nothing(self, arm: Arm) -> None:
        foreign, _ = issue(b"z" * 32)
        assert ask(arm, GROUP, {"authorization": f"Bearer {foreign}"}).status == 401


class TestOrderOfChecks:
    def test_the_api_version_comes_first(self, arm: Arm) -> None:
        assert said(ask(arm, "/subscriptions/x", bearer())).startswith("MissingApiVersionParameter")

    def test_then_the_subscription(self, arm: Arm) -> None:
        query = {"api-version": "2024-03-01"}
        nowhere = "/subscriptions/33333333-3333-4333-8333-333333333333"
        assert said(ask(arm, "/subscriptions/x/resourceGroups/rg", bearer(), **query)).startswith(
            "InvalidSubscriptionId"
        )
        assert said(ask(arm, f"{nowhere}/resourceGroups/rg", bearer(), **query)).startswith(
            "SubscriptionNotFound"
        )

    @pytest.mark.parametrize(
        ("path", "code", "file"),
        [
            (f"{NETWORK}/bastionHosts/b", "InvalidResourceType", "emulator/arm/network/"),
            (f"{GROUP}/providers/Microsoft.Web/sites/s", "InvalidResourceNamespace", "emulator/arm/types.py"),
        ],
    )
    def test_then_the_type_with_the_file_where_to_add_it(
        self, arm: Arm, path: str, code: str, file: str
    ) -> None:
        refusal = said(arm("PUT", path, BODY))
        assert refusal.startswith(code)
        assert path.split("/")[-2] in refusal
        assert file in refusal

    def test_then_the_api_version_of_the_type(self, arm: Arm) -> None:
        for version in ("1999-01-01", "2024-02-31", "2999-01-01", "latest", "2024-01-01-final"):
            query = {"api-version": version}
            assert said(ask(arm, NSG, bearer(), **query)).startswith("NoRegisteredProviderFound")
            assert said(ask(arm, GROUP, bearer(), **query)).startswith("InvalidApiVersionParameter")

    def test_versions_that_only_other_clients_use_are_answered(self, arm: Arm) -> None:
        """Azure answered these (azure-cli test_network_nsg, 2020-10; today's az 2.91); docs/adr/0026."""
        for version in ("2018-11-01", "2020-06-01", "2021-03-01-preview", "2026-09-01-preview"):
            answer = ask(arm, GROUP, bearer(), **{"api-version": version})
            assert answer.status == 200

    def test_then_the_rights_even_on_what_does_not_exist(self, arm: Arm) -> None:
        stranger = arm.as_caller(Caller(subscriptions=frozenset()))
        refusal = said(
            stranger("PUT", f"{GROUP}none/providers/Microsoft.Network/networkSecurityGroups/n", BODY)
        )
        assert refusal.startswith("AuthorizationFailed")
        assert "'Microsoft.Network/networkSecurityGroups/write'" in refusal

    def test_then_the_group(self, arm: Arm) -> None:
        refusal = arm.refusal(f"{GROUP}none/providers/Microsoft.Network/networkSecurityGroups/nsg", BODY)
        assert refusal == "ResourceGroupNotFound: Resource group 'rgnone' could not be found."

    def test_a_provider_of_another_subscription_finds_no_group(self, arm: Arm) -> None:
        path = NSG.replace(SUBSCRIPTION, OTHER_SUBSCRIPTION)
        assert arm.refusal(path, BODY).startswith("ResourceGroupNotFound")

    def test_then_locks_before_the_body(self, arm: Arm) -> None:
        arm.put(f"{GROUP}/{LOCKS}/keep", {"properties": {"level": "ReadOnly"}})
        assert arm.refusal(NSG, {"nonsense": 1}).startswith("ScopeLocked")

    def test_then_the_body(self, arm: Arm) -> None:
        assert arm.refusal(NSG, {}).startswith("LocationRequired")


class TestBodies:
    @pytest.mark.parametrize(
        ("body", "code", "path"),
        [
            (BODY | {"nonsense": 1}, "InvalidRequestContent", "Path 'nonsense'"),
            (BODY | {"properties": {"nonsense": 1}}, "InvalidRequestContent", "Path 'properties.nonsense'"),
            (
                BODY | {"properties": {"securityRules": [{"name": "r", "properties": {"prio": 1}}]}},
                "InvalidRequestContent",
                "Path 'properties.securityRules[0].properties.prio'",
            ),
            (BODY | {"tags": ["a"]}, "InvalidRequestContent", "Path 'tags'"),
            (BODY | {"properties": {"flushConnection": "yes"}}, "InvalidRequestContent", "System.Boolean"),
            ({"location": "mars"}, "LocationNotAvailableForResourceType", "westeurope"),
            (BODY | {"tags": {f"t{i}": "" for i in range(51)}}, "TooManyTags", "50"),
            (BODY | {"tags": {"a/b": ""}}, "InvalidTagName", "a/b"),
            (BODY | {"tags": {"a": "x" * 257}}, "InvalidTagValueLength", "256"),
        ],
    )
    def test_are_refused_by_member_and_path(
        self, arm: Arm, body: dict[str, Any], code: str, path: str
    ) -> None:
        refusal = arm.refusal(NSG, body)
        assert refusal.startswith(code)
        assert path in refusal

    def test_may_repeat_what_was_answered(self, arm: Arm) -> None:
        made = arm.put(NSG, BODY)
        arm.put(NSG, made)

    def test_names_are_taken_in_any_case_and_locations_with_blanks(self, arm: Arm) -> None:
        made = arm.put(NSG, {"location": "West Europe", "properties": {"SecurityRules": []}})
        assert made["location"] == "westeurope"

    def test_names_follow_the_rule_of_their_provider(self, arm: Arm) -> None:
        assert arm.refusal(f"{NSG}-", BODY).startswith("InvalidResourceName: Resource name nsg- is invalid.")


class TestReading:
    def test_ids_are_compared_without_case_and_answered_as_made(self, arm: Arm) -> None:
        arm.put(NSG, BODY)
        assert arm.get(NSG.upper().replace("/SUBSCRIPTIONS", "/subscriptions"))["id"] == NSG
        assert arm.put(NSG.lower(), BODY)["id"] == NSG

    def test_what_is_missing_is_named(self, arm: Arm) -> None:
        assert said(arm("GET", NSG)) == (
            "ResourceNotFound: The Resource 'Microsoft.Network/networkSecurityGroups/nsg' under resource "
            "group 'rg' was not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix"
        )

    def test_lists_by_group_and_by_subscription(self, arm: Arm) -> None:
        twin = NSG.replace("/rg/", "/other/")
        arm.put(NSG, BODY)
        arm.put(twin, BODY)
        assert [one["id"] for one in arm.get(NSG.rsplit("/", 1)[0])["value"]] == [NSG]
        everywhere = arm.get(f"{SUBSCRIPTION}/providers/Microsoft.Network/networkSecurityGroups")["value"]
        assert {one["id"] for one in everywhere} == {NSG, twin}
        assert arm.get(f"{NETWORK}/virtualNetworks")["value"] == []

    def test_lists_every_resource_of_a_group(self, arm: Arm) -> None:
        arm.put(NSG, BODY | {"tags": {"a": "b"}})
        listed = arm.get(f"{GROUP}/resources")["value"]
        assert [(one["id"], one["tags"]) for one in listed] == [(NSG, {"a": "b"})]
        other = {"$filter": "resourceType eq 'Microsoft.Storage/storageAccounts'"}
        assert arm.get(f"{SUBSCRIPTION}/resources", **other)["value"] == []

    def test_head_says_whether_something_is_there(self, arm: Arm) -> None:
        assert arm("HEAD", GROUP).status == 204
        assert arm("HEAD", f"{GROUP}none").status == 404

    def test_methods_that_azure_does_not_have_are_refused(self, arm: Arm) -> None:
        assert arm("PUT", f"{NETWORK}/networkSecurityGroups", BODY).status == 405
        assert arm("POST", f"{NSG}/dance").status == 404


class TestWriting:
    def test_201_for_new_and_200_for_known(self, arm: Arm) -> None:
        assert arm("PUT", NSG, BODY).status == 201
        assert arm("PUT", NSG, BODY).status == 200

    def test_patch_changes_tags_and_nothing_else(self, arm: Arm) -> None:
        rule = {"priority": 100, "direction": "Inbound", "access": "Deny", "protocol": "*"}
        rule |= {f"{side}AddressPrefix": "*" for side in ("source", "destination")}
        rule |= {f"{side}PortRange": "*" for side in ("source", "destination")}
        arm.put(NSG, BODY | {"properties": {"securityRules": [{"name": "r", "properties": rule}]}})
        changed = arm("PATCH", NSG, {"tags": {"a": "b"}}).body
        assert changed is not None
        assert changed["tags"] == {"a": "b"}
        assert [one["name"] for one in changed["properties"]["securityRules"]] == ["r"]
        assert said(arm("PATCH", NSG, {"properties": {}})).startswith("InvalidRequestContent")

    def test_deleting_what_is_not_there_is_no_error(self, arm: Arm) -> None:
        assert arm("DELETE", NSG).status == 204
        assert arm("DELETE", NSG.replace("/rg/", "/none/")).status == 404

    def test_a_refused_write_leaves_nothing(self, arm: Arm) -> None:
        before = arm.get("/emulator/changes")["revision"]
        arm.refusal(NSG, BODY | {"properties": {"securityRules": [{"name": "r", "properties": {}}]}})
        assert arm.get("/emulator/changes")["revision"] == before


class TestLocks:
    def lock(self, arm: Arm, scope: str, level: str) -> str:
        path = f"{scope}/{LOCKS}/keep"
        arm.put(path, {"properties": {"level": level}})
        return path

    @pytest.mark.parametrize("scope", [SUBSCRIPTION, GROUP, NSG])
    def test_cannot_delete_holds_at_and_below_its_scope(self, arm: Arm, scope: str) -> None:
        arm.put(NSG, BODY)
        lock = self.lock(arm, scope, "CanNotDelete")
        refusal = said(arm("DELETE", NSG))
        assert refusal.startswith(f"ScopeLocked: The scope '{NSG}' cannot perform delete operation")
        assert f"locked: '{scope}'" in refusal
        arm.put(NSG, BODY | {"tags": {"a": "b"}})
        arm.delete(lock)
        arm.delete(NSG)

    def test_a_lock_below_holds_the_group_before_anything_goes(self, arm: Arm) -> None:
        arm.put(NSG, BODY)
        arm.put(f"{NSG}2", BODY)
        self.lock(arm, NSG, "CanNotDelete")
        assert said(arm("DELETE", GROUP)).startswith("ScopeLocked")
        assert arm("GET", f"{NSG}2").status == 200

    def test_read_only_forbids_every_write(self, arm: Arm) -> None:
        arm.put(NSG, BODY)
        self.lock(arm, GROUP, "ReadOnly")
        for method in ("PUT", "PATCH", "DELETE"):
            assert said(arm(method, NSG, BODY)).startswith("ScopeLocked")
        assert arm("GET", NSG).status == 200


class TestSubscriptions:
    def test_appear_with_their_first_write(self, arm: Arm) -> None:
        path = f"{OTHER_SUBSCRIPTION}/resourceGroups/rg"
        assert said(arm("GET", OTHER_SUBSCRIPTION)).startswith("SubscriptionNotFound")
        arm.put(path, BODY)
        known = {one["subscriptionId"] for one in arm.get("/subscriptions")["value"]}
        assert known == {SUBSCRIPTION.rsplit("/", 1)[-1], OTHER_SUBSCRIPTION.rsplit("/", 1)[-1]}
        assert arm.get(OTHER_SUBSCRIPTION)["state"] == "Enabled"

    def test_do_not_appear_with_a_refused_write(self, arm: Arm) -> None:
        path = f"{OTHER_SUBSCRIPTION}/resourceGroups/none/providers/Microsoft.Network/networkSecurityGroups/n"
        arm.refusal(path, BODY)
        assert said(arm("GET", OTHER_SUBSCRIPTION)).startswith("SubscriptionNotFound")

    def test_have_all_their_providers_registered(self, arm: Arm) -> None:
        provider = arm.get(f"{SUBSCRIPTION}/providers/Microsoft.Network")
        assert provider["registrationState"] == "Registered"
        assert "virtualNetworks" in [one["resourceType"] for one in provider["resourceTypes"]]
        delegated = arm.get(f"{SUBSCRIPTION}/providers/Microsoft.PowerPlatform")
        assert (delegated["registrationState"], delegated["resourceTypes"]) == ("Registered", [])
        listed = arm.get(f"{SUBSCRIPTION}/providers")["value"]
        assert "Microsoft.PowerPlatform" in {one["namespace"] for one in listed}
        feature = "Microsoft.Features/providers/Microsoft.Compute/features/EncryptionAtHost"
        state = arm.get(f"{SUBSCRIPTION}/providers/{feature}")["properties"]["state"]
        assert state == "Registered"


class TestGroups:
    def test_cannot_move(self, arm: Arm) -> None:
        assert arm.refusal(GROUP, {"location": "northeurope"}).startswith("InvalidResourceGroupLocation")

    @pytest.mark.parametrize("name", ["a" * 91, "ends.", "with!"])
    def test_have_names_of_their_own_rule(self, arm: Arm, name: str) -> None:
        assert arm.refusal(f"{SUBSCRIPTION}/resourceGroups/{name}", BODY).startswith("InvalidResourceGroup")

    def test_go_with_all_that_is_in_them_in_the_order_of_its_dependencies(self, arm: Arm) -> None:
        vnet = f"{NETWORK}/virtualNetworks/vnet"
        subnet = {"addressPrefix": "10.0.0.0/26", "networkSecurityGroup": {"id": NSG}}
        space = {"addressSpace": {"addressPrefixes": ["10.0.0.0/24"]}}
        arm.put(NSG, BODY)
        arm.put(vnet, BODY | {"properties": space | {"subnets": [{"name": "one", "properties": subnet}]}})
        use = {"name": "a", "properties": {"subnet": {"id": f"{vnet}/subnets/one"}}}
        arm.put(f"{NETWORK}/networkInterfaces/nic", BODY | {"properties": {"ipConfigurations": [use]}})
        arm.put(f"{GROUP}/{LOCKS}/keep", {"properties": {"level": "CanNotDelete"}})
        arm.delete(f"{GROUP}/{LOCKS}/keep")
        answer = arm("DELETE", GROUP)
        assert answer.status == 202
        assert arm.follow(answer).status == 200
        for path in (GROUP, f"{GROUP}/resources", NSG):
            assert said(arm("GET", path)).startswith("ResourceGroupNotFound")

    def test_stay_when_something_outside_uses_what_is_inside(self, arm: Arm) -> None:
        vnet = NSG.replace("/rg/", "/other/").replace("networkSecurityGroups/nsg", "virtualNetworks/vnet")
        subnet = {"addressPrefix": "10.0.0.0/26", "networkSecurityGroup": {"id": NSG}}
        space = {"addressSpace": {"addressPrefixes": ["10.0.0.0/24"]}}
        arm.put(NSG, BODY)
        arm.put(vnet, BODY | {"properties": space | {"subnets": [{"name": "one", "properties": subnet}]}})
        refusal = said(arm.follow(arm("DELETE", GROUP)))
        assert refusal.startswith("ResourceGroupDeletionBlocked")
        assert NSG in refusal
        assert arm("GET", NSG).status == 200
        arm.put(f"{NSG}2", BODY)

    def test_missing_ones_cannot_go(self, arm: Arm) -> None:
        assert said(arm("DELETE", f"{GROUP}none")).startswith("ResourceGroupNotFound")


def test_a_failure_of_the_emulator_is_a_500_that_says_where(
    arm: Arm, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr(ControlPlane, "_settle", broken)
    answer = arm("GET", GROUP)
    assert answer.status == 500
    assert GROUP in said(answer)
    assert "a mistake of ours" in caplog.text
