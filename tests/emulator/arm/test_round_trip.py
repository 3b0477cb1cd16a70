"""What Azure answers it also takes: clients read a resource, change a part of it and send the whole back."""

from typing import Any

import pytest

from emulator.arm.types import CATALOGUE
from tests.emulator.arm import test_identities as identities
from tests.emulator.arm.test_clients import COMPUTE, NETWORK, deploy
from tests.emulator.arm_client import GROUP, Arm, said

ZONE = f"{NETWORK}/privateDnsZones/privatelink.blob.core.windows.net"
WORKSPACE = f"{GROUP}/providers/Microsoft.OperationalInsights/workspaces/log-one"
WEST: dict[str, Any] = {"location": "westeurope"}
MOVING = frozenset(
    {"etag", "lastModifiedTime", "modifiedDate", "updatedOn", "lastEnabledTime", "lastKeyRotationTimestamp"}
)
"""What changes with every write."""


@pytest.fixture(autouse=True)
def _deployment(arm: Arm) -> None:
    deploy(arm)
    principal = identities.owner(arm)["principalId"]
    identities.vault(arm, enablePurgeProtection=True)
    url = identities.key(arm)
    identities.grant(arm, identities.KEY, identities.ENCRYPTION_USER, principal)
    own = {"identity": identities.assigned(identities.IDENTITY)}
    arm.put(identities.SET, WEST | own | {"properties": {"activeKey": {"keyUrl": url}}})
    arm.put(identities.REGISTRY, WEST | {"sku": {"name": "Premium"}})
    arm.put(ZONE, {"location": "global"})
    link = {"virtualNetwork": {"id": f"{NETWORK}/virtualNetworks/hub"}}
    arm.put(f"{ZONE}/virtualNetworkLinks/hub", {"location": "global", "properties": link})
    config = {"name": "blob", "properties": {"privateDnsZoneId": ZONE}}
    zones = {"properties": {"privateDnsZoneConfigs": [config]}}
    arm.put(f"{NETWORK}/privateEndpoints/pe/privateDnsZoneGroups/default", zones)
    arm.put(f"{NETWORK}/publicIPAddresses/ip", WEST | {"sku": {"name": "Standard"}})
    address = {"publicIpAddresses": [{"id": f"{NETWORK}/publicIPAddresses/ip"}]}
    arm.put(f"{NETWORK}/natGateways/nat", WEST | {"sku": {"name": "Standard"}, "properties": address})
    agent = {
        "publisher": "Microsoft.Azure.Monitor",
        "type": "AzureMonitorLinuxAgent",
        "typeHandlerVersion": "1.29",
    }
    extension = f"{COMPUTE}/virtualMachines/vm/extensions/AzureMonitorLinuxAgent"
    arm.put(extension, WEST | {"properties": agent})
    arm.put(WORKSPACE, WEST)
    logs = [{"category": "NetworkSecurityGroupEvent", "enabled": True}]
    setting = {"properties": {"workspaceId": WORKSPACE, "logs": logs}}
    arm.put(f"{NETWORK}/networkSecurityGroups/nsg/providers/Microsoft.Insights/diagnosticSettings/d", setting)


def still(value: Any) -> Any:
    """A body without what moves."""
    if isinstance(value, dict):
        return {name: still(part) for name, part in value.items() if name not in MOVING}
    return [still(part) for part in value] if isinstance(value, list) else value


def everything(arm: Arm) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = arm.get("/emulator/changes")["upserts"]
    return found


def test_every_answer_can_be_sent_back_and_changes_nothing(arm: Arm) -> None:
    sent = set()
    for one in everything(arm):
        if "PUT" not in CATALOGUE[one["type"]].methods or ".nic." in one["id"]:
            continue
        before = arm.get(one["id"])
        answer = arm("PUT", one["id"], before)
        assert answer.status == CATALOGUE[one["type"]].answers.updated, said(answer)
        assert still(arm.get(one["id"])) == still(before)
        sent.add(one["type"])
    assert len(sent) >= 25


def test_tags_of_every_tagged_resource_change_by_patch_and_nothing_else_does(arm: Arm) -> None:
    for one in everything(arm):
        type_ = CATALOGUE[one["type"]]
        if not type_.tags or "PATCH" not in type_.methods or ".nic." in one["id"]:
            continue
        before = arm.get(one["id"])
        answer = arm("PATCH", one["id"], {"tags": {"cost": "research"}})
        assert answer.status == type_.answers.updated, said(answer)
        assert still(arm.get(one["id"])) == still(before) | {"tags": {"cost": "research"}}


def test_the_whole_group_goes_and_leaves_nothing(arm: Arm) -> None:
    assert arm.follow(arm("DELETE", GROUP)).status == 200
    left = [one["id"] for one in everything(arm) if "/resourcegroups/rg" in one["id"].lower()]
    assert left == []
