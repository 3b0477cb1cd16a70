"""What people ask Azure besides its resources: who wrote what, which routes hold, which images there are.

Each answer has the shape of the page that its module names; azure-cli asks every one of them
(test_azure_cli.py).
"""

from typing import Any

import pytest

from azure_types.roles import BUILT_IN
from emulator.arm import absent
from emulator.arm.messages import Response
from emulator.arm.types import CATALOGUE
from tests.emulator.arm.test_clients import COMPUTE, NETWORK, deploy
from tests.emulator.arm_client import GROUP, OTHER_GROUP, SUBSCRIPTION, Arm, said

NIC = f"{NETWORK}/networkInterfaces/nic"
REGISTRY = f"{GROUP}/providers/Microsoft.ContainerRegistry/registries/crlists"
MACHINE = f"{COMPUTE}/virtualMachines/vm"
IMAGES = f"{SUBSCRIPTION}/providers/Microsoft.Compute/locations/westeurope/publishers"
FEATURES = f"{SUBSCRIPTION}/providers/Microsoft.Features"


@pytest.fixture
def deployed(arm: Arm) -> Arm:
    deploy(arm)
    return arm


def result(arm: Arm, answer: Response) -> Any:
    """What a question that is answered by an operation came to."""
    assert answer.status == 202, answer.body
    return arm.follow(answer).body["value"]


def named(found: list[dict[str, Any]]) -> list[str]:
    return [one["name"] for one in found]


class TestActivity:
    def events(self, arm: Arm, more: str = "", since: str = "2020-01-01T00:00:00Z") -> list[dict[str, Any]]:
        path = f"{SUBSCRIPTION}/providers/Microsoft.Insights/eventtypes/management/values"
        found: list[dict[str, Any]] = arm.get(path, **{"$filter": f"eventTimestamp ge '{since}'{more}"})[
            "value"
        ]
        return found

    def test_says_who_wrote_what_the_newest_first(self, deployed: Arm) -> None:
        deployed("POST", f"{MACHINE}/deallocate")
        deployed.delete(f"{NETWORK}/privateEndpoints/pe")
        last, before, *_ = self.events(deployed)
        assert last["operationName"]["value"] == "Microsoft.Network/privateEndpoints/delete"
        assert last["resourceId"] == f"{NETWORK}/privateEndpoints/pe"
        assert before["operationName"]["value"].startswith("Microsoft.Compute/virtualMachines/")
        assert before["resourceId"] == MACHINE
        assert last["caller"] == before["caller"] != ""

    def test_is_chosen_by_group_and_by_time(self, arm: Arm) -> None:
        inside = self.events(arm, " and resourceGroupName eq 'RG'")
        assert [one["resourceId"] for one in inside] == [GROUP]
        assert self.events(arm, since="2999-01-01T00:00:00Z") == []

    def test_does_not_hold_what_was_refused_or_only_read(self, arm: Arm) -> None:
        before = self.events(arm)
        arm("PUT", f"{NETWORK}/virtualNetworks/v", {"location": "nowhere"})
        arm("GET", GROUP)
        assert self.events(arm) == before

    def test_must_be_told_from_when_on(self, arm: Arm) -> None:
        path = f"{SUBSCRIPTION}/providers/Microsoft.Insights/eventtypes/management/values"
        for text in ("", "eventTimestamp ge 'yesterday'", "eventTimestamp ge '2020-01-01' and level eq '1'"):
            assert said(arm("GET", path, None, **{"$filter": text})).startswith("BadRequest: ")


class TestMetrics:
    def test_are_known_by_type_and_never_have_a_value(self, deployed: Arm) -> None:
        path = f"{MACHINE}/providers/Microsoft.Insights"
        known = [one["name"]["value"] for one in deployed.get(f"{path}/metricDefinitions")["value"]]
        assert "Percentage CPU" in known
        (found,) = deployed.get(f"{path}/metrics", metricnames="percentage cpu")["value"]
        assert (found["name"]["value"], found["timeseries"]) == ("Percentage CPU", [])
        refused = deployed("GET", f"{path}/metrics", None, metricnames="Luck")
        assert said(refused).startswith("BadRequest: Failed to find metric configuration")


class TestEffective:
    def test_routes_lead_to_the_own_network_the_peer_and_each_endpoint(self, deployed: Arm) -> None:
        routes = result(deployed, deployed("POST", f"{NIC}/effectiveRouteTable"))
        found = {one["addressPrefix"][0]: one["nextHopType"] for one in routes}
        assert found["10.0.0.0/24"] == "VnetLocal"
        assert found["10.1.0.0/24"] == "VNetPeering"
        assert found["0.0.0.0/0"] == "Internet"
        assert found["10.0.0.0/8"] == found["192.168.0.0/16"] == "None"
        assert [prefix for prefix, hop in found.items() if hop == "InterfaceEndpoint"] == ["10.0.0.5/32"]

    def test_a_cut_peering_has_no_route(self, deployed: Arm) -> None:
        deployed.delete(f"{NETWORK}/virtualNetworks/spoke/virtualNetworkPeerings/hub")
        routes = result(deployed, deployed("POST", f"{NIC}/effectiveRouteTable"))
        assert "VNetPeering" not in {one["nextHopType"] for one in routes}

    def test_rules_are_those_of_the_subnets_group(self, deployed: Arm) -> None:
        (found,) = result(deployed, deployed("POST", f"{NIC}/effectiveNetworkSecurityGroups"))
        assert found["association"] == {"subnet": {"id": f"{NETWORK}/virtualNetworks/hub/subnets/server"}}
        own, *defaults = found["effectiveSecurityRules"]
        assert (own["name"], own["destinationPortRange"]) == ("securityRules/fl", "8002-8002")
        assert [one["name"].partition("/")[0] for one in defaults] == ["defaultSecurityRules"] * 6

    def test_nothing_is_known_of_a_machine_that_does_not_run(self, deployed: Arm) -> None:
        deployed("POST", f"{MACHINE}/deallocate")
        for action in ("effectiveRouteTable", "effectiveNetworkSecurityGroups"):
            assert deployed("POST", f"{NIC}/{action}").status == 400


class TestAddresses:
    def test_of_a_network_are_free_or_taken(self, deployed: Arm) -> None:
        path = f"{NETWORK}/virtualNetworks/hub/CheckIPAddressAvailability"
        assert deployed.get(path, ipAddress="10.0.0.9")["available"] is True
        taken = deployed.get(path, ipAddress="10.0.0.4")
        assert taken["available"] is False
        assert taken["availableIPAddresses"][0] == "10.0.0.6"
        for wrong in ("10.9.9.9", "ten"):
            assert deployed("GET", path, None, ipAddress=wrong).status == 400


class TestTags:
    TAGS = f"{GROUP}/providers/Microsoft.Resources/tags/default"

    def change(self, arm: Arm, operation: str, **tags: str) -> Any:
        answer = arm("PATCH", self.TAGS, {"operation": operation, "properties": {"tags": tags}})
        assert answer.status == 200, answer.body
        assert arm.get(GROUP).get("tags", {}) == answer.body["properties"]["tags"]
        return answer.body["properties"]["tags"]

    def test_are_merged_replaced_and_removed(self, arm: Arm) -> None:
        assert self.change(arm, "Merge", a="1", b="2") == {"a": "1", "b": "2"}
        assert self.change(arm, "Merge", b="3") == {"a": "1", "b": "3"}
        assert self.change(arm, "Delete", a="1", b="other") == {"b": "3"}
        assert self.change(arm, "Replace", c="4") == {"c": "4"}
        assert arm.get(self.TAGS)["properties"]["tags"] == {"c": "4"}
        assert said(arm("PATCH", self.TAGS, {"operation": "Forget"})).startswith("InvalidRequestContent: ")
        arm.delete(self.TAGS)
        assert arm.get(self.TAGS)["properties"]["tags"] == {}

    def test_of_a_locked_group_stay(self, arm: Arm) -> None:
        lock = f"{GROUP}/providers/Microsoft.Authorization/locks/l"
        arm.put(lock, {"properties": {"level": "ReadOnly"}})
        change = {"operation": "Merge", "properties": {"tags": {"a": "1"}}}
        assert said(arm("PATCH", self.TAGS, change)).startswith("ScopeLocked: ")

    def test_are_counted_by_name_and_value(self, arm: Arm) -> None:
        for group, value in ((GROUP, "centre"), (OTHER_GROUP, "hospital")):
            arm.put(group, {"location": "westeurope", "tags": {"party": value}})
        (found,) = arm.get(f"{SUBSCRIPTION}/tagNames")["value"]
        assert (found["tagName"], found["count"]["value"]) == ("party", 2)
        assert [one["tagValue"] for one in found["values"]] == ["centre", "hospital"]


class TestImages:
    OFFERS = f"{IMAGES}/Canonical/artifacttypes/vmimage/offers"

    def test_are_found_from_publisher_to_version(self, arm: Arm) -> None:
        assert "canonical" in named(arm.rows(IMAGES))
        assert "ubuntu-24_04-lts" in named(arm.rows(self.OFFERS))
        skus = f"{self.OFFERS}/ubuntu-24_04-lts/skus"
        assert "server" in named(arm.rows(skus))
        (newest,) = named(arm.rows(f"{skus}/server/versions"))
        one = arm.get(f"{skus}/server/versions/{newest}")["properties"]
        assert (one["architecture"], one["hyperVGeneration"]) == ("x64", "V2")

    def test_that_nobody_publishes_have_no_version(self, arm: Arm) -> None:
        versions = f"{self.OFFERS}/windows/skus/server/versions"
        assert arm.rows(versions) == []
        assert said(arm("GET", f"{versions}/24.04.202509170")).startswith("NotFound: ")


class TestLists:
    def test_features_are_registered(self, arm: Arm) -> None:
        (found,) = arm.get(f"{FEATURES}/features")["value"]
        assert found["name"] == "Microsoft.Compute/EncryptionAtHost"
        one = f"{FEATURES}/providers/Microsoft.Compute/features/EncryptionAtHost"
        assert arm("POST", f"{one}/register").body["properties"]["state"] == "Registered"
        assert arm("POST", f"{one}/unregister").status == 404

    def test_nothing_is_deployed_by_templates(self, arm: Arm) -> None:
        assert arm.get(f"{GROUP}/providers/Microsoft.Resources/deployments")["value"] == []
        assert arm("GET", f"{GROUP}x/providers/Microsoft.Resources/deployments").status == 404

    def test_of_what_cannot_be_made_there_is_nothing(self, deployed: Arm) -> None:
        for type_ in absent.TYPES:
            above = REGISTRY if type_.kind.startswith("registries/") else GROUP
            if type_.kind.startswith("storageAccounts/"):
                above = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/sthub"
            path = f"{above}/{type_.kind.rpartition('/')[2]}"
            if above == GROUP:
                path = f"{GROUP}/providers/{type_.name}"
            deployed.put(REGISTRY, {"location": "westeurope", "sku": {"name": "Basic"}})
            assert deployed.get(path)["value"] == []
            refused = deployed("PUT", f"{path}/one", {"location": "westeurope"})
            assert (refused.status, refused.body["error"]["code"]) == (404, "InvalidResourceType")
            assert deployed("GET", f"{path}/one").status == 404
        assert deployed("GET", f"{REGISTRY}x/webhooks").status == 404

    def test_no_type_is_described_twice(self) -> None:
        ours = {type_.key for type_ in absent.TYPES}
        assert not ours & {type_.key for type_ in CATALOGUE if type_ not in absent.TYPES}
        assert len(ours) == len(absent.TYPES)

    def test_accounts_are_counted_by_region(self, deployed: Arm) -> None:
        path = f"{SUBSCRIPTION}/providers/Microsoft.Storage/locations"
        used = [
            deployed.get(f"{path}/{region}/usages")["value"][0]["currentValue"]
            for region in ("westeurope", "northeurope")
        ]
        assert used == [1, 0]

    def test_sizes_have_cores(self, deployed: Arm) -> None:
        for path in (f"{SUBSCRIPTION}/providers/Microsoft.Compute/locations/westeurope", MACHINE):
            sizes = {one["name"]: one["numberOfCores"] for one in deployed.get(f"{path}/vmSizes")["value"]}
            assert sizes["Standard_B2s_v2"] == 2

    def test_categories_are_those_that_a_setting_may_name(self, deployed: Arm) -> None:
        vault = f"{NETWORK}/networkSecurityGroups/nsg"
        path = f"{vault}/providers/Microsoft.Insights/diagnosticSettingsCategories"
        assert named(deployed.get(path)["value"]) == [
            "NetworkSecurityGroupEvent",
            "NetworkSecurityGroupRuleCounter",
        ]

    def test_a_workspace_has_keys_that_stay_and_a_usage(self, arm: Arm) -> None:
        """test_monitor_log_analytics_workspace_default, 2020."""
        path = f"{GROUP}/providers/Microsoft.OperationalInsights/workspaces/logs"
        arm.put(path, {"location": "westeurope"})
        keys = arm("POST", f"{path}/sharedKeys").body
        assert keys == arm("POST", f"{path}/sharedKeys").body
        assert keys["primarySharedKey"] != keys["secondarySharedKey"]
        assert keys["primarySharedKey"] not in str(arm.get(path))
        assert arm.get(f"{path}/usages")["value"][0]["currentValue"] == 0.0
        assert named(arm.rows(f"{path}/intelligencePacks")) == ["LogManagement"]

    def test_an_identity_knows_who_has_it(self, arm: Arm) -> None:
        identity = f"{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/uai"
        arm.put(identity, {"location": "westeurope"})
        assert arm("POST", f"{identity}/listAssociatedResources").body["totalCount"] == 0

    def test_slashes_may_be_written_twice(self, deployed: Arm) -> None:
        """`az resource show --resource-type Microsoft.Network/virtualNetworks` does."""
        assert deployed.get(f"{NETWORK}//virtualNetworks/hub")["name"] == "hub"


class TestCustomRoles:
    ROLES = f"{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions"
    ROLE = f"{ROLES}/44444444-4444-4444-8444-444444444444"
    PERSON = "55555555-5555-4555-8555-555555555555"

    def role(self, name: str = "Reader of machines") -> dict[str, Any]:
        permissions = [{"actions": ["Microsoft.Compute/*/read"]}]
        scopes = {"assignableScopes": [SUBSCRIPTION]}
        return {"properties": {"roleName": name, "permissions": permissions} | scopes}

    def assign(self, arm: Arm) -> str:
        path = f"{GROUP}/providers/Microsoft.Authorization/roleAssignments/{self.PERSON}"
        who = {"principalId": self.PERSON, "principalType": "User"}
        arm.put(path, {"properties": who | {"roleDefinitionId": self.ROLE}})
        return path

    def test_are_defined_found_and_assigned(self, arm: Arm) -> None:
        """Test_Authorization_RoleDefinitionResourceGroupScope_CRUD, 2025, has the answers."""
        assert arm("PUT", self.ROLE, self.role()).status == 201
        assert arm("PUT", self.ROLE, self.role()).status == 201
        chosen = arm.get(self.ROLES, **{"$filter": "type eq 'CustomRole'"})["value"]
        assert [one["properties"]["roleName"] for one in chosen] == ["Reader of machines"]
        assert arm.get(self.ROLE)["properties"]["permissions"][0]["notActions"] == []
        self.assign(arm)

    def test_that_are_held_stay(self, arm: Arm) -> None:
        arm.put(self.ROLE, self.role())
        held = self.assign(arm)
        assert said(arm("DELETE", self.ROLE)).startswith("RoleDefinitionHasAssignments: ")
        for path in (held, self.ROLE):
            was = arm.get(path)
            assert arm("DELETE", path).body == was  # recorded: role_assignment_handle_conflicted_assignments
        assert said(arm("GET", self.ROLE)).startswith("RoleDefinitionDoesNotExist: ")

    def test_need_a_name_of_their_own_and_a_scope_that_is_there(self, arm: Arm) -> None:
        arm.put(self.ROLE, self.role())
        other = self.ROLE.replace("4444-4444-8444", "4444-4444-8445")
        assert arm.refusal(other, self.role()).startswith("RoleDefinitionWithSameNameExists: ")
        elsewhere = self.role("b")
        elsewhere["properties"]["assignableScopes"] = ["/subscriptions/99999999-9999-4999-8999-999999999999"]
        assert arm.refusal(other, elsewhere).startswith("InvalidAssignableScope: ")
        elsewhere["properties"]["assignableScopes"] = []
        assert arm.refusal(other, elsewhere).startswith("MissingAssignableScopes: ")
        assert arm.refusal(other, self.role("")).startswith("RoleDefinitionNameNullOrEmpty: ")

    def test_cannot_take_the_place_of_a_built_in_one(self, arm: Arm) -> None:
        reader = f"{self.ROLES}/{BUILT_IN['Reader']}"
        assert arm.refusal(reader, self.role()).startswith("RoleDefinitionUpdateNotPermitted: ")


class TestRecordSets:
    ZONE = f"{NETWORK}/privateDnsZones/example.org"

    @pytest.fixture
    def zone(self, arm: Arm) -> Arm:
        arm.put(self.ZONE, {"location": "global"})
        return arm

    @pytest.mark.parametrize(
        ("path", "properties", "words"),
        [
            ("AAAA/h", {"aaaaRecords": [{"ipv6Address": "10.0.0.1"}]}, "The IPv6 address '10.0.0.1'"),
            ("MX/h", {"mxRecords": [{"exchange": "m"}]}, "A record of 'h' of type MX needs preference"),
            ("TXT/h", {"txtRecords": [{"value": ["x" * 1025]}]}, "A text record holds"),
            ("PTR/h", {"ptrRecords": [{"ptrdname": "a"}] * 21}, "The record set 'h' of type PTR takes up to"),
            ("CNAME/@", {"cnameRecord": {"cname": "h"}}, "The record set '@' of a zone cannot be"),
        ],
    )
    def test_hold_what_their_type_can_hold(
        self, zone: Arm, path: str, properties: dict[str, Any], words: str
    ) -> None:
        refused = zone.refusal(f"{self.ZONE}/{path}", {"properties": {"ttl": 60} | properties})
        assert refused.startswith(f"BadRequest: {words}")

    def test_an_alias_stands_alone(self, zone: Arm) -> None:
        alias = {"properties": {"ttl": 60, "cnameRecord": {"cname": "h.example.org"}}}
        address = {"properties": {"ttl": 60, "aRecords": [{"ipv4Address": "10.0.0.1"}]}}
        zone.put(f"{self.ZONE}/CNAME/one", alias)
        assert zone.refusal(f"{self.ZONE}/A/one", address).startswith("Conflict: ")
        zone.put(f"{self.ZONE}/A/two", address)
        assert zone.refusal(f"{self.ZONE}/CNAME/two", alias).startswith("Conflict: ")
        zone.put(f"{self.ZONE}/TXT/two", {"properties": {"ttl": 60, "txtRecords": [{"value": ["v"]}]}})

    def test_without_records_have_an_empty_list(self, zone: Arm) -> None:
        """test_crudRecordSet_aRecord_expectCrudSuccessful, 2020."""
        assert zone.put(f"{self.ZONE}/A/h", {"properties": {"ttl": 60}})["properties"]["aRecords"] == []
