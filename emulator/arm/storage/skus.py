"""Which redundancy Azure offers for a general-purpose account, region by region.

https://learn.microsoft.com/rest/api/storagerp/skus/list
"""

from __future__ import annotations

from emulator.arm.catalogue import listed
from emulator.arm.compute.capacity import usage
from emulator.arm.context import Context
from emulator.arm.ids import ResourceId
from emulator.arm.messages import Json, Request
from emulator.arm.regions import REGIONS, normalise
from emulator.arm.storage.common import VERSIONS
from emulator.arm.store import Row
from federation.azure_facts import offers_redundancy

ACCOUNT = "Microsoft.Storage/storageAccounts"
ACCOUNTS = 250
"""Accounts that a subscription may have in a region."""
USAGES = "Microsoft.Storage/locations/usages"
SKUS = "Microsoft.Storage/skus"
NAMES = tuple(f"Standard_{copies}" for copies in ("LRS", "ZRS", "GRS", "RAGRS", "GZRS", "RAGZRS"))


def _skus(context: Context, path: ResourceId, request: Request) -> list[Row]:
    return [
        Row(id=f"{path.path}/{name}", type=SKUS, body=_sku(name, region), parent=path.scope)
        for region in REGIONS
        for name in NAMES
        if offers_redundancy(region, name)
    ]


def _sku(name: str, region: str) -> Json:
    return {
        "resourceType": "storageAccounts",
        "name": name,
        "tier": "Standard",
        "kind": "StorageV2",
        "locations": [region],
        "capabilities": [],
        "restrictions": [],
    }


def _usages(context: Context, path: ResourceId, _: Request) -> list[Row]:
    """Return how many accounts a region has, and may have.

    https://learn.microsoft.com/azure/azure-resource-manager/management/azure-subscription-service-limits
    """
    region = normalise(path.names[0])
    used = sum(row.location == region for row in context.tx.of_type(ACCOUNT, path.subscription))
    title = "Storage Accounts"
    return [usage(path, USAGES, quota="StorageAccounts", title=title, used=used, limit=ACCOUNTS)]


TYPES = (listed(SKUS, VERSIONS, _skus), listed(USAGES, VERSIONS, _usages))
