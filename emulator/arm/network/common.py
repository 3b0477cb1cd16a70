"""What the types of Microsoft.Network share: api-versions, names, etags."""

from __future__ import annotations

import re

from emulator.arm.catalogue import NETWORK_NAME, Names
from emulator.arm.errors import ArmError, bad_request

VERSIONS = (
    "2024-05-01", "2026-03-01", "2025-07-01", "2025-05-01", "2025-03-01", "2025-01-01", "2024-10-01",
    "2024-07-01", "2024-03-01", "2024-01-01", "2023-11-01", "2023-09-01", "2023-06-01", "2023-05-01",
    "2023-04-01", "2023-02-01",
)  # fmt: skip
"""The SDK's version first, then the defaults of other clients; the shapes used here are the same in all."""


def bad_name(name: str) -> ArmError:
    """Return the network provider's refusal of a name."""
    return bad_request(
        "InvalidResourceName",
        f"Resource name {name} is invalid. The name can be up to 80 characters long. It must begin with a "
        "word "
        "character, and it must end with a word character or with '_'. The name may contain word characters "
        "or "
        "'.', '-', '_'.",
    )


def names(*, minimum: int = 1, maximum: int = 80) -> Names:
    """Return the name rule of network resources."""
    return Names(pattern=NETWORK_NAME, minimum=minimum, maximum=maximum, error=bad_name)


_NETWORK = re.compile(
    r"(/subscriptions/[^/]+/resourcegroups/[^/]+/providers/microsoft\.network/virtualnetworks/[^/]+)"
)


def network_key(identifier: str) -> str:
    """Return the key of the virtual network that an id (of it, a subnet, a peering) is in."""
    found = _NETWORK.match(identifier.lower())
    return found[1] if found else identifier.lower()
