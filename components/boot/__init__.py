"""What a VM boots from: one cloud-config text, made from a `BootPlan`. Pure: no Pulumi, no network, no clock.

The text installs Docker from the distribution, mounts the data disk, writes the party's compose file and
starts it. It holds no secret (a VM's customData can be read back by its owner), no hospital's name on the
centre's VM, and no digest of an image: these arrive as userData, so that neither a new hospital nor a new
image replaces a VM (docs/adr/0057).

Left to others: Azure resources (components/), what the containers do (workloads/), the emulator's way to run
the same text without systemd (emulator/datacentre). The decisions behind it: docs/adr/0060 and 0061.
"""

from components.boot.cloud_config import MAX_CUSTOM_DATA_BYTES, cloud_config
from components.boot.images import BOXES, IMAGES, ImageSource, box_image, nvflare_version
from components.boot.plan import BootPlan, InvalidBootPlanError, variable

__all__ = [
    "BOXES",
    "IMAGES",
    "MAX_CUSTOM_DATA_BYTES",
    "BootPlan",
    "ImageSource",
    "InvalidBootPlanError",
    "box_image",
    "cloud_config",
    "nvflare_version",
    "variable",
]
