"""What Azure was recorded to accept, refuse and answer, where the emulator once differed.

Each test names the recorded tests of azure-service-operator (2023 to 2025) or azure-cli (2018 to 2020).
"""

from typing import Any

import pytest

from emulator.arm.ids import name_of
from emulator.arm.messages import Request
from tests.emulator.arm.test_answers import (
    ACCOUNT,
    ALERTS,
    DISK,
    IDENTITY,
    REGISTRY,
    SAFE,
    STORAGE,
    VAULT,
    VNET,
    ZONE,
)
from tests.emulator.arm_client import GROUP, OTHER_GROUP, SUBSCRIPTION, Arm, said

WEST: dict[str, Any] = {"location": "westeurope"}
NETWORK = f"{GROUP}/providers/Microsoft.Network"
SPACE = WEST | {"properties": {"addressSpace": {"addressPrefixes": ["10.0.0.0/24"]}}}
RECORD = f"{ZONE}/A/host"
ROLES = "providers/Microsoft.Authorization/roleDefinitions"
ASSIGNMENT = f"{GROUP}/providers/Microsoft.Authorization/roleAssignments/11111111-1111-4111-8111-111111111111"


@pytest.fixture
def zone(arm: Arm) -> Arm:
    arm.put(ZONE, {"location": "global"})
    return arm


class TestMissing:
    @pytest.mark.parametrize(
        ("path", "words"),
        [
            # a parent and a child by turns: every nested type
            (
                f"{VNET}/subnets/s",
                "ResourceNotFound: The Resource 'Microsoft.Network/virtualNetworks/vnet/subnets/s'",
            ),
            # Test_Networking_VirtualNetworkPeering_20240301_CRUD, 2025
            (
                f"{VNET}/virtualNetworkPeerings/p",
                f"NotFound: Resource {VNET}/virtualNetworkPeerings/p not found.",
            ),
            # Test_Compute_Disk_20240302_CRUD and ..._DiskEncryptionSet_20240302_CRUD, 2025
            (DISK, "NotFound: Disk disk is not found."),
            (
                f"{GROUP}/providers/Microsoft.Compute/diskEncryptionSets/d",
                "NotFound: DiskEncryptionSet 'd' was",
            ),
            # Test_DataProtection_BackupPolicy_20231101_CRUD, 2025
            (
                f"{GROUP}/providers/Microsoft.DataProtection/backupVaults/b",
                "UserErrorGenericResourceNotFound: ",
            ),
            # Test_Authorization_RoleAssignmentOfBuiltInRole_OnResourceGroup_CRUD, 2025
            (
                ASSIGNMENT,
                "RoleAssignmentNotFound: The role assignment '11111111-",
            ),
            # management_policy, 2020
            (
                f"{ACCOUNT}/managementPolicies/default",
                "ManagementPolicyNotFound: No ManagementPolicy found for",
            ),
        ],
    )
    def test_is_said_in_the_words_of_the_type(self, arm: Arm, path: str, words: str) -> None:
        arm.put(VNET, SPACE)
        arm.put(ACCOUNT, STORAGE)
        assert said(arm("GET", path)).startswith(words)

    @pytest.mark.parametrize(
        ("path", "code"),
        [
            (f"{VNET}/subnets/s", "ResourceNotFound"),
            (f"{NETWORK}/networkSecurityGroups/n/securityRules/r", "ResourceNotFound"),
            (f"{ACCOUNT}/managementPolicies/default", "ResourceNotFound"),
            (f"{ACCOUNT}/blobServices/default/containers/c", "ParentResourceNotFound"),
            (RECORD, "ParentResourceNotFound"),
            (f"{IDENTITY}/federatedIdentityCredentials/f", "ParentResourceNotFound"),
            (f"{ACCOUNT}/blobServices/default", "ParentResourceNotFound"),
        ],
    )
    def test_below_what_is_gone_a_deletion_is_refused(self, arm: Arm, path: str, code: str) -> None:
        """Recorded after a parent's deletion in the tests of each type (refusals of DELETE, 2023 to 2025)."""
        assert said(arm("DELETE", path)).startswith(f"{code}: ")

    def test_an_action_on_it_is_refused_as_reading_it_is(self, arm: Arm) -> None:
        """azure-cli's `vm start` of a machine that is not there."""
        machine = f"{GROUP}/providers/Microsoft.Compute/virtualMachines/none"
        assert said(arm("POST", f"{machine}/start")).startswith("ResourceNotFound: The Resource")
        assert said(arm("POST", f"{machine}/dance")).startswith("InvalidResourceType: ")

    def test_next_to_what_is_there_it_is_answered_204(self, zone: Arm) -> None:
        assert zone("DELETE", RECORD).status == 204


class TestAccepted:
    def test_record_sets_without_addresses_and_without_time(self, zone: Arm) -> None:
        """test_crudRecordSet_aRecord_expectCrudSuccessful, 2020."""
        assert zone.put(RECORD, {"properties": {"ttl": 0}})["properties"]["ttl"] == 0

    def test_the_authority_of_a_zone_may_be_changed(self, zone: Arm) -> None:
        """18 recorded PUTs of SOA (azure-cli private DNS tests, 2020)."""
        path = f"{ZONE}/SOA/@"
        answer = zone("PUT", path, {"properties": {"ttl": 60, "soaRecord": {"email": "it.example.org"}}})
        assert answer.status == 200
        kept = zone.get(path)["properties"]
        assert (kept["ttl"], kept["soaRecord"]["email"]) == (60, "it.example.org")
        assert kept["soaRecord"]["host"] == "azureprivatedns.net"

    def test_a_vault_that_should_not_soft_delete_does(self, arm: Arm) -> None:
        """34 recorded, as test_keyvault_mgmt, 2020, and Test_KeyVault_Vault_20230701_CRUD, 2025."""
        body = SAFE | {"properties": SAFE["properties"] | {"enableSoftDelete": False}}
        assert arm.put(VAULT, body)["properties"]["enableSoftDelete"] is True

    def test_what_an_action_group_answers(self, arm: Arm) -> None:
        """Test_Insights_ActionGroup_v20230101_CRUD, 2025; the client's read-modify-write."""
        people = [{"name": "it", "emailAddress": "it@example.org"}]
        body = {"groupShortName": "p", "enabled": True, "emailReceivers": people}
        made = arm.put(ALERTS, {"location": "global", "properties": body})
        assert made["properties"]["emailReceivers"][0]["status"] == "Enabled"
        arm.put(ALERTS, made)

    @pytest.mark.parametrize("scope", [GROUP, SUBSCRIPTION])
    def test_metric_alerts_on_all_of_a_group_or_subscription(self, arm: Arm, scope: str) -> None:
        """learn.microsoft.com/azure/azure-monitor/alerts/alerts-types; metric names in any case (azure-cli
        monitor tests, 2020)."""
        criterion = {"name": "c", "metricName": "percentage cpu", "operator": "GreaterThan", "threshold": 80}
        criterion |= {"metricNamespace": "Microsoft.Compute/virtualMachines", "timeAggregation": "Average"}
        criterion |= {"criterionType": "StaticThresholdCriterion"}
        kind = "Microsoft.Azure.Monitor.MultipleResourceMultipleMetricCriteria"
        body = {"scopes": [scope], "criteria": {"odata.type": kind, "allOf": [criterion]}, "enabled": True}
        body |= {"severity": 3, "evaluationFrequency": "PT1M", "windowSize": "PT5M"}
        body |= {"targetResourceType": "Microsoft.Compute/virtualMachines", "targetResourceRegion": "west"}
        path = f"{GROUP}/providers/Microsoft.Insights/metricAlerts/cpu"
        arm.put(path, {"location": "global", "properties": body})
        wrong = {"odata.type": kind, "allOf": [criterion | {"metricName": "luck"}]}
        refused = arm.refusal(path, {"location": "global", "properties": body | {"criteria": wrong}})
        assert refused.startswith("BadRequest: The following metric name(s) were not found: luck.")
        nowhere = body | {"scopes": [f"{GROUP}-none"]}
        assert arm("PUT", path, {"location": "global", "properties": nowhere}).status == 404

    def test_an_address_that_is_a_bare_number(self, arm: Arm) -> None:
        """test_network_nsg, 2020; .NET's IPAddress.Parse."""
        rule = {"priority": 100, "direction": "Inbound", "access": "Allow", "protocol": "Tcp"}
        rule |= {"sourceAddressPrefixes": ["789"], "sourcePortRange": "*"}
        rule |= {"destinationAddressPrefix": "*", "destinationPortRange": "80"}
        group = f"{NETWORK}/networkSecurityGroups/nsg"
        arm.put(group, WEST)
        arm.put(f"{group}/securityRules/r", {"properties": rule})


class TestCase:
    """Ids that a program must not compare letter by letter."""

    def test_an_action_group_is_written_its_own_way(self, arm: Arm) -> None:
        """Test_Insights_ActionGroup_v20230101_CRUD, 2025."""
        body = {"location": "global", "properties": {"groupShortName": "p", "enabled": True}}
        made = arm.put(ALERTS, body)
        assert made["id"] == ALERTS.replace("Microsoft.Insights", "microsoft.insights")
        assert (made["type"], made["location"]) == ("Microsoft.Insights/ActionGroups", "Global")
        arm.put(made["id"], made)

    def test_a_diagnostic_setting_and_a_credential_are_in_lower_case_groups(self, arm: Arm) -> None:
        """Test_Insights_DiagnosticSetting_v20210501preview_CRUD and
        Test_ManagedIdentity_UserAssignedIdentity_20230131_CRUD, 2025."""
        lower = GROUP.replace("/resourceGroups/", "/resourcegroups/")
        arm.put(VAULT, SAFE)
        workspace = f"{GROUP}/providers/Microsoft.OperationalInsights/workspaces/logs"
        arm.put(workspace, WEST)
        logs = [{"category": "AuditEvent", "enabled": True}]
        setting = f"{VAULT}/providers/Microsoft.Insights/diagnosticSettings/all"
        made = arm.put(setting, {"properties": {"workspaceId": workspace, "logs": logs}})
        assert made["id"] == setting.replace(GROUP, lower).replace(
            "/Microsoft.Insights/", "/microsoft.insights/"
        )
        arm.put(IDENTITY, WEST)
        credential = f"{IDENTITY}/federatedIdentityCredentials/git"
        who = {"issuer": "https://x.example.org", "subject": "s", "audiences": ["a"]}
        assert arm.put(credential, {"properties": who})["id"] == credential.replace(GROUP, lower)


class TestRefused:
    def test_a_flow_log_of_a_security_group_that_is_not_there(self, arm: Arm) -> None:
        """Test_Networking_NetworkWatcher_20241001_CRUD, 2025."""
        arm.put(f"{NETWORK}/networkWatchers/w", WEST)
        arm.put(ACCOUNT, STORAGE)
        group = f"{NETWORK}/networkSecurityGroups/none"
        body = WEST | {"properties": {"targetResourceId": group, "storageId": ACCOUNT, "enabled": True}}
        refused = arm.refusal(f"{NETWORK}/networkWatchers/w/flowLogs/f", body)
        assert refused.startswith("NetworkSecurityGroupNotFoundForFlowLog: Network security group specified")

    def test_a_collection_rule_for_a_workspace_that_is_not_there(self, arm: Arm) -> None:
        """Test_Insights_v1api20230311_CreationAndDeletion, 2025."""
        wanted = f"{GROUP}/providers/Microsoft.OperationalInsights/workspaces/none"
        streams = ["Microsoft-Syslog"]
        source = {"name": "s", "streams": streams, "facilityNames": ["auth"], "logLevels": ["Error"]}
        properties = {
            "dataSources": {"syslog": [source]},
            "destinations": {"logAnalytics": [{"name": "logs", "workspaceResourceId": wanted}]},
            "dataFlows": [{"streams": streams, "destinations": ["logs"]}],
        }
        path = f"{GROUP}/providers/Microsoft.Insights/dataCollectionRules/rule"
        answer = arm("PUT", path, WEST | {"properties": properties})
        assert said(answer).startswith("WorkspaceNotFound: Log Analytics workspace destination resource")
        assert answer.body["error"]["details"][0]["target"] == "workspaceResourceId"

    def test_a_public_address_or_gateway_that_names_nothing(self, arm: Arm) -> None:
        """Test_Networking_PublicIP_20240301_CRUD and Test_Networking_NatGateway_20240301_CRUD, 2025."""
        prefix = f"{NETWORK}/publicIPPrefixes/prefix"
        body = WEST | {"sku": {"name": "Standard"}, "properties": {"publicIPPrefix": {"id": prefix}}}
        answer = arm("PUT", f"{NETWORK}/publicIPAddresses/ip", body)
        assert (answer.status, said(answer)) == (404, f"NotFound: Resource {prefix} not found.")
        address = f"{NETWORK}/publicIPAddresses/none"
        body = WEST | {"sku": {"name": "Standard"}, "properties": {"publicIpAddresses": [{"id": address}]}}
        assert (
            said(arm("PUT", f"{NETWORK}/natGateways/nat", body)) == f"NotFound: Resource {address} not found."
        )

    def test_keys_that_expire_before_they_are_made(self, arm: Arm) -> None:
        """OperationAccepted_LongRunningOperationFails_SucceedsAfterUpdate, 2025."""
        body = STORAGE | {"properties": {"keyPolicy": {"keyExpirationPeriodInDays": -260}}}
        assert arm.refusal(ACCOUNT, body).startswith("InvalidValuesForRequestParameters: ")

    def test_a_group_in_no_region(self, arm: Arm) -> None:
        """Recorded by azure-service-operator, 2023 to 2025 (PUT of a group in BadLocation)."""
        assert arm.refusal(f"{SUBSCRIPTION}/resourceGroups/new", {"location": "BadLocation"}).startswith(
            "LocationNotAvailableForResourceGroup: The provided location 'BadLocation' is not available for"
        )

    def test_a_principal_that_is_no_guid(self, arm: Arm) -> None:
        """Recorded by azure-service-operator, 2023 to 2025 (PUT of a role assignment for 'wow')."""
        role = f"{SUBSCRIPTION}/{ROLES}/acdd72a7-3385-48ef-bd42-f606fba81ae7"
        path = ASSIGNMENT
        body = {"properties": {"principalId": "wow", "roleDefinitionId": role}}
        assert arm.refusal(path, body).startswith("InvalidPrincipalId: The Principal ID 'wow' is not valid.")


class TestAnswered:
    def test_an_account_speaks_tls_1_2_unless_told_otherwise(self, arm: Arm) -> None:
        """Every recorded account since 2025-01."""
        assert arm.put(ACCOUNT, STORAGE)["properties"]["minimumTlsVersion"] == "TLS1_2"

    def test_half_a_peering_is_not_in_step_with_the_other(self, arm: Arm) -> None:
        """5 of 5 recorded, as Test_Networking_VirtualNetworkPeering_20240301_CRUD, 2025."""
        arm.put(VNET, SPACE)
        far = {"addressSpace": {"addressPrefixes": ["10.9.0.0/24"]}}
        arm.put(f"{VNET}far", WEST | {"properties": far})
        remote = {"remoteVirtualNetwork": {"id": f"{VNET}far"}}
        half = arm.put(f"{VNET}/virtualNetworkPeerings/p", {"properties": remote})["properties"]
        assert (half["peeringState"], half["peeringSyncLevel"]) == ("Initiated", "RemoteNotInSync")


class TestFilters:
    """azure-service-operator lists groups by tag; https://learn.microsoft.com/rest/api/resources/resources/list."""

    @pytest.fixture(autouse=True)
    def _tagged(self, arm: Arm) -> None:
        arm.put(OTHER_GROUP, WEST | {"tags": {"party": "centre"}})
        arm.put(VNET, SPACE | {"tags": {"Party": "Centre"}})
        arm.put(f"{VNET}2", SPACE)

    @pytest.mark.parametrize(
        ("text", "groups"),
        [
            ("tagName eq 'party' and tagValue eq 'centre'", ["other"]),
            ("tagName eq 'PARTY'", ["other"]),
            ("tagName eq 'party' and tagValue eq 'nobody'", []),
            ("name eq 'rg'", ["rg"]),
            ("startswith(tagName, 'PAR')", ["other"]),
            ("substringof('THE', name)", ["other"]),
        ],
    )
    def test_choose_groups(self, arm: Arm, text: str, groups: list[str]) -> None:
        found = arm.get(f"{SUBSCRIPTION}/resourceGroups", **{"$filter": text})["value"]
        assert [name_of(one["id"]) for one in found] == groups

    @pytest.mark.parametrize(
        ("text", "names"),
        [
            ("tagName eq 'nothing'", []),
            ("tagName eq 'party'", ["vnet"]),
            ("resourceType eq 'Microsoft.Network/virtualNetworks' and name ne 'vnet'", ["vnet2"]),
        ],
    )
    def test_choose_resources(self, arm: Arm, text: str, names: list[str]) -> None:
        found = arm.get(f"{SUBSCRIPTION}/resources", **{"$filter": text})["value"]
        assert [name_of(one["id"]) for one in found] == names

    def test_that_are_not_understood_are_refused(self, arm: Arm) -> None:
        answer = arm("GET", f"{SUBSCRIPTION}/resourceGroups", None, **{"$filter": "sku eq 'x'"})
        assert said(answer).startswith("InvalidFilterInQueryString: ")


class TestNames:
    """https://learn.microsoft.com/rest/api/keyvault/vaults/check-name-availability."""

    @pytest.mark.parametrize(
        ("provider", "name", "free"),
        [
            ("KeyVault", "kv-one", False),
            ("KeyVault", "kv-other", True),
            ("KeyVault", "1", False),
            ("ContainerRegistry", "crone5", False),
            ("ContainerRegistry", "crother", True),
            ("ContainerRegistry", "no-dash", False),
        ],
    )
    def test_are_said_to_be_free_or_taken(self, arm: Arm, provider: str, name: str, free: bool) -> None:
        arm.put(VAULT, SAFE)
        arm.put(REGISTRY, WEST | {"sku": {"name": "Basic"}})
        arm.delete(VAULT)
        path = f"{SUBSCRIPTION}/providers/Microsoft.{provider}/checkNameAvailability"
        answer = arm("POST", path, {"name": name})
        assert answer.body is not None
        assert answer.body["nameAvailable"] is free


class TestPreconditions:
    """test_crudRecordSet_aRecord_expectCrudSuccessful, 2020.

    https://learn.microsoft.com/azure/dns/dns-zones-records#etags
    """

    def put(
        self, arm: Arm, path: str = RECORD, body: dict[str, Any] | None = None, **headers: str
    ) -> tuple[int, str]:
        token, _ = arm.plane.issue_token()
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = arm.plane.handle(
            Request(
                method="PUT",
                path=path,
                query={"api-version": "2024-06-01"},
                headers=names | {"authorization": f"Bearer {token}"},
                body={"properties": {"ttl": 60}} if body is None else body,
            )
        )
        return answer.status, "" if answer.status < 300 else said(answer)

    def test_hold_a_write_to_what_its_sender_saw(self, zone: Arm) -> None:
        assert self.put(zone, if_match="*")[0] == 412
        assert self.put(zone, if_none_match="*") == (201, "")
        status, words = self.put(zone, if_none_match="*")
        assert status == 412
        assert words.startswith("PreconditionFailed: The Record set host exists already and hence cannot be")
        seen = zone.get(RECORD)["etag"]
        assert self.put(zone, if_match=seen) == (200, "")
        assert self.put(zone, if_match=seen)[0] == 412

    def test_of_the_network_provider_name_both_etags(self, arm: Arm) -> None:
        """kubernetes-sigs/cloud-provider-azure, pkg/retry/etag.go reads them from the message."""
        etag = arm.put(VNET, SPACE)["etag"]
        status, words = self.put(arm, VNET, SPACE, if_match='W/"old"')
        assert status == 412
        assert f'Etag provided in if-match header W/"old" does not match etag {etag} of resource' in words
        assert self.put(arm, VNET, SPACE, if_match=etag) == (200, "")

    def test_are_nothing_to_others(self, arm: Arm) -> None:
        """https://learn.microsoft.com/rest/api/storagerp/blob-containers/create has no such header."""
        arm.put(ACCOUNT, STORAGE)
        container = f"{ACCOUNT}/blobServices/default/containers/data"
        arm.put(container, {})
        assert self.put(arm, container, {}, if_none_match="*") == (200, "")


@pytest.mark.parametrize("body", ["text", ["a"], 7, True])
@pytest.mark.parametrize("method", ["PUT", "PATCH", "POST"])
def test_a_body_that_is_no_object_is_refused(arm: Arm, method: str, body: Any) -> None:
    for path in (GROUP, VNET, f"{VNET}/none"):
        assert said(arm(method, path, body)).startswith("InvalidRequestContent: ")
