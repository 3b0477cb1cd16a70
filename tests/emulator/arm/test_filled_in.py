"""Members of answers that nobody asked for: what Azure assumes and what it works out.

Each test names the recorded tests of azure-service-operator (2023 to 2025) or azure-cli (2018 to 2020).
"""

from typing import Any

import pytest

from tests.emulator.arm import test_identities as identities
from tests.emulator.arm import test_machines as machines
from tests.emulator.arm.test_answers import (
    ACCOUNT,
    BACKED,
    BACKUP,
    IDENTITY,
    REGISTRY,
    SPACE,
    STORAGE,
    VNET,
    WEST,
    WORKSPACE,
)
from tests.emulator.arm.test_clients import deploy
from tests.emulator.arm.test_networks import NIC, interface, subnet
from tests.emulator.arm.test_networks import network as network_body
from tests.emulator.arm_client import Arm


class TestParts:
    """Elements of the network provider's lists are answered like resources of their own."""

    def test_a_delegation(self, arm: Arm) -> None:
        """Test_Networking_VirtualNetwork_20240301_CRUD, 2025."""
        arm.put(VNET, SPACE)
        wanted = {"name": "own", "properties": {"serviceName": "Microsoft.PowerPlatform/vnetaccesslinks"}}
        body = {"properties": {"addressPrefix": "10.0.0.0/24", "delegations": [wanted]}}
        subnet = arm.put(f"{VNET}/subnets/s", body)
        (made,) = subnet["properties"]["delegations"]
        assert made["id"] == f"{VNET}/subnets/s/delegations/own"
        assert made["type"] == "Microsoft.Network/virtualNetworks/subnets/delegations"
        assert made["etag"] == subnet["etag"]
        assert made["properties"]["actions"] == ["Microsoft.Network/virtualNetworks/subnets/join/action"]
        assert arm("PUT", f"{VNET}/subnets/s", subnet).status == 200
        nameless = body["properties"] | {"delegations": [{"properties": wanted["properties"]}]}
        assert arm.refusal(f"{VNET}/subnets/t", {"properties": nameless}).startswith("InvalidRequestFormat: ")


def test_a_machine_says_how_its_system_is_looked_after(arm: Arm) -> None:
    """Test_Compute_VM_20220301_CRUD, 2024."""
    deploy(arm)
    profile = arm.get(machines.VM)["properties"]["osProfile"]
    assert profile["allowExtensionOperations"] is profile["requireGuestProvisionSignal"] is True
    assert profile["secrets"] == []
    assert profile["linuxConfiguration"]["provisionVMAgent"] is True
    assert set(profile["linuxConfiguration"]["patchSettings"]) == {"patchMode", "assessmentMode"}


def test_an_interface_has_a_hardware_address_once_a_machine_has_it(arm: Arm) -> None:
    """Test_Network_v1api20240301_CreationAndDeletion, 2025."""
    arm.put(VNET, network_body(subnet()))
    made = arm.put(f"{NIC}2", interface())["properties"]
    assert "macAddress" not in made
    deploy(arm)
    assert arm.get(NIC)["properties"]["macAddress"].startswith("00-0D-3A-")
    assert made["dnsSettings"]["internalDomainNameSuffix"].endswith(".internal.cloudapp.net")


def test_a_key_says_what_it_may_do_and_how_far_it_can_be_had_back(arm: Arm) -> None:
    """Test_Compute_DiskEncryptionSet_20240302_CRUD, 2025."""
    identities.vault(arm, days=7)
    identities.key(arm)
    properties = arm.get(identities.KEY)["properties"]
    assert properties["keyOps"] == ["encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey"]
    assert properties["attributes"]["recoveryLevel"] == "CustomizedRecoverable+Purgeable"


PREMIUM: dict[str, Any] = {**WEST, "sku": {"name": "Premium"}}


@pytest.mark.parametrize(
    ("path", "body", "members"),
    [
        # Test_ContainerRegistry_Registry_20230701_CRUD, 2025
        (
            REGISTRY,
            PREMIUM,
            {"networkRuleSet": {"defaultAction": "Allow", "ipRules": []}},
        ),
        # Test_OperationalInsights_Workspace_CRUD, 2025
        (
            WORKSPACE,
            WEST,
            {
                "features": {
                    "legacy": 0,
                    "searchVersion": 1,
                    "enableLogAccessUsingOnlyResourcePermissions": True,
                }
            },
        ),
        # Test_DataProtection_BackupInstance_20231101_CRUD, 2024
        (BACKUP, BACKED, {"isVaultProtectedByResourceGuard": False, "secureScore": "None"}),
    ],
)
def test_a_resource_says_what_was_assumed(
    arm: Arm, path: str, body: dict[str, Any], members: dict[str, Any]
) -> None:
    made = arm.put(path, body)["properties"]
    assert {name: made[name] for name in members} == members


def test_a_backup_policy_names_its_tags(arm: Arm) -> None:
    """Test_DataProtection_BackupPolicy_20231101_CRUD, 2025; Azure Verified Modules' backup-vault sends it."""
    arm.put(BACKUP, BACKED)
    tag = {"isDefault": True, "taggingPriority": 99, "tagInfo": {"tagName": "Default"}}
    schedule = {"repeatingTimeIntervals": ["R/2026-01-01T04:00:00+00:00/P1D"], "timeZone": "UTC"}
    trigger = {"objectType": "ScheduleBasedTriggerContext", "schedule": schedule, "taggingCriteria": [tag]}
    store = {"dataStoreType": "OperationalStore", "objectType": "DataStoreInfoBase"}
    rule = {"objectType": "AzureBackupRule", "name": "Daily", "dataStore": store, "trigger": trigger}
    rule["backupParameters"] = {"objectType": "AzureBackupParams", "backupType": "Incremental"}
    properties: dict[str, Any] = {"objectType": "BackupPolicy", "policyRules": [rule]}
    properties["datasourceTypes"] = ["Microsoft.Compute/disks"]
    made = arm.put(f"{BACKUP}/backupPolicies/daily", {"properties": properties})["properties"]
    (criterion,) = made["policyRules"][0]["trigger"]["taggingCriteria"]
    assert criterion["tagInfo"] == {"tagName": "Default", "id": "Default_"}


def test_a_container_has_no_legal_hold_and_a_rule_is_on(arm: Arm) -> None:
    """Test_DataProtection_BackupInstance_20231101_CRUD, 2024; management_policy, 2020."""
    arm.put(ACCOUNT, STORAGE)
    container = arm.put(f"{ACCOUNT}/blobServices/default/containers/data", {})["properties"]
    assert container["legalHold"] == {"hasLegalHold": False, "tags": []}
    delete = {"baseBlob": {"delete": {"daysAfterModificationGreaterThan": 30}}}
    rule: dict[str, Any] = {"name": "old", "type": "Lifecycle"}
    rule |= {"definition": {"actions": delete, "filters": {"blobTypes": ["blockBlob"]}}}
    body = {"properties": {"policy": {"rules": [rule]}}}
    policy = arm.put(f"{ACCOUNT}/managementPolicies/default", body)["properties"]
    assert policy["policy"]["rules"][0]["enabled"] is True


def test_an_identity_says_where_it_is(arm: Arm) -> None:
    """Test_ManagedIdentity_UserAssignedIdentity_20230131_CRUD, 2025: 73 of 78 creations."""
    made = arm("PUT", IDENTITY, WEST)
    assert made.headers["location"] == (made.body or {})["id"]
    assert "location" not in arm("PUT", IDENTITY, WEST).headers
