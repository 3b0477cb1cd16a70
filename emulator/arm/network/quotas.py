"""How much of a region's network quotas a subscription uses: read-only, of the few that matter here."""

from __future__ import annotations

from azure_types.types import BY_ARM_TYPE
from emulator.arm.catalogue import listed
from emulator.arm.compute.capacity import usage
from emulator.arm.context import Context
from emulator.arm.ids import ResourceId
from emulator.arm.messages import Request
from emulator.arm.regions import normalise
from emulator.arm.store import Row

USAGES = "Microsoft.Network/locations/usages"
LIMITS = {
    "VirtualNetworks": ("Microsoft.Network/virtualNetworks", "Virtual Networks", 1000),
    "PublicIPAddresses": ("Microsoft.Network/publicIPAddresses", "Public IP Addresses", 1000),
    "NetworkSecurityGroups": ("Microsoft.Network/networkSecurityGroups", "Network Security Groups", 5000),
}
"""Quota -> (type, title, limit in a region).

https://learn.microsoft.com/azure/azure-resource-manager/management/azure-subscription-service-limits
"""


def _usages(context: Context, path: ResourceId, _: Request) -> list[Row]:
    region = normalise(path.names[0])
    found = []
    for quota, (type_, title, limit) in LIMITS.items():
        rows = context.tx.of_type(type_, path.subscription)
        used = sum(normalise(str(row.body["location"])) == region for row in rows)
        found.append(usage(path, USAGES, quota=quota, title=title, used=used, limit=limit))
    return found


TYPES = (listed(USAGES, BY_ARM_TYPE["Microsoft.Network/virtualNetworks"].versions, _usages),)
