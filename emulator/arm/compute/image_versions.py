"""Versions of the platform's images, as they can be asked for.

https://learn.microsoft.com/rest/api/compute/virtual-machine-images/get
"""

from __future__ import annotations

import re

from emulator.arm.catalogue import Level, Names, Place, ResourceType
from emulator.arm.compute.common import MACHINE_VERSIONS
from emulator.arm.context import Context
from emulator.arm.errors import ArmError, not_found
from emulator.arm.ids import ResourceId
from emulator.arm.store import Row
from emulator.arm.times import stamp

VERSION = "Microsoft.Compute/locations/publishers/artifacttypes/offers/skus/versions"
_DATED = re.compile(r"\d+\.\d+\.(\d{8})\d*")
"""Canonical's versions end in the day of their making and a number: 24.04.202509170."""


def is_published(version: str, now: float) -> bool:
    """Say whether there may be such a version: one made by today. Which ones Azure removed, only it knows."""
    dated = _DATED.fullmatch(version)
    return dated is not None and dated[1] <= stamp(now)[:10].replace("-", "")


def _version(context: Context, path: ResourceId) -> Row | None:
    if not is_published(path.name, context.tx.now):
        return None
    return Row(id=path.path, type=VERSION, body={"location": path.names[0], "properties": {}})


def _missing(id_: ResourceId) -> ArmError:
    return not_found("NotFound", f"Artifact: VMImage version {id_.name} was not found.")


TYPES = (
    ResourceType(
        name=VERSION,
        versions=MACHINE_VERSIONS,
        level=Level.SUBSCRIPTION,
        place=Place.NONE,
        tags=False,
        schema=False,
        provisioning=False,
        creatable=False,
        names=Names(pattern=r".+", maximum=128),
        methods=frozenset({"GET"}),
        virtual=_version,
        missing=_missing,
    ),
)
