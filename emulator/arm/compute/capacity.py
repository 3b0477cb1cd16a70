"""What a subscription may have in a region: the VM sizes that Azure offers, and how much of a quota is used.

Both are read-only. The emulator refuses no VM for its quota; that the numbers are right is what matters to
whoever asks before a deployment.
"""

from __future__ import annotations

import re

from emulator.arm.catalogue import listed
from emulator.arm.compute.common import MACHINE
from emulator.arm.context import Context
from emulator.arm.ids import ResourceId
from emulator.arm.messages import Json, Request, Response
from emulator.arm.regions import REGIONS, normalise
from emulator.arm.store import Row
from federation.azure_facts import VM_SIZES, VmSize

SKUS = "Microsoft.Compute/skus"
SIZES = "Microsoft.Compute/locations/vmSizes"
USAGES = "Microsoft.Compute/locations/usages"
SKU_VERSIONS = ("2021-07-01", "2019-04-01")
USAGE_VERSIONS = ("2024-07-01", "2024-11-01", "2025-04-01")
CORES = 20
"""vCPUs of a new subscription, in a region and in a family there.

https://learn.microsoft.com/azure/azure-resource-manager/management/azure-subscription-service-limits
"""


def _family(size: str) -> str:
    """Return the name of a size's quota: Standard_D2s_v5 counts against standardDSv5Family."""
    if size in VM_SIZES and VM_SIZES[size].quota:
        return VM_SIZES[size].quota
    found = re.fullmatch(r"Standard_([A-Z]+)\d+([a-z]*)_v(\d+)", size)
    return f"standard{found[1]}{found[2].upper()}v{found[3]}Family" if found else "standardFamily"


def _skus(context: Context, path: ResourceId, request: Request) -> list[Row]:
    """Return the sizes; `$filter=location eq '...'` chooses a region."""
    chosen = re.search(r"location eq '([^']+)'", request.query.get("$filter", ""))
    regions = [r for r in REGIONS if chosen is None or r == normalise(chosen[1])]
    return [
        Row(id=f"{path.path}/{name}", type=SKUS, body=_sku(name, size, region), parent=path.scope)
        for region in regions
        for name, size in VM_SIZES.items()
    ]


def _sku(name: str, size: VmSize, region: str) -> Json:
    capabilities = {
        "vCPUs": size.vcpus,
        "MemoryGB": size.memory_gib,
        "CpuArchitectureType": "Arm64" if size.architecture == "arm64" else "x64",
        "EncryptionAtHostSupported": size.encryption_at_host,
        "PremiumIO": size.premium_disks,
        "TrustedLaunchDisabled": not size.trusted_launch,
        **({"GPUs": size.gpus} if size.gpus else {}),
    }
    return {
        "resourceType": "virtualMachines",
        "name": name,
        "tier": "Standard",
        "size": name.removeprefix("Standard_"),
        "family": _family(name),
        "locations": [region],
        "locationInfo": [{"location": region, "zones": ["1", "2", "3"], "zoneDetails": []}],
        "capabilities": [{"name": key, "value": str(value)} for key, value in capabilities.items()],
        "restrictions": [],
    }


def _usages(context: Context, path: ResourceId, _: Request) -> list[Row]:
    region = normalise(path.names[0])
    used: dict[str, int] = {}
    for machine in context.tx.of_type(MACHINE, path.subscription):
        name = str(machine.properties["hardwareProfile"]["vmSize"])
        if normalise(str(machine.body["location"])) == region and name in VM_SIZES:
            for quota in ("cores", _family(name)):
                used[quota] = used.get(quota, 0) + VM_SIZES[name].vcpus
    quotas = {"cores": "Total Regional vCPUs"} | {_family(n): f"{_family(n)} vCPUs" for n in VM_SIZES}
    return [
        usage(path, USAGES, quota=quota, title=title, used=used.get(quota, 0), limit=CORES)
        for quota, title in quotas.items()
    ]


def usage(path: ResourceId, type_: str, *, quota: str, title: str, used: int, limit: int) -> Row:
    """Return one quota as Azure answers it."""
    body = {
        "name": {"value": quota, "localizedValue": title},
        "unit": "Count",
        "currentValue": used,
        "limit": limit,
    }
    return Row(id=f"{path.path}/{quota}", type=type_, body=body, parent=path.scope)


def _sizes(_: Context, path: ResourceId, __: Request) -> list[Row]:
    return [
        Row(id=f"{path.path}/{name}", type=SIZES, body=_size(name, size), parent=path.scope)
        for name, size in VM_SIZES.items()
    ]


def sizes(_: Context, __: Row, ___: Request) -> Response:
    """Answer the sizes that a machine can be given: any."""
    return Response(status=200, body={"value": [_size(name, size) for name, size in VM_SIZES.items()]})


def _size(name: str, size: VmSize) -> Json:
    """https://learn.microsoft.com/rest/api/compute/virtual-machine-sizes/list."""
    return {
        "name": name,
        "numberOfCores": size.vcpus,
        "memoryInMB": int(size.memory_gib * 1024),
        "osDiskSizeInMB": 1047552,
        "maxDataDiskCount": 2 * size.vcpus,
    }


TYPES = (
    listed(SKUS, SKU_VERSIONS, _skus),
    listed(USAGES, USAGE_VERSIONS, _usages),
    listed(SIZES, USAGE_VERSIONS, _sizes),
)
