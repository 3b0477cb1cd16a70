"""A table of mistakes: what was sent, and the words in which Azure refuses it."""

import datetime as dt
from copy import deepcopy
from typing import Any

import pytest

from emulator.arm.tokens import TENANT_ID
from tests.emulator.arm.test_clients import COMPUTE, NETWORK, deploy
from tests.emulator.arm_client import GROUP, SUBSCRIPTION, Arm, said

Body = dict[str, Any]
WEST: Body = {"location": "westeurope"}
ACCOUNT = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/sthub"
REGISTRY = f"{GROUP}/providers/Microsoft.ContainerRegistry/registries/crone1"
VAULT = f"{GROUP}/providers/Microsoft.KeyVault/vaults/kv-one"
OPEN_VAULT = VAULT.replace("kv-one", "kv-open")
BACKUP = f"{GROUP}/providers/Microsoft.DataProtection/backupVaults/bvault"
WORKSPACE = f"{GROUP}/providers/Microsoft.OperationalInsights/workspaces/log-one"
RULES = f"{GROUP}/providers/Microsoft.Insights/dataCollectionRules"
ALERTS = f"{GROUP}/providers/Microsoft.Insights/scheduledQueryRules"
BUDGET = f"{SUBSCRIPTION}/providers/Microsoft.Consumption/budgets/budget"
VNET = f"{NETWORK}/virtualNetworks/vnet"
ZONE = f"{NETWORK}/privateDnsZones/federation.internal"
VM = f"{COMPUTE}/virtualMachines/vm"
DISK = f"{COMPUTE}/disks/new"
SETTING = f"{NETWORK}/networkSecurityGroups/nsg/providers/Microsoft.Insights/diagnosticSettings/d"
MANAGED = f"{SUBSCRIPTION}/resourceGroups/managed"
FIRST = (dt.datetime.now(dt.UTC).date().replace(day=1) + dt.timedelta(days=32)).replace(day=1)
"""Of the next month: this one may end while the tests run."""


@pytest.fixture(autouse=True)
def _deployment(arm: Arm) -> None:
    deploy(arm)
    arm.put(WORKSPACE, WEST)
    arm.put(ZONE, {"location": "global"})
    own = {"tenantId": TENANT_ID, "sku": {"family": "A", "name": "standard"}, "enablePurgeProtection": True}
    arm.put(OPEN_VAULT, WEST | {"properties": own})
    arm.put(f"{OPEN_VAULT}/keys/k", {"properties": {"kty": "RSA"}})


def place(**properties: Any) -> Body:
    return WEST | {"properties": properties}


def network(*prefixes: str, **subnet: Any) -> Body:
    subnets = [{"name": "one", "properties": subnet}] if subnet else []
    return place(addressSpace={"addressPrefixes": list(prefixes)}, subnets=subnets)


def disk(**properties: Any) -> Body:
    return place(**({"creationData": {"createOption": "Empty"}, "diskSizeGB": 8} | properties))


def registry(sku: str = "Premium", **properties: Any) -> Body:
    return place(**properties) | {"sku": {"name": sku}}


def account(**properties: Any) -> Body:
    return place(**properties) | {"kind": "StorageV2", "sku": {"name": "Standard_LRS"}}


def budget(start: dt.date = FIRST, end: str | None = None, amount: float = 10, **notification: Any) -> Body:
    period = {"startDate": f"{start.isoformat()}T00:00:00Z"} | ({"endDate": end} if end else {})
    own = {"enabled": True, "operator": "GreaterThan", "threshold": 80, "contactEmails": ["a@b.org"]}
    notifications = {"n": own | notification}
    body = {"amount": amount, "category": "Cost", "timeGrain": "Monthly", "timePeriod": period}
    return {"properties": body | {"notifications": notifications}}


def alert(criterion: Body | None = None, **properties: Any) -> Body:
    own = {"query": "Heartbeat", "operator": "LessThan", "threshold": 1, "timeAggregation": "Count"}
    criteria = {"allOf": [own | (criterion or {})]}
    body = {"scopes": [WORKSPACE], "severity": 1, "evaluationFrequency": "PT5M", "windowSize": "PT10M"}
    return place(**(body | {"criteria": criteria} | properties))


def setting(*logs: Body) -> Body:
    return {"properties": {"workspaceId": WORKSPACE, "logs": list(logs)}}


def backup(*settings: Body, identity: str = "SystemAssigned") -> Body:
    return place(storageSettings=list(settings)) | {"identity": {"type": identity}}


LOG = {"category": "NetworkSecurityGroupEvent", "enabled": True}
STORE = {"datastoreType": "OperationalStore", "type": "LocallyRedundant"}
NAT = {"location": "westeurope", "sku": {"name": "Standard"}}
A = {"ipv4Address": "10.0.0.4"}

MISTAKES: list[tuple[str, Body, str]] = [
    # networks
    (VNET, network(), "InvalidRequestFormat"),
    (VNET, network("10.0.0.0/24", "10.0.0.128/25"), "AddressPrefixesOverlap"),
    (
        VNET,
        network("10.0.0.0/24", addressPrefix="10.0.0.0/26", addressPrefixes=["10.0.0.0/27"]),
        "InvalidRequestFormat",
    ),
    (
        VNET,
        place(addressSpace={"addressPrefixes": ["10.0.0.0/24"]}, subnets=[{"properties": {}}]),
        "InvalidRequestFormat: Each element of subnets",
    ),
    (f"{NETWORK}/natGateways/nat", NAT | {"zones": ["1", "2"]}, "NatGatewayMultipleZonesNotSupported"),
    (
        f"{NETWORK}/privateEndpoints/new",
        place(
            subnet={"id": f"{NETWORK}/virtualNetworks/hub/subnets/server"},
            privateLinkServiceConnections=[{"properties": {"privateLinkServiceId": ACCOUNT}}],
        ),
        "InvalidRequestFormat: The connection of private endpoint",
    ),
    (
        ZONE,
        {"location": "global", "tags": {f"t{n}": "x" for n in range(16)}},
        "BadRequest: The resource tags",
    ),
    (ZONE, {"location": "global", "tags": {"Cost Center": "x"}}, "BadRequest: The resource tags"),
    (ZONE, {"location": "global", "tags": {"1st": "x"}}, "BadRequest: The resource tags"),
    (MANAGED, WEST | {"tags": {"a": "x", "A": "y"}}, "InvalidRequestContent"),
    (f"{ZONE}/A/many", {"properties": {"ttl": 1, "aRecords": [A] * 21}}, "BadRequest"),
    # storage
    (f"{ACCOUNT}2", account(isNfsV3Enabled=True), "InvalidRequestPropertyValue: isNfsV3Enabled"),
    (f"{ACCOUNT}2", account(encryption={"keySource": "Microsoft.Keyvault"}), "InvalidRequestPropertyValue"),
    (
        f"{ACCOUNT}/managementPolicies/default",
        {
            "properties": {
                "policy": {"rules": [{"name": "a", "type": "Lifecycle", "definition": {"actions": {}}}]}
            }
        },
        "InvalidValuesForRequestParameters: Rule 'a'",
    ),
    (
        f"{ACCOUNT}2",
        account(
            encryption={
                "keySource": "Microsoft.Keyvault",
                "keyvaultproperties": {"keyname": "k", "keyvaulturi": "https://kv-open.vault.azure.net"},
            }
        ),
        "InvalidRequestPropertyValue: Encryption with a customer's key needs",
    ),
    # compute
    (DISK, disk() | {"sku": {"name": "Premium_GRS"}}, "InvalidParameter"),
    (DISK, disk(diskSizeGB=40000), "InvalidParameter: The size of disk"),
    (DISK, disk() | {"sku": {"name": "StandardSSD_GRS"}}, "InvalidParameter"),
    (DISK, disk(networkAccessPolicy="AllowPrivate"), "InvalidParameter: networkAccessPolicy"),
    (
        DISK,
        disk(encryption={"type": "EncryptionAtRestWithCustomerKey"}),
        "InvalidParameter: Encryption with a customer key",
    ),
    (
        DISK,
        place(creationData={"createOption": "Empty"}),
        "InvalidParameter: Required parameter 'diskSizeGB'",
    ),
    (f"{COMPUTE}/disks/data", disk(diskSizeGB=8), "ResizeDiskError"),
    (
        f"{VM}/extensions/agent",
        {"location": "northeurope"}
        | {"properties": {"publisher": "Microsoft.Azure.Monitor", "type": "AzureMonitorLinuxAgent"}}
        | {"tags": {}},
        "InvalidParameter",
    ),
    # registries
    (REGISTRY, registry("Gold"), "BadRequest"),
    (
        REGISTRY,
        registry(
            policies={
                "retentionPolicy": {"status": "enabled", "days": 7},
                "softDeletePolicy": {"status": "enabled", "retentionDays": 7},
            }
        ),
        "PolicyConflict",
    ),
    (REGISTRY, registry("Classic"), "SkuNotSupported"),
    # backup
    (BACKUP, backup(), "BMSUserErrorInvalidInput"),
    (BACKUP, backup(STORE, identity="Borrowed"), "InvalidIdentityType"),
    # monitoring
    (
        f"{GROUP}/providers/Microsoft.Insights/actionGroups/ends.",
        {"location": "global", "properties": {"groupShortName": "a", "enabled": True}},
        "InvalidResourceName",
    ),
    (SETTING, setting({**LOG, "enabled": False}), "BadRequest: At least one log or metric"),
    (SETTING, setting({"categoryGroup": "everything", "enabled": True}), "BadRequest: Category group"),
    (
        SETTING,
        setting({**LOG, "retentionPolicy": {"days": 7, "enabled": True}}),
        "BadRequest: Diagnostic settings does not support retention",
    ),
    (
        f"{VM}/providers/Microsoft.Insights/dataCollectionRuleAssociations/a",
        {"properties": {}},
        "InvalidPayload",
    ),
    (f"{ALERTS}/a", alert(windowSize="ten minutes"), "BadRequest: The windowSize"),
    (f"{ALERTS}/a", alert(severity=5), "BadRequest: The severity"),
    (f"{ALERTS}/a", alert({"query": " "}), "BadRequest: A condition"),
    (
        f"{ALERTS}/a",
        alert({"failingPeriods": {"numberOfEvaluationPeriods": 1, "minFailingPeriodsToAlert": 2}}),
        "BadRequest: minFailingPeriodsToAlert",
    ),
    (f"{ALERTS}/a", alert(autoMitigate=True, muteActionsDuration="PT1H"), "BadRequest: muteActionsDuration"),
    # budgets
    (BUDGET, budget(amount=0), "400: The amount"),
    (BUDGET, budget(threshold=2000), "400: The threshold"),
    (BUDGET, budget(end="2001-01-01T00:00:00Z"), "400: End date"),
    (BUDGET, budget(end="soon"), "400: The endDate 'soon'"),
    (BUDGET, budget(FIRST.replace(year=FIRST.year + 2)), "400: Start date should not be more than one year"),
    # vaults and locks
    (f"{OPEN_VAULT}/keys/new", {"properties": {"keySize": 2048}}, 'BadRequest: The property "kty"'),
    (f"{OPEN_VAULT}/keys/new", {"properties": {"kty": "RSA", "keySize": 1024}}, "BadRequest: The key size"),
    (
        f"{COMPUTE}/diskEncryptionSets/d",
        place(activeKey={"keyUrl": "https://kv-none.vault.azure.net/keys/k/1"})
        | {"identity": {"type": "SystemAssigned"}},
        "KeyVaultKeyNotFound",
    ),
    (
        f"{GROUP}/providers/Microsoft.Authorization/locks/l",
        {"properties": {"level": "NotSpecified"}},
        "InvalidLockLevel",
    ),
    # groups and paths
    (MANAGED, WEST | {"managedBy": f"{GROUP}2"}, "ResourceGroupManagedByMismatch"),
    ("/nowhere/at/all", WEST, "InvalidRequestUri"),
]


@pytest.mark.parametrize(("path", "body", "words"), MISTAKES)
def test_a_mistake_is_refused_in_its_own_words(arm: Arm, path: str, body: Body, words: str) -> None:
    arm.put(MANAGED, WEST | {"managedBy": GROUP})
    before = arm.get("/emulator/changes")["revision"]
    assert arm.refusal(path, body).startswith(words)
    assert arm.get("/emulator/changes")["revision"] == before


class TestMachines:
    def change(self, arm: Arm, **storage: Any) -> Body:
        body = deepcopy(arm.get(VM))
        body["properties"]["storageProfile"] |= storage
        return body

    def attach(self, **more: Any) -> Body:
        return {"lun": 0, "createOption": "Attach", "managedDisk": {"id": f"{COMPUTE}/disks/data"}} | more

    def test_data_disks_are_attached_one_at_a_lun(self, arm: Arm) -> None:
        for disks, words in (
            ([self.attach(), self.attach()], "InvalidParameter: The luns of the data disks"),
            ([self.attach(createOption="Empty")], "InvalidParameter: Data disk lun 0 is not attached"),
            ([{"lun": 0, "createOption": "Attach"}], "InvalidParameter: Data disk lun 0 names no disk"),
        ):
            assert arm.refusal(VM, self.change(arm, dataDisks=disks)).startswith(words)

    def test_data_disks_are_in_the_machines_zone(self, arm: Arm) -> None:
        arm.put(DISK, disk() | {"zones": ["1"]})
        disks = [self.attach(managedDisk={"id": DISK})]
        assert "not in the zone of the VM" in arm.refusal(VM, self.change(arm, dataDisks=disks))

    def test_the_disk_it_boots_from_keeps_its_name(self, arm: Arm) -> None:
        os_disk = arm.get(VM)["properties"]["storageProfile"]["osDisk"] | {"name": "other"}
        assert arm.refusal(VM, self.change(arm, osDisk=os_disk)).startswith("PropertyChangeNotAllowed")

    def test_one_interface_is_primary(self, arm: Arm) -> None:
        body = deepcopy(arm.get(VM))
        body["properties"]["networkProfile"]["networkInterfaces"] = [
            {"id": f"{NETWORK}/networkInterfaces/nic"}
        ] * 2
        assert "exactly one primary" in arm.refusal(VM, body)

    def test_images_of_galleries_are_named_as_such(self, arm: Arm) -> None:
        body = deepcopy(arm.get(VM))
        body["properties"]["storageProfile"] = {
            "imageReference": {"id": f"{COMPUTE}/images/i"},
            "osDisk": {"createOption": "FromImage"},
        }
        assert "not an image of a gallery" in arm.refusal(f"{VM}2", body)

    def test_automatic_upgrades_need_minor_ones(self, arm: Arm) -> None:
        agent = {"publisher": "Microsoft.Azure.Monitor", "type": "AzureMonitorLinuxAgent"}
        agent |= {"typeHandlerVersion": "1.29"}
        upgrade = {"enableAutomaticUpgrade": True, "autoUpgradeMinorVersion": False}
        path = f"{VM}/extensions/agent"
        assert "needs autoUpgradeMinorVersion" in arm.refusal(path, WEST | {"properties": agent | upgrade})
        arm.put(path, WEST | {"properties": agent})
        other = WEST | {"properties": agent | {"type": "Other"}}
        assert arm("PUT", path, other).status in {404, 409}


class TestAcrossResources:
    def test_a_registry_with_endpoints_stays_premium(self, arm: Arm) -> None:
        arm.put(REGISTRY, registry())
        link = {"name": "l", "properties": {"privateLinkServiceId": REGISTRY, "groupIds": ["registry"]}}
        subnet = {"id": f"{NETWORK}/virtualNetworks/hub/subnets/server"}
        body = place(subnet=subnet, privateLinkServiceConnections=[link])
        arm.put(f"{NETWORK}/privateEndpoints/cr", body)
        assert arm.refusal(REGISTRY, registry("Standard")).startswith(
            ("SkuDowngradeNotAllowed", "FeatureNot")
        )

    def test_a_premium_account_takes_no_flow_logs(self, arm: Arm) -> None:
        premium = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/stpremium"
        arm.put(premium, WEST | {"kind": "BlockBlobStorage", "sku": {"name": "Premium_LRS"}})
        watcher = (
            f"{SUBSCRIPTION}/resourceGroups/NetworkWatcherRG/providers/Microsoft.Network/networkWatchers"
        )
        body = place(targetResourceId=f"{NETWORK}/virtualNetworks/hub", storageId=premium)
        assert "is premium" in arm.refusal(f"{watcher}/NetworkWatcher_westeurope/flowLogs/l", body)

    def test_nat_and_its_address_are_in_one_zone(self, arm: Arm) -> None:
        address = f"{NETWORK}/publicIPAddresses/ip"
        arm.put(address, NAT | {"zones": ["1"]})
        body = NAT | {"zones": ["2"], "properties": {"publicIpAddresses": [{"id": address}]}}
        assert arm.refusal(f"{NETWORK}/natGateways/nat", body).startswith(
            "NatGatewayZonesDoNotMatchPublicIpZones"
        )
        assert arm.refusal(address, WEST | {"sku": {"name": "Basic"}, "zones": ["1"]}).startswith(
            "SkuCannotBeChangedOnUpdate"
        )

    def test_no_gateway_for_gateways(self, arm: Arm) -> None:
        arm.put(f"{NETWORK}/natGateways/nat", NAT)
        own = {"addressPrefix": "10.0.0.64/26", "natGateway": {"id": f"{NETWORK}/natGateways/nat"}}
        path = f"{NETWORK}/virtualNetworks/hub/subnets/GatewaySubnet"
        assert arm.refusal(path, {"properties": own}).startswith("NatGatewayCannotBeUsedInGatewaySubnet")

    def test_an_interface_needs_ipv4(self, arm: Arm) -> None:
        arm.put(VNET, network("10.2.0.0/24", "fd00::/48", addressPrefix="fd00::/64"))
        one = {"name": "a", "properties": {"subnet": {"id": f"{VNET}/subnets/one"}}}
        path = f"{NETWORK}/networkInterfaces/six"
        assert arm.refusal(path, place(ipConfigurations=[one])).startswith("SubnetHasNoIPv4Prefix")

    def test_one_zone_registers_a_networks_machines(self, arm: Arm) -> None:
        link = {"virtualNetwork": {"id": f"{NETWORK}/virtualNetworks/hub"}, "registrationEnabled": True}
        other = f"{NETWORK}/privateDnsZones/second.internal"
        arm.put(other, {"location": "global"})
        arm.put(f"{ZONE}/virtualNetworkLinks/l", {"location": "global", "properties": link})
        refusal = arm.refusal(f"{other}/virtualNetworkLinks/l", {"location": "global", "properties": link})
        assert "to one zone only" in refusal

    def test_an_endpoints_interface_is_not_written_by_hand(self, arm: Arm) -> None:
        interface = arm.get(f"{NETWORK}/privateEndpoints/pe")["properties"]["networkInterfaces"][0]["id"]
        assert arm.refusal(interface, arm.get(interface)).startswith("NicInUseWithPrivateEndpoint")

    def test_an_endpoints_interface_keeps_its_name(self, arm: Arm) -> None:
        path = f"{NETWORK}/privateEndpoints/named"
        link = {"name": "l", "properties": {"privateLinkServiceId": ACCOUNT, "groupIds": ["file"]}}
        subnet = {"id": f"{NETWORK}/virtualNetworks/hub/subnets/server"}
        body = place(subnet=subnet, privateLinkServiceConnections=[link], customNetworkInterfaceName="nic-a")
        arm.put(path, body)
        body["properties"]["customNetworkInterfaceName"] = "nic-b"
        assert arm.refusal(path, body).startswith("CustomNetworkInterfaceNameCannotBeChanged")

    def test_a_resource_has_five_diagnostic_settings(self, arm: Arm) -> None:
        for number in range(5):
            workspace = f"{WORKSPACE}{number}"
            arm.put(workspace, WEST)
            arm.put(f"{SETTING}{number}", {"properties": {"workspaceId": workspace, "logs": [LOG]}})
        assert "5 diagnostic settings at most" in arm.refusal(SETTING, setting(LOG))

    def test_an_alert_watches_what_exists(self, arm: Arm) -> None:
        criterion: Body = {
            "criterionType": "StaticThresholdCriterion",
            "name": "c",
            "metricName": "Percentage CPU",
        }
        criterion |= {"operator": "GreaterThan", "threshold": 90, "timeAggregation": "Average"}
        kind = "Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria"
        body: Body = {"severity": 1, "enabled": True, "evaluationFrequency": "PT1M", "windowSize": "PT5M"}
        body |= {"scopes": [f"{VM}none"], "criteria": {"odata.type": kind, "allOf": [criterion]}}
        path = f"{GROUP}/providers/Microsoft.Insights/metricAlerts/m"
        assert arm.refusal(path, {"location": "global", "properties": body}).startswith("ResourceNotFound")

    def test_operations_and_providers_that_are_unknown(self, arm: Arm) -> None:
        operation = f"{SUBSCRIPTION}/providers/Microsoft.Network/locations/global/operations/none"
        assert said(arm("GET", operation)).startswith("OperationNotFound")
        assert said(arm("GET", f"{SUBSCRIPTION}/providers/Microsoft.Web")).startswith(
            "InvalidResourceNamespace"
        )

    def test_a_put_has_a_body(self, arm: Arm) -> None:
        assert said(arm("PUT", VNET)).startswith("InvalidRequestContent")
