"""Which api-versions a request may name (docs/adr/0026)."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

from emulator.arm.catalogue import ResourceType
from emulator.arm.errors import ArmError, bad_request

_DATED = re.compile(r"(\d{4}-\d{2}-\d{2})(-[a-z]*preview|-alpha|-beta)?", re.IGNORECASE)
FIRST = date(2014, 4, 1)
"""The first api-version of Azure Resource Manager.
https://learn.microsoft.com/azure/templates/microsoft.resources/resourcegroups"""


def check_version(type_: ResourceType, version: str) -> None:
    """Refuse an api-version that no provider can have published."""
    if not _can_exist(version):
        raise _unknown_version(type_, version)


def _can_exist(version: str) -> bool:
    dated = _DATED.fullmatch(version)
    if dated is None:
        return False
    try:
        published = date.fromisoformat(dated[1])
    except ValueError:
        return False
    return FIRST <= published <= datetime.now(UTC).date()


def _unknown_version(type_: ResourceType, version: str) -> ArmError:
    known = ", ".join(sorted(type_.versions))
    if type_.namespace == "Microsoft.Resources":
        return bad_request(
            "InvalidApiVersionParameter",
            f"The api-version '{version}' is invalid. The supported versions are '{known}'.",
        )
    return bad_request(
        "NoRegisteredProviderFound",
        f"No registered resource provider found for location '' and API version '{version}' for type "
        f"'{type_.kind}'. The supported api-versions are '{known}'. The supported locations are ''.",
    )
