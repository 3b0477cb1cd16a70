"""Resource ids and the paths of requests.

Ids are compared without case (`ResourceId.key`) and answered in the case in which they were created.
A path is a scope (a subscription, a resource group, a resource) and what is below it in one provider.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ResourceId:
    """The parsed path of a resource, or of a collection of resources (then `names` is one shorter).

    `scope` is the path before the last ``/providers/``: a subscription, a group, or the resource that an
    extension resource hangs on; empty for the tenant.
    """

    path: str
    scope: str
    namespace: str
    types: tuple[str, ...]
    names: tuple[str, ...]

    @property
    def key(self) -> str:
        """The id as it is compared: lower case."""
        return self.path.lower()

    @property
    def type(self) -> str:
        """The resource type, in the case of the request."""
        return "/".join((self.namespace, *self.types))

    @property
    def name(self) -> str:
        """The last name."""
        return self.names[-1]

    @property
    def is_collection(self) -> bool:
        """Whether the path ends in a type, not in a name."""
        return len(self.names) < len(self.types)

    @property
    def subscription(self) -> str | None:
        """The subscription's id in lower case."""
        return subscription_of(self.path)

    @property
    def group(self) -> str | None:
        """The name of the resource group."""
        return group_of(self.path)

    @property
    def parent(self) -> str:
        """The id above: the parent resource, or the scope of a resource that has none."""
        if len(self.types) == 1:
            return self.scope
        return self.path.rsplit("/", 1 if self.is_collection else 2)[0]


def parse(path: str) -> ResourceId | None:
    """Parse the path of a resource or a collection; None for a path that names neither."""
    parts = [part for part in path.split("/") if part]  # azure-cli writes some slashes twice
    if not parts:
        return None
    path = "/" + "/".join(parts)
    lower = [part.lower() for part in parts]
    if "providers" in lower:
        at = len(lower) - 1 - lower[::-1].index("providers")
        below = parts[at + 1 :]
        if len(below) < 2:
            return None
        scope = "".join("/" + part for part in parts[:at])
        return ResourceId(path, scope, below[0], tuple(below[1::2]), tuple(below[2::2]))
    if lower[0] == "subscriptions" and len(parts) in {3, 4} and lower[2] == "resourcegroups":
        return ResourceId(
            path, "/" + "/".join(parts[:2]), "Microsoft.Resources", ("resourceGroups",), tuple(parts[3:])
        )
    return None


def subscription_of(path: str) -> str | None:
    """Return the subscription that a path is in, in lower case."""
    parts = path.split("/")
    return parts[2].lower() if len(parts) > 2 and parts[1].lower() == "subscriptions" else None


def group_of(path: str) -> str | None:
    """Return the name of the resource group that a path is in."""
    parts = path.split("/")
    return parts[4] if len(parts) > 4 and parts[3].lower() == "resourcegroups" else None


def group_id(path: str) -> str | None:
    """Return the id of the resource group that a path is in."""
    parts = path.split("/")
    return "/".join(parts[:5]) if len(parts) > 4 and parts[3].lower() == "resourcegroups" else None


def name_of(identifier: str) -> str:
    """Return the last name of an id."""
    return identifier.rsplit("/", 1)[-1]
