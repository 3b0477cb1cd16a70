"""The platform's images: which there are, and their versions, as they can be asked for.

https://learn.microsoft.com/rest/api/compute/virtual-machine-images
"""

from __future__ import annotations

import re
from dataclasses import replace

from azure_types.types import BY_ARM_TYPE
from emulator.arm.catalogue import Listing, ResourceType, listed
from emulator.arm.compute.common import MACHINE
from emulator.arm.context import Context
from emulator.arm.errors import ArmError, not_found
from emulator.arm.ids import ResourceId
from emulator.arm.messages import Json, Request
from emulator.arm.store import Row
from emulator.arm.times import stamp

PUBLISHERS = "Microsoft.Compute/locations/publishers"
OFFERS = f"{PUBLISHERS}/artifacttypes/offers"
SKUS = f"{OFFERS}/skus"
VERSION = f"{SKUS}/versions"
IMAGES = {
    "canonical": {
        "ubuntu-24_04-lts": {
            "server": ("x64", "V2"),
            "server-gen1": ("x64", "V1"),
            "server-arm64": ("Arm64", "V2"),
            "minimal": ("x64", "V2"),
            "ubuntu-pro": ("x64", "V2"),
            "cvm": ("x64", "V2"),
        },
        "0001-com-ubuntu-server-jammy": {"22_04-lts": ("x64", "V1"), "22_04-lts-gen2": ("x64", "V2")},
        "0001-com-ubuntu-server-focal": {"20_04-lts": ("x64", "V1"), "20_04-lts-gen2": ("x64", "V2")},
        "ubuntuserver": {"18.04-lts": ("x64", "V1"), "18_04-lts-gen2": ("x64", "V2")},
    }
}
"""Publisher -> offer -> sku -> (architecture, generation) of the images known here."""
LATEST = "24.04.202610010"
"""What the version `latest` means here."""
_DATED = re.compile(r"\d+\.\d+\.(\d{8})\d*")
"""Canonical's versions end in the day of their making and a number: 24.04.202509170."""


def is_published(version: str, now: float) -> bool:
    """Say whether there may be such a version: one made by today. Which ones Azure removed, only it knows."""
    dated = _DATED.fullmatch(version)
    return dated is not None and dated[1] <= stamp(now)[:10].replace("-", "")


def _publishers(_: Context, path: ResourceId, __: Request) -> list[Row]:
    return _named(path, PUBLISHERS, list(IMAGES))


def _offers(_: Context, path: ResourceId, __: Request) -> list[Row]:
    return _named(path, OFFERS, list(IMAGES.get(path.names[1].lower(), {})))


def _skus(_: Context, path: ResourceId, __: Request) -> list[Row]:
    return _named(path, SKUS, list(IMAGES.get(path.names[1].lower(), {}).get(path.names[3].lower(), {})))


def _versions(_: Context, path: ResourceId, __: Request) -> list[Row]:
    """Return the newest version; the others can be asked for by name."""
    return _named(path, VERSION, [LATEST] if _image(path) else [])


def _image(path: ResourceId) -> tuple[str, str] | None:
    """Return (architecture, generation) of the image whose versions a path names."""
    _, publisher, _, offer, sku, *_ = (name.lower() for name in path.names)
    return IMAGES.get(publisher, {}).get(offer, {}).get(sku)


def _named(path: ResourceId, type_: str, found: list[str]) -> list[Row]:
    return [
        Row(
            id=f"{path.path}/{name}",
            type=type_,
            body={"id": f"{path.path}/{name}", "name": name, "location": path.names[0]},
            parent=path.scope,
        )
        for name in found
    ]


def _version(context: Context, path: ResourceId) -> Row | None:
    found = _image(path)
    if found is None or not is_published(path.name, context.tx.now):
        return None
    architecture, generation = found
    properties: Json = {
        "architecture": architecture,
        "hyperVGeneration": generation,
        "osDiskImage": {"operatingSystem": "Linux"},
        "dataDiskImages": [],
    }
    return Row(id=path.path, type=VERSION, body={"location": path.names[0], "properties": properties})


def _missing(id_: ResourceId) -> ArmError:
    return not_found("NotFound", f"Artifact: VMImage version {id_.name} was not found.")


def _list_of(type_: str, listing: Listing) -> ResourceType:
    return replace(listed(type_, BY_ARM_TYPE[MACHINE].versions, listing), bare=True)


TYPES = (
    _list_of(PUBLISHERS, _publishers),
    _list_of(OFFERS, _offers),
    _list_of(SKUS, _skus),
    replace(_list_of(VERSION, _versions), render=None, virtual=_version, missing=_missing),
)
