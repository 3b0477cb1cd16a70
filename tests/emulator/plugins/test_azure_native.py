"""The emulated azure-native provider over gRPC, in front of the real control plane."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from emulator.arm.messages import Request, Response
from pulumi_wire.values import UNKNOWN, Properties
from tests.emulator.plugin_support import OTHER, SUBSCRIPTION, Deployed, Emulated, Provider, emulated

GROUP = "azure-native:resources:ResourceGroup"
NETWORK = "azure-native:network:VirtualNetwork"
SUBNET = "azure-native:network:Subnet"
RULES = "azure-native:network:NetworkSecurityGroup"
ACCOUNT = "azure-native:storage:StorageAccount"
BLOBS = "azure-native:storage:BlobServiceProperties"
IDENTITY = "azure-native:managedidentity:UserAssignedIdentity"
ZONE = "azure-native:privatedns:PrivateZone"
ROLE = "azure-native:authorization:RoleAssignment"

SPACE = {"addressPrefixes": ["10.0.0.0/16"]}


@pytest.fixture
def emulation(tmp_path: Path) -> Iterator[Emulated]:
    with emulated(tmp_path) as running:
        yield running


@pytest.fixture
def azure(emulation: Emulated) -> Iterator[Provider]:
    with emulation.provider("azure-native", subscriptionId=SUBSCRIPTION) as provider:
        yield provider


@pytest.fixture
def group(azure: Provider) -> Deployed:
    return azure.deploy(GROUP, "rg", {"resourceGroupName": "rg", "location": "westeurope"})


def network(azure: Provider, **more: Any) -> Deployed:
    return azure.deploy(
        NETWORK,
        "net",
        {"resourceGroupName": "rg", "virtualNetworkName": "net", "addressSpace": SPACE, **more},
    )


def account(azure: Provider, **more: Any) -> Deployed:
    inputs: Properties = {
        "resourceGroupName": "rg",
        "accountName": "stexample",
        "kind": "StorageV2",
        "sku": {"name": "Standard_LRS"},
    }
    return azure.deploy(ACCOUNT, "account", inputs | more)


class TestConfiguration:
    def test_a_provider_needs_the_guid_of_a_subscription(self, azure: Provider) -> None:
        (refusal,) = azure.check_config({"subscriptionId": "my-subscription"})
        assert "must be the GUID of a subscription, not 'my-subscription'" in refusal
        assert azure.check_config({}) != []
        assert azure.check_config({"subscriptionId": OTHER, "tenantId": "nobody"}) != []

    def test_what_only_the_real_provider_understands_passes(self, azure: Provider) -> None:
        assert azure.check_config({"subscriptionId": OTHER, "useOidc": "true", "environment": "public"}) == []

    def test_the_deployer_of_a_provider_belongs_to_its_subscription(self, azure: Provider) -> None:
        assert azure.invoke("azure-native:authorization:getClientConfig")["subscriptionId"] == SUBSCRIPTION
        with pytest.raises(grpc.RpcError, match="knows no such function"):
            azure.invoke("azure-native:storage:listStorageAccountKeys")


class TestCheck:
    def test_a_type_without_a_row_is_refused_with_the_file_where_it_belongs(self, azure: Provider) -> None:
        _, (refusal,) = azure.check("azure-native:network:ApplicationSecurityGroup", "routes", {})
        assert "azure-native:network:ApplicationSecurityGroup is not emulated" in refusal
        assert "azure_types/overrides.py" in refusal

    def test_a_token_with_the_same_api_version_is_the_same_type(
        self, azure: Provider, group: Deployed
    ) -> None:
        inputs = {"resourceGroupName": "rg", "virtualNetworkName": "net", "addressSpace": SPACE}
        made = azure.deploy("azure-native:network/v20240501:VirtualNetwork", "net", inputs)
        assert made.id.endswith("/virtualNetworks/net")
        _, (refusal,) = azure.check("azure-native:network/v20230101:VirtualNetwork", "net", inputs)
        assert "it speaks 2024-05-01" in refusal

    def test_a_location_comes_from_the_group_when_nobody_says_one(
        self, azure: Provider, group: Deployed
    ) -> None:
        checked, failures = azure.check(NETWORK, "net", {"resourceGroupName": "rg"})
        assert (checked["location"], failures) == ("westeurope", [])
        checked, _ = azure.check(NETWORK, "net", {"resourceGroupName": UNKNOWN})
        assert checked["location"] is UNKNOWN
        _, (refusal,) = azure.check(GROUP, "other", {})
        assert "pulumi config set azure-native:location" in refusal

    def test_an_old_location_outlives_the_provider_s(self, emulation: Emulated, group: Deployed) -> None:
        with emulation.provider(
            "azure-native", subscriptionId=SUBSCRIPTION, location="northeurope"
        ) as provider:
            inputs = {"resourceGroupName": "rg"}
            assert provider.check(NETWORK, "net", inputs)[0]["location"] == "northeurope"
            old = {**inputs, "location": "westeurope"}
            assert provider.check(NETWORK, "net", inputs, old)[0]["location"] == "westeurope"

    def test_a_missing_property_is_named(self, azure: Provider) -> None:
        _, failures = azure.check(ACCOUNT, "account", {"resourceGroupName": "rg", "location": "westeurope"})
        assert failures == ["missing required property 'kind'", "missing required property 'sku'"]

    @pytest.mark.parametrize(
        ("name", "words"),
        [
            ("st", "'accountName' is too short (2): at least 3 characters required"),
            ("s" * 25, "'accountName' is too long (25): at most 24 characters allowed"),
            ("st-x", "'accountName' does not match expression '^[a-z0-9]+$'"),
        ],
    )
    def test_a_name_that_azure_would_refuse_is_refused_before(
        self, azure: Provider, group: Deployed, name: str, words: str
    ) -> None:
        inputs = {"resourceGroupName": "rg", "accountName": name, "kind": "StorageV2", "sku": {"name": "x"}}
        _, (refusal,) = azure.check(ACCOUNT, "account", inputs)
        assert words in refusal

    def test_a_resource_without_a_name_gets_one_and_keeps_it(self, azure: Provider, group: Deployed) -> None:
        inputs = {"resourceGroupName": "rg", "addressSpace": SPACE}
        made = azure.deploy(NETWORK, "net", inputs)
        assert made.outputs["name"].startswith("net") and len(made.outputs["name"]) == len("net") + 8
        changed = azure.diff(made, {**inputs, "tags": {"a": "b"}})
        assert list(changed.diffs) == ["tags"]
        subnet, _ = azure.check(SUBNET, "inner", {"resourceGroupName": "rg", "virtualNetworkName": "net"})
        assert subnet["subnetName"] == "inner"


class TestDiff:
    def test_the_same_inputs_are_no_change(self, azure: Provider, group: Deployed) -> None:
        made = network(azure, tags={"a": "b"})
        answer = azure.diff(made, made.inputs)
        assert answer.changes == answer.DIFF_NONE

    def test_a_changed_tag_updates_and_names_its_path(self, azure: Provider, group: Deployed) -> None:
        made = network(azure, tags={"a": "b", "with.dot": "x"})
        answer = azure.diff(made, {**made.inputs, "tags": {"a": "c", "with.dot": "y", "new": "z"}})
        assert set(answer.detailedDiff) == {"tags.a", 'tags["with.dot"]', "tags.new"}
        assert (list(answer.diffs), list(answer.replaces)) == (["tags"], [])
        kinds = {path: entry.kind for path, entry in answer.detailedDiff.items()}
        assert kinds["tags.new"] == 0 and kinds["tags.a"] == 4  # ADD, UPDATE

    def test_a_changed_location_replaces_and_deletes_first(self, azure: Provider, group: Deployed) -> None:
        made = network(azure)
        answer = azure.diff(made, {**made.inputs, "location": "northeurope"})
        assert list(answer.replaces) == ["location"]
        assert answer.deleteBeforeReplace

    def test_a_made_up_name_lets_the_new_one_come_first(self, azure: Provider, group: Deployed) -> None:
        inputs = {"resourceGroupName": "rg", "addressSpace": SPACE, "location": "westeurope"}
        made = azure.deploy(NETWORK, "net", inputs)
        answer = azure.diff(made, {**inputs, "location": "northeurope"})
        assert list(answer.replaces) == ["location"]
        assert not answer.deleteBeforeReplace

    def test_a_location_of_the_network_provider_is_azure_s_to_refuse(
        self, azure: Provider, group: Deployed
    ) -> None:
        made = azure.deploy(RULES, "nsg", {"resourceGroupName": "rg", "networkSecurityGroupName": "nsg"})
        moved = {**made.inputs, "location": "northeurope"}
        assert list(azure.diff(made, moved).replaces) == []
        with pytest.raises(grpc.RpcError, match="InvalidResourceLocation"):
            azure.update(made, moved)

    def test_spelling_is_no_change_where_azure_does_not_mind(self, azure: Provider, group: Deployed) -> None:
        made = account(azure, location="West Europe")
        answer = azure.diff(made, {**made.inputs, "location": "westeurope"})
        assert answer.changes == answer.DIFF_NONE
        person = azure.deploy(IDENTITY, "id", {"resourceGroupName": "rg", "resourceName": "person"})
        role = azure.deploy(
            ROLE,
            "role",
            {
                "scope": made.id,
                "principalId": person.outputs["principalId"],
                "principalType": "ServicePrincipal",
                "roleDefinitionId": f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Authorization"
                "/roleDefinitions/2a2b9908-6ea1-4ae2-8e65-a410df84e7d1",
            },
        )
        answer = azure.diff(role, {**role.inputs, "scope": made.id.replace("Microsoft.", "microsoft.")})
        assert answer.changes == answer.DIFF_NONE

    def test_a_default_of_the_api_is_no_change(self, azure: Provider, group: Deployed) -> None:
        made = network(azure, subnets=[{"name": "a", "addressPrefix": "10.0.0.0/24"}])
        more = {
            **made.inputs,
            "enableDdosProtection": False,
            "subnets": [{**made.inputs["subnets"][0], "privateEndpointNetworkPolicies": "Disabled"}],
        }
        assert azure.diff(made, more).changes == azure.diff(made, made.inputs).changes
        more["enableDdosProtection"] = True
        assert list(azure.diff(made, more).diffs) == ["enableDdosProtection"]

    def test_what_is_not_known_yet_is_a_change(self, azure: Provider, group: Deployed) -> None:
        made = network(azure)
        answer = azure.diff(made, {**made.inputs, "resourceGroupName": UNKNOWN})
        assert list(answer.replaces) == ["resourceGroupName"]


class TestCreate:
    def test_outputs_are_what_azure_answers(self, azure: Provider, group: Deployed) -> None:
        made = network(
            azure, subnets=[{"name": "a", "addressPrefix": "10.0.0.0/24"}], flowTimeoutInMinutes=10
        )
        assert made.id == f"{group.id}/providers/Microsoft.Network/virtualNetworks/net"
        outputs = made.outputs
        assert outputs["type"] == "Microsoft.Network/virtualNetworks"
        assert outputs["provisioningState"] == "Succeeded"
        assert outputs["azureApiVersion"] == "2024-05-01"
        assert outputs["subnets"][0]["id"] == f"{made.id}/subnets/a"
        assert outputs["subnets"][0]["addressPrefix"] == "10.0.0.0/24"
        assert "properties" not in outputs and "id" not in outputs and "resourceGroupName" not in outputs

    def test_names_and_depth_change_on_the_way_to_azure(
        self, azure: Provider, emulation: Emulated, group: Deployed
    ) -> None:
        made = account(
            azure,
            enableHttpsTrafficOnly=True,
            networkRuleSet={
                "defaultAction": "Deny",
                "ipRules": [{"iPAddressOrRange": "192.0.2.1", "action": "Allow"}],
            },
        )
        live = emulation.arm.get(made.id)
        assert live["properties"]["supportsHttpsTrafficOnly"] is True
        assert live["properties"]["networkAcls"]["ipRules"][0]["value"] == "192.0.2.1"
        assert live["sku"]["name"] == "Standard_LRS"
        assert made.outputs["networkRuleSet"]["ipRules"][0]["iPAddressOrRange"] == "192.0.2.1"

    def test_a_list_of_identities_is_a_map_in_azure(
        self, azure: Provider, emulation: Emulated, group: Deployed
    ) -> None:
        person = azure.deploy(IDENTITY, "id", {"resourceGroupName": "rg", "resourceName": "person"})
        made = account(azure, identity={"type": "UserAssigned", "userAssignedIdentities": [person.id]})
        (identity,) = made.outputs["identity"]["userAssignedIdentities"].values()
        assert identity["principalId"] == person.outputs["principalId"]
        assert azure.refresh(made).inputs == made.inputs

    def test_what_exists_is_never_adopted(
        self, azure: Provider, emulation: Emulated, group: Deployed
    ) -> None:
        identifier = f"{group.id}/providers/Microsoft.Network/virtualNetworks/net"
        emulation.arm.put(identifier, {"location": "westeurope", "properties": {"addressSpace": SPACE}})
        with pytest.raises(grpc.RpcError, match="cannot create already existing resource"):
            network(azure)

    def test_a_resource_of_another_subscription_s_group_is_not_found(
        self, emulation: Emulated, group: Deployed
    ) -> None:
        with (
            emulation.provider("azure-native", subscriptionId=OTHER, location="westeurope") as stranger,
            pytest.raises(grpc.RpcError, match="ResourceGroupNotFound"),
        ):
            network(stranger)

    def test_azure_s_refusal_reaches_the_user(self, azure: Provider, group: Deployed) -> None:
        with pytest.raises(grpc.RpcError) as refused:
            network(azure, subnets=[{"name": "a", "addressPrefix": "10.1.0.0/24"}])
        assert 'Code="NetcfgInvalidSubnet"' in refused.value.details()

    def test_a_preview_knows_the_inputs_and_nothing_else(self, azure: Provider) -> None:
        outputs = azure.foretell(
            NETWORK,
            "net",
            {
                "resourceGroupName": "rg",
                "virtualNetworkName": "net",
                "addressSpace": SPACE,
                "subnets": [{"name": "a", "addressPrefix": "10.0.0.0/24"}],
            },
        )
        assert outputs["addressSpace"] == SPACE
        assert outputs["subnets"][0]["addressPrefix"] == "10.0.0.0/24"
        assert outputs["subnets"][0]["id"] is UNKNOWN
        assert "name" not in outputs


class TestUpdate:
    def test_a_preview_keeps_name_and_location(self, azure: Provider, group: Deployed) -> None:
        made = network(azure, tags={"a": "b"})
        foretold = azure.update(made, {**made.inputs, "tags": {"a": "c"}}, preview=True).outputs
        assert (foretold["name"], foretold["location"]) == ("net", "westeurope")
        assert foretold["tags"] == {"a": "c"}
        assert "resourceGuid" not in foretold

    def test_what_cannot_be_read_after_an_accepted_write_fails_it_and_keeps_the_outputs(
        self, azure: Provider, emulation: Emulated, group: Deployed, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It was taken for done, with no outputs at all: whatever used its name failed from then on."""
        zone = azure.deploy(
            ZONE, "zone", {"resourceGroupName": "rg", "privateZoneName": "a.example", "location": "global"}
        )
        plane, handle = emulation.arm.plane, emulation.arm.plane.handle
        broken = Response(status=500, body={"error": {"code": "InternalServerError", "message": "no"}})

        def without_reads(request: Request) -> Response:
            return broken if (request.method, request.path) == ("GET", zone.id) else handle(request)

        monkeypatch.setattr(plane, "handle", without_reads)
        with pytest.raises(grpc.RpcError, match="resource partially created but read failed Status=500"):
            azure.update(zone, {**zone.inputs, "tags": {"a": "b"}})
        monkeypatch.undo()
        assert azure.update(zone, {**zone.inputs, "tags": {"a": "b"}}).outputs["name"] == "a.example"

    def test_subnets_of_their_own_survive_an_update_of_the_network(
        self, azure: Provider, group: Deployed
    ) -> None:
        made = network(azure)
        subnet = azure.deploy(
            SUBNET,
            "inner",
            {"resourceGroupName": "rg", "virtualNetworkName": "net", "addressPrefix": "10.0.0.0/24"},
        )
        changed = azure.update(made, {**made.inputs, "tags": {"a": "b"}})
        assert [one["name"] for one in changed.outputs["subnets"]] == ["inner"]
        assert azure.refresh(subnet).id == subnet.id

    def test_subnets_that_were_inline_once_are_the_network_s(self, azure: Provider, group: Deployed) -> None:
        made = network(azure, subnets=[{"name": "a", "addressPrefix": "10.0.0.0/24"}])
        azure.deploy(
            SUBNET,
            "b",
            {"resourceGroupName": "rg", "virtualNetworkName": "net", "addressPrefix": "10.0.1.0/24"},
        )
        changed = azure.update(made, {**made.inputs, "tags": {"a": "b"}})
        assert [one["name"] for one in changed.outputs["subnets"]] == ["a"]

    def test_removed_network_rules_open_the_account_again(
        self, azure: Provider, emulation: Emulated, group: Deployed
    ) -> None:
        made = account(azure, networkRuleSet={"defaultAction": "Deny", "bypass": "None"})
        without = {name: value for name, value in made.inputs.items() if name != "networkRuleSet"}
        azure.update(made, without)
        rules = emulation.arm.get(made.id)["properties"]["networkAcls"]
        assert (rules["defaultAction"], rules["bypass"]) == ("Allow", "AzureServices")


class TestRead:
    def test_nothing_changed_is_no_drift(self, azure: Provider, group: Deployed) -> None:
        made = network(azure, subnets=[{"name": "a", "addressPrefix": "10.0.0.0/24"}])
        assert azure.refresh(made) == made

    def test_a_change_behind_the_engine_s_back_reaches_the_inputs(
        self, azure: Provider, emulation: Emulated, group: Deployed
    ) -> None:
        made = network(azure, tags={"a": "b"}, subnets=[{"name": "a", "addressPrefix": "10.0.0.0/24"}])
        live = emulation.arm.get(made.id)
        live["tags"] = {"a": "drifted", "more": "x"}
        live["properties"]["subnets"][0]["properties"]["privateEndpointNetworkPolicies"] = "Enabled"
        emulation.arm.put(made.id, live)
        seen = azure.refresh(made)
        assert seen.inputs["tags"] == {"a": "drifted", "more": "x"}
        (subnet,) = seen.inputs["subnets"]
        # https://github.com/pulumi/pulumi-azure-native/issues/4722: the etag is an input of the SDK as well.
        assert subnet.pop("etag") == seen.outputs["subnets"][0]["etag"]
        assert subnet == {
            "name": "a",
            "addressPrefix": "10.0.0.0/24",
            "privateEndpointNetworkPolicies": "Enabled",
        }
        assert set(azure.diff(seen, made.inputs).diffs) == {"tags", "subnets"}

    def test_what_is_put_into_a_network_changes_the_etags_of_its_subnets_alone(
        self, azure: Provider, emulation: Emulated, group: Deployed
    ) -> None:
        """The provider pairs lists by place, so that Azure's order of subnets matters: it is the sent one."""
        delegations = [{"name": "service", "serviceName": "Microsoft.PowerPlatform/vnetaccesslinks"}]
        made = network(
            azure,
            subnets=[
                {"name": "server", "addressPrefix": "10.0.0.0/26"},
                {"name": "gateway", "addressPrefix": "10.0.0.64/26", "delegations": delegations},
            ],
        )
        emulation.arm.put(made.id, emulation.arm.get(made.id))
        seen = azure.refresh(made)
        changed = set(azure.diff(seen, made.inputs).detailedDiff)
        assert changed == {"subnets[0].etag", "subnets[1].etag", "subnets[1].delegations[0].etag"}

    def test_what_was_taken_away_behind_the_engine_s_back_leaves_the_inputs(
        self, azure: Provider, emulation: Emulated, group: Deployed
    ) -> None:
        made = network(azure, tags={"a": "b"})
        live = emulation.arm.get(made.id)
        del live["tags"]
        emulation.arm.put(made.id, live)
        seen = azure.refresh(made)
        assert "tags" not in seen.inputs
        assert set(azure.diff(seen, made.inputs).diffs) == {"tags"}

    def test_what_belongs_to_others_is_no_drift(self, azure: Provider, group: Deployed) -> None:
        made = network(azure)
        azure.deploy(
            SUBNET,
            "inner",
            {"resourceGroupName": "rg", "virtualNetworkName": "net", "addressPrefix": "10.0.0.0/24"},
        )
        assert azure.refresh(made).inputs == made.inputs

    def test_what_is_gone_has_no_id(self, azure: Provider, emulation: Emulated, group: Deployed) -> None:
        made = network(azure)
        emulation.arm.delete(made.id)
        assert azure.refresh(made).id == ""

    def test_an_import_rebuilds_inputs_that_deploy_the_same(self, azure: Provider, group: Deployed) -> None:
        made = network(azure, tags={"a": "b"}, subnets=[{"name": "a", "addressPrefix": "10.0.0.0/24"}])
        seen = azure.read(NETWORK, "net", made.id.lower())
        assert seen.id == made.id
        (subnet,) = seen.inputs.pop("subnets")
        (asked,) = made.inputs["subnets"]
        assert subnet.keys() - asked.keys() == {"etag", "id", "provisioningState", "type"}
        assert {name: subnet[name] for name in asked} == asked
        assert seen.inputs == {name: value for name, value in made.inputs.items() if name != "subnets"} | {
            "privateEndpointVNetPolicies": "Disabled"
        }

    def test_an_id_of_another_type_cannot_be_imported(self, azure: Provider, group: Deployed) -> None:
        with pytest.raises(grpc.RpcError, match="is no id of azure-native:network:VirtualNetwork"):
            azure.read(NETWORK, "net", group.id)


class TestDelete:
    def test_what_is_gone_already_is_deleted(
        self, azure: Provider, emulation: Emulated, group: Deployed
    ) -> None:
        made = network(azure)
        emulation.arm.delete(made.id)
        azure.delete(made)
        azure.delete(group)
        azure.delete(made)

    def test_what_lives_with_its_parent_is_reset(
        self, azure: Provider, emulation: Emulated, group: Deployed
    ) -> None:
        owner = account(azure)
        blobs = azure.deploy(
            BLOBS,
            "blobs",
            {"resourceGroupName": "rg", "accountName": "stexample", "isVersioningEnabled": True},
        )
        assert blobs.id.endswith("/blobServices/default")
        azure.delete(blobs)
        assert not emulation.arm.get(blobs.id)["properties"].get("isVersioningEnabled")
        azure.delete(owner)
