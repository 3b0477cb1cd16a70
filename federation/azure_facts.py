"""What Azure offers: the VM sizes and regions that this program supports, and limits it must respect.

A size that is missing here is refused, not guessed: add it with what Azure documents about it
(https://learn.microsoft.com/azure/virtual-machines/sizes/overview).
"""

from dataclasses import dataclass
from typing import Final, Literal

#: https://learn.microsoft.com/azure/azure-resource-manager/management/azure-subscription-service-limits#networking-limits
PEERINGS_PER_NETWORK: Final = 500
#: Tags of a private DNS zone or link: https://github.com/Azure/azure-rest-api-specs/issues/13600
TAGS_OF_A_ZONE: Final = 15
#: The private zones of endpoints: https://learn.microsoft.com/azure/private-link/private-endpoint-dns
BLOB_ZONE: Final = "privatelink.blob.core.windows.net"
REGISTRY_ZONE: Final = "privatelink.azurecr.io"
#: Ours, for the server's name.
INTERNAL_ZONE: Final = "federation.internal"
#: Power BI's VNet data gateway, as a subnet is delegated to it:
#: https://learn.microsoft.com/data-integration/vnet/create-data-gateways
POWER_BI_GATEWAY: Final = "Microsoft.PowerPlatform/vnetaccesslinks"


@dataclass(frozen=True, kw_only=True)
class VmSize:
    """A virtual machine size: vCPUs, memory in GiB and the protections it supports.

    `gpus` are NVIDIA's, `quota` is the family that its vCPUs count in, where its name does not say it.
    """

    vcpus: int
    memory_gib: int
    architecture: Literal["x64", "arm64"] = "x64"
    trusted_launch: bool = True
    encryption_at_host: bool = True
    premium_disks: bool = True
    gpus: int = 0
    quota: str = ""

    @property
    def usable(self) -> bool:
        """Whether the program's VMs can have this size: every image is x64, every VM uses Trusted Launch."""
        return self.architecture == "x64" and self.trusted_launch


_T4: Final = "Standard NCASv3_T4 Family"
_A100: Final = "StandardNCADSA100v4Family"

# https://learn.microsoft.com/azure/virtual-machines/trusted-launch and .../disk-encryption: Dpsv5 (ARM),
# Av2, Dv2 and Dv3 lack Trusted Launch. The v6 sizes are left out: their disks are NVMe only.
VM_SIZES: Final[dict[str, VmSize]] = {
    "Standard_B2ls_v2": VmSize(vcpus=2, memory_gib=4),
    "Standard_B2s_v2": VmSize(vcpus=2, memory_gib=8),
    "Standard_B4ls_v2": VmSize(vcpus=4, memory_gib=8),
    "Standard_B4s_v2": VmSize(vcpus=4, memory_gib=16),
    "Standard_B2as_v2": VmSize(vcpus=2, memory_gib=8),
    "Standard_B4as_v2": VmSize(vcpus=4, memory_gib=16),
    "Standard_D2s_v5": VmSize(vcpus=2, memory_gib=8),
    "Standard_D4s_v5": VmSize(vcpus=4, memory_gib=16),
    "Standard_D8s_v5": VmSize(vcpus=8, memory_gib=32),
    "Standard_D2as_v5": VmSize(vcpus=2, memory_gib=8),
    "Standard_D4as_v5": VmSize(vcpus=4, memory_gib=16),
    "Standard_D8as_v5": VmSize(vcpus=8, memory_gib=32),
    "Standard_E2s_v5": VmSize(vcpus=2, memory_gib=16),
    "Standard_E4s_v5": VmSize(vcpus=4, memory_gib=32),
    "Standard_E8s_v5": VmSize(vcpus=8, memory_gib=64),
    "Standard_D2_v5": VmSize(vcpus=2, memory_gib=8, premium_disks=False),
    "Standard_D4_v5": VmSize(vcpus=4, memory_gib=16, premium_disks=False),
    "Standard_D2_v3": VmSize(
        vcpus=2, memory_gib=8, trusted_launch=False, encryption_at_host=False, premium_disks=False
    ),
    "Standard_A2_v2": VmSize(
        vcpus=2, memory_gib=4, trusted_launch=False, encryption_at_host=False, premium_disks=False
    ),
    # learn.microsoft.com/azure/virtual-machines/sizes/gpu-accelerated/ncast4v3-series, nca100v4-series.
    # Left out: NV sizes, whose driver (GRID) Ubuntu does not sign, and those of eight GPUs.
    "Standard_NC4as_T4_v3": VmSize(vcpus=4, memory_gib=28, gpus=1, quota=_T4),
    "Standard_NC8as_T4_v3": VmSize(vcpus=8, memory_gib=56, gpus=1, quota=_T4),
    "Standard_NC16as_T4_v3": VmSize(vcpus=16, memory_gib=110, gpus=1, quota=_T4),
    "Standard_NC24ads_A100_v4": VmSize(vcpus=24, memory_gib=220, gpus=1, quota=_A100),
    "Standard_NC48ads_A100_v4": VmSize(vcpus=48, memory_gib=440, gpus=2, quota=_A100),
    "Standard_D2ps_v5": VmSize(vcpus=2, memory_gib=8, architecture="arm64", trusted_launch=False),
    "Standard_D4ps_v5": VmSize(vcpus=4, memory_gib=16, architecture="arm64", trusted_launch=False),
}

# https://learn.microsoft.com/azure/reliability/regions-list
_ZONAL_REGIONS: Final = (
    "australiaeast", "austriaeast", "belgiumcentral", "brazilsouth", "canadacentral",
    "centralindia", "centralus", "chilecentral", "eastasia", "eastus", "eastus2", "francecentral",
    "germanywestcentral", "indonesiacentral", "israelcentral", "italynorth", "japaneast",
    "japanwest", "koreacentral", "malaysiawest", "mexicocentral", "newzealandnorth", "northeurope",
    "norwayeast", "polandcentral", "qatarcentral", "southafricanorth", "southcentralus",
    "southeastasia", "spaincentral", "swedencentral", "switzerlandnorth", "uaenorth", "uksouth",
    "westeurope", "westus2", "westus3",
)  # fmt: skip
_OTHER_REGIONS: Final = (
    "australiacentral", "australiasoutheast", "canadaeast", "germanynorth", "koreasouth",
    "northcentralus", "norwaywest", "southindia", "swedensouth", "switzerlandwest", "ukwest",
    "westcentralus", "westindia", "westus",
)  # fmt: skip

#: Region -> whether it has availability zones.
REGIONS: Final[dict[str, bool]] = dict.fromkeys(_ZONAL_REGIONS, True) | dict.fromkeys(_OTHER_REGIONS, False)

# https://learn.microsoft.com/azure/storage/common/redundancy-regions-gzrs
_GEO_ZONAL_REGIONS: Final = frozenset((
    "australiaeast", "brazilsouth", "canadacentral", "centralindia", "centralus", "eastasia", "eastus",
    "eastus2", "francecentral", "germanywestcentral", "japaneast", "koreacentral", "northeurope",
    "norwayeast", "southafricanorth", "southcentralus", "southeastasia", "swedencentral",
    "switzerlandnorth", "uaenorth", "uksouth", "westeurope", "westus2", "westus3",
))  # fmt: skip
# Nothing is copied to another region: https://learn.microsoft.com/azure/reliability/regions-list
_UNPAIRED_REGIONS: Final = frozenset((
    "austriaeast", "belgiumcentral", "chilecentral", "indonesiacentral", "israelcentral", "italynorth",
    "malaysiawest", "mexicocentral", "newzealandnorth", "polandcentral", "qatarcentral", "spaincentral",
))  # fmt: skip


def offers_redundancy(region: str, sku: str) -> bool:
    """Whether a general-purpose v2 storage account can have this SKU (`Standard_GZRS`) in a region.

    A region that this program does not know counts as one without zones.
    """
    redundancy = sku.partition("_")[2].removeprefix("RA")
    if redundancy == "GZRS":
        return region in _GEO_ZONAL_REGIONS
    if redundancy == "GRS":
        return region not in _UNPAIRED_REGIONS
    return redundancy != "ZRS" or REGIONS.get(region, False)


#: Names that Azure refuses for a Linux administrator (Microsoft.Compute osProfile.adminUsername).
RESERVED_ADMIN_NAMES: Final = (
    "1", "123", "a", "actuser", "adm", "admin", "admin1", "admin2", "administrator", "aspnet",
    "backup", "console", "david", "guest", "john", "owner", "root", "server", "sql", "support",
    "support_388945a0", "sys", "test", "test1", "test2", "test3", "user", "user1", "user2", "user3",
    "user4", "user5", "video",
)  # fmt: skip
