"""The status, body and headers of accepted creations, updates and deletions, type by type.

Witnesses: recorded answers of Azure (azure-service-operator `v2/internal/controllers/recordings`, azure-cli
`tests/latest/recordings`), named with the recorded test and its year.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emulator.arm.control_plane import ControlPlane
from emulator.arm.latency import Latency
from emulator.arm.messages import Response
from tests.emulator.arm_client import GROUP, Arm, said

WEST: dict[str, Any] = {"location": "westeurope"}
NETWORK = f"{GROUP}/providers/Microsoft.Network"
VNET = f"{NETWORK}/virtualNetworks/vnet"
ZONE = f"{NETWORK}/privateDnsZones/example.com"
LINK = f"{ZONE}/virtualNetworkLinks/link"
ACCOUNT = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/stone"
DISK = f"{GROUP}/providers/Microsoft.Compute/disks/disk"
VAULT = f"{GROUP}/providers/Microsoft.KeyVault/vaults/kv-one"
IDENTITY = f"{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-one"
REGISTRY = f"{GROUP}/providers/Microsoft.ContainerRegistry/registries/crone5"
WORKSPACE = f"{GROUP}/providers/Microsoft.OperationalInsights/workspaces/logs"
BACKUP = f"{GROUP}/providers/Microsoft.DataProtection/backupVaults/bvault"
ALERTS = f"{GROUP}/providers/Microsoft.Insights/actionGroups/people"

SPACE = WEST | {"properties": {"addressSpace": {"addressPrefixes": ["10.0.0.0/24"]}}}
STORAGE = WEST | {"kind": "StorageV2", "sku": {"name": "Standard_LRS"}}
EMPTY = WEST | {"properties": {"creationData": {"createOption": "Empty"}, "diskSizeGB": 4}}
SAFE = WEST | {
    "properties": {
        "sku": {"family": "A", "name": "standard"},
        "tenantId": "5f1c0a7e-7d43-4c0b-9a55-f2a4d3a7be01",
        "enableRbacAuthorization": True,
    }
}
GLOBAL: dict[str, Any] = {"location": "global"}
LINKED = GLOBAL | {"properties": {"virtualNetwork": {"id": VNET}}}
LOCAL = {"storageSettings": [{"datastoreType": "VaultStore", "type": "LocallyRedundant"}]}
BACKED = WEST | {"identity": {"type": "SystemAssigned"}, "properties": LOCAL}

STATUS, RESULT = "azure-asyncoperation", "location"
CREATIONS = [
    # path, body, status, provisioningState answered, headers with a URL; the recorded test
    (VNET, SPACE, 201, "Updating", {STATUS}),  # Test_Networking_VirtualNetwork_20240301_CRUD, 2025
    (ZONE, GLOBAL, 202, None, {STATUS, RESULT}),  # Test_Networking_PrivateDnsZone_20240601_CRUD, 2025
    (LINK, LINKED, 202, None, {STATUS, RESULT}),  # test_deleteLink_linkExists_expectLinkDeleted, 2020
    (ACCOUNT, STORAGE, 202, None, {RESULT}),  # Test_Storage_StorageAccount_20230101_CRUD, 2025
    (DISK, EMPTY, 202, "Updating", {STATUS, RESULT}),  # Test_Compute_Disk_20240302_CRUD, 2025
    (VAULT, SAFE, 200, "RegisteringDns", set()),  # Test_KeyVault_Vault_20230701_CRUD, 2025
    (IDENTITY, WEST, 201, None, {RESULT}),  # Test_ManagedIdentity_UserAssignedIdentity_20230131_CRUD, 2025
    (
        REGISTRY,
        WEST | {"sku": {"name": "Basic"}},
        200,
        "Succeeded",
        set(),
    ),  # ..._Registry_20230701_CRUD, 2025
    (WORKSPACE, WEST, 201, "Creating", set()),  # Test_OperationalInsights_Workspace_CRUD, 2025
    (BACKUP, BACKED, 201, "Provisioning", {STATUS}),  # Test_DataProtection_BackupPolicy_20231101_CRUD, 2025
    (ALERTS, GLOBAL | {"properties": {"groupShortName": "p", "enabled": True}}, 201, None, set()),
    # ^ Test_Insights_ActionGroup_v20230101_CRUD, 2025
]
DELETIONS = [
    (LINK, 202, {STATUS, RESULT}),
    (ZONE, 202, {STATUS, RESULT}),
    (VNET, 202, {STATUS, RESULT}),
    (DISK, 202, {STATUS, RESULT}),
    (BACKUP, 202, {STATUS, RESULT}),
    (ACCOUNT, 200, set()),
    (VAULT, 200, set()),
    (IDENTITY, 200, set()),
    (REGISTRY, 202, {RESULT}),  # ..._Registry_20230701_CRUD, 2025
    (WORKSPACE, 200, set()),
    (ALERTS, 200, set()),
    (GROUP, 202, {RESULT}),
]


class Clock:
    """A clock that stands still until it is told to go."""

    now = 1_764_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def slow(tmp_path: Path, clock: Clock) -> Iterator[Arm]:
    plane = ControlPlane(tmp_path / "slow.sqlite", b"k" * 32, latency=Latency(1.0), clock=clock)
    arm = Arm(plane)
    assert arm.put(GROUP, WEST)["properties"]["provisioningState"] == "Succeeded"
    yield arm
    plane.close()


def urls(answer: Response) -> set[str]:
    return {STATUS, RESULT} & set(answer.headers)


def state(answer: Response) -> Any:
    return ((answer.body or {}).get("properties") or {}).get("provisioningState")


def test_with_durations_creations_are_answered_as_recorded(slow: Arm, clock: Clock) -> None:
    for path, body, status, pending, headers in CREATIONS:
        answer = slow("PUT", path, body)
        assert (path, answer.status, state(answer), urls(answer)) == (path, status, pending, headers)
        assert ("retry-after" in answer.headers) == (status == 202 or STATUS in headers)
        clock.now += 1000
        if RESULT in headers and answer.body is None:
            assert slow.follow(answer).body == slow.get(path)
    for path, _, status, *_ in CREATIONS:
        assert state(slow("GET", path)) in {None, "Succeeded"}, (path, status)


def test_with_durations_deletions_are_answered_as_recorded(slow: Arm, clock: Clock) -> None:
    for path, body, *_ in CREATIONS:
        slow("PUT", path, body)
        clock.now += 1000
    for path, status, headers in DELETIONS:
        answer = slow("DELETE", path)
        assert (path, answer.status, urls(answer), answer.body) == (path, status, headers, None)
        clock.now += 1000
        assert slow("GET", path).status == 404


def test_without_durations_the_statuses_are_the_same_and_the_work_is_done(arm: Arm) -> None:
    for path, body, status, _, _ in CREATIONS:
        answer = arm("PUT", path, body)
        assert (path, answer.status) == (path, status)
        assert state(arm("GET", path)) in {None, "Succeeded"}
        if status == 202:
            assert arm.follow(answer).body == arm.get(path)
    for path, status, _ in DELETIONS:
        answer = arm("DELETE", path)
        assert (path, answer.status) == (path, status)
        assert arm("GET", path).status == 404
        if status == 202 and path != GROUP:
            assert arm.follow(answer).status == 200


def test_an_update_in_place_is_answered_at_once(slow: Arm, clock: Clock) -> None:
    """Test_Storage_StorageAccount_20230101_CRUD, 2025; test_keyvault_mgmt, 2020."""
    for path, body in ((ACCOUNT, STORAGE), (VAULT, SAFE), (WORKSPACE, WEST)):
        slow("PUT", path, body)
        clock.now += 1000
        answer = slow("PUT", path, body | {"tags": {"a": "b"}})
        assert (answer.status, state(answer)) == (200, "Succeeded")


def test_an_account_answers_202_until_it_is_made(slow: Arm, clock: Clock) -> None:
    """Test_Storage_StorageAccount_20230101_CRUD, 2025: 202 without a body, then 200 with the account."""
    answer = slow("PUT", ACCOUNT, STORAGE)
    pending = slow.follow(answer)
    assert (pending.status, pending.body) == (202, None)
    assert said(slow("PUT", ACCOUNT, STORAGE)).startswith("StorageAccountOperationInProgress")
    clock.now += 60
    assert slow.follow(answer).body == slow.get(ACCOUNT)
