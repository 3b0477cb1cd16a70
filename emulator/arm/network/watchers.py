"""Network watchers, which Azure makes for a region as soon as a virtual network appears there, and flow
logs.
"""

from __future__ import annotations

from dataclasses import replace

from emulator.arm import answers, ids
from emulator.arm.catalogue import WEAK_ETAG, Fixed, Reference, described
from emulator.arm.context import Context, Write, new_etag
from emulator.arm.errors import ArmError, bad_request
from emulator.arm.network.common import bad_name
from emulator.arm.references import home_of, invalid_reference
from emulator.arm.store import Row

WATCHER = "Microsoft.Network/networkWatchers"
FLOW_LOG = "Microsoft.Network/networkWatchers/flowLogs"
NETWORK = "Microsoft.Network/virtualNetworks"
SUBNET = "Microsoft.Network/virtualNetworks/subnets"
INTERFACE = "Microsoft.Network/networkInterfaces"
SECURITY_GROUP = "Microsoft.Network/networkSecurityGroups"
TARGET = "properties.targetResourceId"
WORKSPACE = (
    "properties.flowAnalyticsConfiguration.networkWatcherFlowAnalyticsConfiguration.workspaceResourceId"
)
GROUP = "NetworkWatcherRG"


def ensure_watcher(context: Context, subscription: str, region: str) -> None:
    """Make the region's watcher in NetworkWatcherRG unless the region has one."""
    tx = context.tx
    if any(watcher.location == region for watcher in tx.of_type(WATCHER, subscription)):
        return
    group = f"/subscriptions/{subscription}/resourceGroups/{GROUP}"
    if not tx.exists(group):
        tx.put(
            Row(
                id=group,
                type="Microsoft.Resources/resourceGroups",
                body={"location": region},
                parent=f"/subscriptions/{subscription}",
            )
        )
    tx.put(
        Row(
            id=f"{group}/providers/{WATCHER}/NetworkWatcher_{region}",
            type=WATCHER,
            body={"location": region},
            etag=new_etag(),
            parent=group,
        )
    )


def _one_per_region(write: Write) -> None:
    if write.old is None and write.id.subscription:
        for watcher in write.tx.of_type(WATCHER, write.id.subscription):
            if watcher.location == write.body["location"]:
                raise bad_request(
                    "NetworkWatcherCountLimitReached",
                    "Cannot create more than 1 network watchers for this subscription in this region.",
                )


# Flow logs


def _check_target(write: Write) -> None:
    watcher, target = write.parent(), write.target(TARGET)
    storage = write.target("properties.storageId")
    if target is None or storage is None:
        return
    _, region = home_of(write.tx, target)
    if target.type == SECURITY_GROUP:
        raise bad_request(
            "NsgFlowLogCreationBlocked",
            "On September 30, 2027, Network Security Group (NSG) flow logs will be retired. As part of this "
            "retirement, creation of new NSG flow logs is blocked starting June 30, 2025. We recommend "
            "migrating to virtual network flow logs.",
        )
    for what, found in (
        ("target", region),
        ("flow log", write.body["location"]),
        ("storage", storage.location),
    ):
        if found != watcher.location:
            raise bad_request(
                "BadRequest",
                f"The {what} of flow log {write.id.path} is in region '{found}', its network watcher in "
                f"'{watcher.location}': target, storage account and watcher must be in one region.",
            )
    for source, _, via in write.tx.links_to(target.key, TARGET):
        if source != write.id.key:
            raise bad_request(
                "BadRequest",
                f"Resource {target.id} has the flow log {via} already: a resource can have one flow log.",
            )


def _account_not_ready(account: Row, _: Write) -> ArmError:
    """Recorded by azure-service-operator for an account that was being made (flow logs, 2025)."""
    return bad_request(
        "StorageProvisioningStateNotSucceeded",
        f"Storage account ({account.state}) provisioning state {account.id} is not Succeeded.",
        details=[],
    )


def _no_target(wanted: str, own: str) -> ArmError:
    """Recorded for security groups: Test_Networking_NetworkWatcher_20241001_CRUD, 2025."""
    parsed = ids.parse(wanted)
    if parsed is None or parsed.type.lower() != SECURITY_GROUP.lower():
        return invalid_reference(wanted, own)
    return bad_request(
        "NetworkSecurityGroupNotFoundForFlowLog",
        f"Network security group specified in flow log TargetResourceId {wanted} is not found.",
        details=[],
    )


def _check_storage(write: Write) -> None:
    """A flow log writes with the account's key, unless it has an identity."""
    storage = write.target("properties.storageId")
    if storage is None:
        return
    if not storage.body["sku"]["name"].startswith("Standard_"):
        raise bad_request(
            "BadRequest", f"Storage account {storage.id} is premium: flow logs need a standard one."
        )
    keys = storage.properties.get("allowSharedKeyAccess", True)
    if not keys and not (write.body.get("identity") or {}).get("userAssignedIdentities"):
        raise bad_request(
            "BadRequest",
            f"Flow log {write.id.path} has no identity, but storage account {storage.id} does not allow "
            "shared key access: nothing could be written. Give the flow log a user-assigned identity.",
        )


def _describe_target(write: Write) -> None:
    target = write.target(TARGET)
    if target is not None:
        write.properties["targetResourceGuid"] = target.properties.get("resourceGuid", "")


TYPES = (
    replace(
        described(WATCHER, error=bad_name),
        answers=answers.NETWORK_AT_ONCE,
        check=(_one_per_region,),
        etag=WEAK_ETAG,
    ),
    replace(
        described(FLOW_LOG, error=bad_name),
        answers=answers.NETWORK,
        defaults={
            "properties": {
                "enabled": True,
                "retentionPolicy": {"days": 0, "enabled": False},
                "format": {"type": "JSON", "version": 2},
            }
        },
        fixed=(
            Fixed(
                path=TARGET,
                error=lambda _: bad_request("BadRequest", "The target of a flow log cannot be changed."),
            ),
        ),
        references=(
            Reference(path=TARGET, types=(NETWORK, SUBNET, INTERFACE, SECURITY_GROUP), error=_no_target),
            Reference(
                path="properties.storageId",
                types=("Microsoft.Storage/storageAccounts",),
                busy=_account_not_ready,
            ),
            Reference(path=WORKSPACE, types=("Microsoft.OperationalInsights/workspaces",)),
        ),
        check=(_check_target, _check_storage, _describe_target),
        etag=WEAK_ETAG,
    ),
)
