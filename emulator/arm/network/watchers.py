"""Network watchers: Azure makes one for a region as soon as a virtual network appears there."""

from __future__ import annotations

from emulator.arm.catalogue import ResourceType
from emulator.arm.errors import bad_request
from emulator.arm.network.common import VERSIONS, names
from emulator.arm.store import Row
from emulator.arm.writes import Context, Write, new_etag

WATCHER = "Microsoft.Network/networkWatchers"
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
            body={"location": region, "properties": {"runningOperationIds": []}},
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


TYPES = (
    ResourceType(
        name=WATCHER,
        versions=VERSIONS,
        names=names(),
        check=(_one_per_region,),
        etag=True,
        seconds=(3, 3),
    ),
)
