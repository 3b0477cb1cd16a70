"""What the types of Microsoft.Network share: the refusal of a name, the network that an id is in."""

from __future__ import annotations

import re

from emulator.arm.errors import ArmError, bad_request


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


_NETWORK = re.compile(
    r"(/subscriptions/[^/]+/resourcegroups/[^/]+/providers/microsoft\.network/virtualnetworks/[^/]+)"
)


def network_key(identifier: str) -> str:
    """Return the key of the virtual network that an id (of it, a subnet, a peering) is in."""
    found = _NETWORK.match(identifier.lower())
    return found[1] if found else identifier.lower()
