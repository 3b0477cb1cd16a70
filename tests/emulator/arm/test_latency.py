"""Realistic durations: operations in progress, second writers, and what an interrupted daemon leaves of
them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emulator.arm.control_plane import ControlPlane
from emulator.arm.latency import Latency
from tests.emulator.arm_client import GROUP, SUBSCRIPTION, Arm, said

KEY = b"k" * 32
NETWORK = f"{GROUP}/providers/Microsoft.Network"
VNET = f"{NETWORK}/virtualNetworks/vnet"
SUBNET = f"{VNET}/subnets/one"
NIC = f"{NETWORK}/networkInterfaces/nic"
ACCOUNT = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/stone"
STORAGE = {"location": "westeurope", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}}


class Clock:
    """A clock that stands still until it is told to go."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now

    def go(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def slow(tmp_path: Path, clock: Clock) -> Iterator[Arm]:
    """A control plane that takes as long as Azure, by a clock of its own."""
    plane = ControlPlane(tmp_path / "slow.sqlite", KEY, latency=Latency(1.0), clock=clock)
    arm = Arm(plane)
    arm.put(GROUP, {"location": "westeurope"})
    clock.go(60)
    yield arm
    plane.close()


def network(*names: str) -> dict[str, Any]:
    subnets = [
        {"name": name, "properties": {"addressPrefix": f"10.0.0.{index * 64}/26"}}
        for index, name in enumerate(names)
    ]
    space = {"addressSpace": {"addressPrefixes": ["10.0.0.0/24"]}}
    return {"location": "westeurope", "properties": space | {"subnets": subnets}}


def interface(subnet: str = SUBNET) -> dict[str, Any]:
    one = {"name": "primary", "properties": {"subnet": {"id": subnet}}}
    return {"location": "westeurope", "properties": {"ipConfigurations": [one]}}


def status(arm: Arm, headers: Any) -> str:
    path = headers["azure-asyncoperation"].removeprefix("https://management.azure.com").partition("?")[0]
    found: str = arm.get(path)["status"]
    return found


def test_a_put_is_answered_at_once_and_ends_in_its_time(slow: Arm, clock: Clock) -> None:
    answer = slow("PUT", VNET, network("one"))
    assert answer.status == 201
    assert answer.body is not None
    assert answer.body["properties"]["provisioningState"] == "Updating"
    assert answer.body["properties"]["subnets"][0]["properties"]["provisioningState"] == "Updating"
    assert int(answer.headers["retry-after"]) >= 1
    assert "/providers/Microsoft.Network/locations/" in answer.headers["azure-asyncoperation"]
    assert "/locations/westeurope/" in answer.headers["azure-asyncoperation"]
    assert "location" not in answer.headers
    assert status(slow, answer.headers) == "InProgress"
    clock.go(5)
    assert status(slow, answer.headers) == "Succeeded"
    assert slow.get(VNET)["properties"]["provisioningState"] == "Succeeded"
    assert slow.get(SUBNET)["properties"]["provisioningState"] == "Succeeded"


def test_a_second_writer_of_a_network_is_refused_until_the_first_has_ended(slow: Arm, clock: Clock) -> None:
    slow.put(VNET, network("one"))
    clock.go(5)
    first = slow("PUT", f"{VNET}/subnets/two", {"properties": {"addressPrefix": "10.0.0.64/26"}})
    third = {"properties": {"addressPrefix": "10.0.0.128/26"}}
    for path, body in ((VNET, network("one")), (NIC, interface())):
        answer = slow("PUT", path, body)
        assert answer.status == 409
        assert said(answer).startswith(
            "AnotherOperationInProgress: Another operation on this or dependent resource is in progress. To "
            "retrieve status of the operation use uri: https://management.azure.com/"
        )
    assert said(slow("DELETE", SUBNET)).startswith("AnotherOperationInProgress")
    # Test_Networking_DnsResolver_CRUD, 2025, with api-version 2020-11-01
    old = slow("PUT", f"{VNET}/subnets/three", third, **{"api-version": "2020-11-01"})
    assert said(old).startswith("AnotherOperationInProgress")
    # Test_Network_v1api20240301_CreationAndDeletion, 2025-07-15
    answer = slow("PUT", f"{VNET}/subnets/three", third)
    assert (answer.status, answer.headers["retry-after"]) == (429, "12")
    assert answer.body is not None
    assert answer.body["error"]["details"][0]["code"] == "RetryableErrorDueToAnotherOperation"
    assert "PutSubnetOperation" in answer.body["error"]["details"][0]["message"]
    clock.go(6)
    assert status(slow, first.headers) == "Succeeded"
    slow.put(f"{VNET}/subnets/three", third)


def test_a_peering_is_refused_while_its_remote_network_is_written(slow: Arm, clock: Clock) -> None:
    """Test_Network_v1api20240301_CreationAndDeletion, 2025-07-15; terraform-provider-azurerm #2605.

    What docs/adr/0007 avoids by its chain: the refusal is final for the provider (plugins/test_retries.py).
    """
    other = f"{NETWORK}/virtualNetworks/other"
    body = network()
    slow.put(VNET, body)
    slow.put(other, body | {"properties": {"addressSpace": {"addressPrefixes": ["10.1.0.0/24"]}}})
    clock.go(5)
    slow.put(f"{VNET}/virtualNetworkPeerings/p", {"properties": {"remoteVirtualNetwork": {"id": other}}})
    third = f"{NETWORK}/virtualNetworks/third"
    slow.put(third, body | {"properties": {"addressSpace": {"addressPrefixes": ["10.2.0.0/24"]}}})
    clock.go(5)
    for busy in (VNET, other):
        remote = {"properties": {"remoteVirtualNetwork": {"id": busy}}}
        answer = slow("PUT", f"{third}/virtualNetworkPeerings/p", remote)
        assert said(answer).startswith(
            f"ReferencedResourceNotProvisioned: Cannot proceed with operation because resource {busy} used "
            f"by resource {third}/virtualNetworkPeerings/p is not in Succeeded state. Resource is in Updating"
        )
        assert answer.status == 400
        assert answer.body is not None
        assert answer.body["error"]["details"] == []
    clock.go(12)
    back = {"properties": {"remoteVirtualNetwork": {"id": VNET}}}
    made = slow.put(f"{other}/virtualNetworkPeerings/p", back)
    assert made["properties"]["peeringState"] == "Connected"


def test_keys_and_flow_logs_wait_for_an_account(slow: Arm, clock: Clock) -> None:
    """listKeys: azure-service-operator, 2025; flow log: its Test_Networking_FlowLog, 2025."""
    slow.put(VNET, network("one"))
    clock.go(60)
    slow("PUT", ACCOUNT, STORAGE)
    assert said(slow("POST", f"{ACCOUNT}/listKeys")).startswith("StorageAccountIsNotProvisioned")
    watchers = f"{SUBSCRIPTION}/resourceGroups/NetworkWatcherRG/providers/Microsoft.Network/networkWatchers"
    log = {"targetResourceId": VNET, "storageId": ACCOUNT, "enabled": True}
    body = {"location": "westeurope", "properties": log}
    path = f"{watchers}/NetworkWatcher_westeurope/flowLogs/flows"
    assert slow.refusal(path, body).startswith("StorageProvisioningStateNotSucceeded")
    clock.go(60)
    assert slow("POST", f"{ACCOUNT}/listKeys").status == 200
    slow.put(path, body)


def test_different_networks_do_not_wait_for_each_other(slow: Arm) -> None:
    slow.put(VNET, network("one"))
    slow.put(f"{VNET}2", network("one"))


def test_what_is_not_ready_cannot_be_used(slow: Arm, clock: Clock) -> None:
    nsg = f"{NETWORK}/networkSecurityGroups/nsg"
    slow.put(nsg, {"location": "westeurope"})
    body = network("one")
    body["properties"]["subnets"][0]["properties"]["networkSecurityGroup"] = {"id": nsg}
    answer = slow("PUT", VNET, body)
    assert answer.status == 429
    assert said(answer).startswith("RetryableError")
    assert answer.body is not None
    assert answer.body["error"]["details"][0]["code"] == "ReferencedResourceNotProvisioned"
    assert "retry-after" not in answer.headers
    clock.go(3)
    slow.put(VNET, body)


def test_a_delete_is_refused_at_once_and_done_in_its_time(slow: Arm, clock: Clock) -> None:
    slow.put(VNET, network("one"))
    clock.go(5)
    slow.put(NIC, interface())
    clock.go(7)
    assert said(slow("DELETE", SUBNET)).startswith("InUseSubnetCannotBeDeleted")
    answer = slow("DELETE", NIC)
    assert answer.status == 202
    assert slow.get(NIC)["properties"]["provisioningState"] == "Deleting"
    clock.go(12)
    assert status(slow, answer.headers) == "Succeeded"
    assert slow("GET", NIC).status == 404
    slow.delete(SUBNET)


def test_a_group_on_its_way_out_takes_nothing_in(slow: Arm, clock: Clock) -> None:
    answer = slow("DELETE", GROUP)
    assert answer.status == 202
    assert slow.refusal(VNET, network()).startswith("ResourceGroupBeingDeleted")
    assert slow.follow(answer).status == 202
    clock.go(30)
    assert slow.follow(answer).status == 200
    assert slow("GET", GROUP).status == 404


def test_storage_says_it_in_its_own_words(slow: Arm, clock: Clock) -> None:
    slow.put(ACCOUNT, STORAGE)
    assert slow.refusal(ACCOUNT, STORAGE).startswith("StorageAccountOperationInProgress")
    clock.go(26)
    slow.put(ACCOUNT, STORAGE)


def test_others_just_call_it_a_conflict(slow: Arm) -> None:
    disk = {"creationData": {"createOption": "Empty"}, "diskSizeGB": 8}
    body = {"location": "westeurope", "properties": disk}
    slow.put(f"{GROUP}/providers/Microsoft.Compute/disks/d", body)
    assert slow.refusal(f"{GROUP}/providers/Microsoft.Compute/disks/d", body).startswith("Conflict")


def test_a_role_takes_effect_only_after_a_while(slow: Arm, clock: Clock) -> None:
    identity = f"{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-one"
    vault = f"{GROUP}/providers/Microsoft.KeyVault/vaults/kv-one"
    principal = slow.put(identity, {"location": "westeurope"})["properties"]["principalId"]
    tenant = "5f1c0a7e-7d43-4c0b-9a55-f2a4d3a7be01"
    properties = {
        "tenantId": tenant,
        "sku": {"family": "A", "name": "standard"},
        "enablePurgeProtection": True,
    }
    slow.put(vault, {"location": "westeurope", "properties": properties | {"enableRbacAuthorization": True}})
    clock.go(66)
    slow.put(f"{vault}/keys/k", {"properties": {"kty": "RSA"}})
    role = "/providers/Microsoft.Authorization/roleDefinitions/e147488a-f6f5-4113-8e2d-b22465e65bf6"
    slow.put(
        f"{vault}/providers/Microsoft.Authorization/roleAssignments/3f1b6a1e-6f6d-4a44-8f0e-5b0d8c1e2a01",
        {"properties": {"principalId": principal, "roleDefinitionId": role}},
    )
    encryption = {
        "keySource": "Microsoft.Keyvault",
        "keyvaultproperties": {"keyname": "k", "keyvaulturi": "https://kv-one.vault.azure.net"},
        "identity": {"userAssignedIdentity": identity},
    }
    own = {"type": "UserAssigned", "userAssignedIdentities": {identity: {}}}
    body = STORAGE | {"identity": own, "properties": {"encryption": encryption}}
    assert slow.refusal(ACCOUNT, body).startswith("KeyVaultAuthenticationFailure")
    clock.go(60)
    slow.put(ACCOUNT, body)


def test_a_daemon_started_anew_ends_what_another_began(tmp_path: Path, clock: Clock) -> None:
    store = tmp_path / "arm.sqlite"
    first = ControlPlane(store, KEY, latency=Latency(1.0), clock=clock)
    arm = Arm(first)
    arm.put(GROUP, {"location": "westeurope"})
    clock.go(60)
    answer = arm("PUT", VNET, network("one"))
    first.close()
    clock.go(5)
    second = ControlPlane(store, KEY, latency=Latency(0.0), clock=clock)
    arm = Arm(second)
    assert status(arm, answer.headers) == "Succeeded"
    assert arm.get(VNET)["properties"]["provisioningState"] == "Succeeded"
    second.close()


@pytest.mark.parametrize(
    ("text", "scale"), [("", 0.0), ("off", 0.0), ("azure", 1.0), ("azure:0.1", 0.1), ("AZURE:2", 2.0)]
)
def test_the_switch_is_read(text: str, scale: float) -> None:
    assert Latency.parse(text).scale == scale


@pytest.mark.parametrize("text", ["on", "azure:0", "azure:-1", "azure:fast", "off:1"])
def test_a_switch_that_is_not_understood_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="FED_EMULATOR_LATENCY"):
        Latency.parse(text)


def test_a_follower_hears_of_an_end_when_it_comes(tmp_path: Path) -> None:
    plane = ControlPlane(tmp_path / "arm.sqlite", KEY, latency=Latency(0.02))
    arm = Arm(plane)
    arm.put(GROUP, {"location": "westeurope"})
    arm.put(VNET, network())
    revision = arm.get("/emulator/changes")["revision"]
    told = arm.get("/emulator/changes", since=str(revision), wait="10")["upserts"]
    assert [(one["id"], one["body"]["properties"]["provisioningState"]) for one in told] == [
        (VNET, "Succeeded")
    ]
    plane.close()
