"""What the types of Microsoft.Network share: the refusal of a name, the network that an id is in."""

from __future__ import annotations

import re

from emulator.arm.errors import ArmError, bad_request
from emulator.arm.messages import Json
from emulator.arm.store import Row


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


def as_resource(row: Row, list_: str, one: Json, state: str = "") -> Json:
    """Return an element of a list as the provider answers it: like a resource of its own, with its etag.

    4 of 4 lists recorded so, as Test_Networking_VirtualNetwork_20240301_CRUD and
    Test_Networking_PrivateEndpoint_20240301_CRUD, 2025.
    """
    return {
        "id": f"{row.id}/{list_}/{one['name']}",
        "name": one["name"],
        "etag": row.etag,
        "type": f"{row.type}/{list_}",
        "properties": {"provisioningState": state or row.state} | one["properties"],
    }


_NETWORK = re.compile(
    r"(/subscriptions/[^/]+/resourcegroups/[^/]+/providers/microsoft\.network/virtualnetworks/[^/]+)"
)


def network_key(identifier: str) -> str:
    """Return the key of the virtual network that an id (of it, a subnet, a peering) is in."""
    found = _NETWORK.match(identifier.lower())
    return found[1] if found else identifier.lower()
