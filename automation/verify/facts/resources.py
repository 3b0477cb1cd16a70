"""The resources of one stack as Azure answered them: the only form in which verification reads a deployment.

`read_export` takes what ``pulumi stack export`` prints, of an emulated or of a real stack. Properties are the
outputs of azure-native: camelCase, flattened.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from automation.verify.facts.finding import Finding

AZURE: Final = "azure-native:"


class VerifyError(Exception):
    """The question cannot be answered: what is missing and what to do about it."""


@dataclass(frozen=True, kw_only=True)
class Resource:
    """One Azure resource: its type token, ARM id and answered properties.

    ``urn`` is empty for a resource that the stack did not make. ``refers`` maps a property to the URNs it
    was computed from.
    """

    type: str
    id: str
    urn: str
    props: Mapping[str, Any]
    inputs: Mapping[str, Any] = field(default_factory=dict)
    refers: Mapping[str, Sequence[str]] = field(default_factory=dict)
    protect: bool = False

    @property
    def key(self) -> str:
        """The id as Azure compares it."""
        return key_of(self.id)

    @property
    def name(self) -> str:
        """The last segment of the id."""
        return self.id.rstrip("/").rsplit("/", 1)[-1]

    @property
    def subscription(self) -> str:
        """The subscription in the id, lower case; empty for a resource outside any."""
        return subscription_of(self.id)

    def at(self, path: str) -> Any:
        """Return the value at a dotted path, None where there is none."""
        here: Any = self.props
        for step in path.split("."):
            if not isinstance(here, Mapping):
                return None
            here = here.get(step)
        return here

    def each(self, path: str) -> Iterator[Mapping[str, Any]]:
        """Yield the objects of the list at a dotted path."""
        found = self.at(path)
        if isinstance(found, Sequence) and not isinstance(found, str):
            yield from (member for member in found if isinstance(member, Mapping))


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """All Azure resources of a stack, where they were read, and the checksum of what was read.

    ``live`` says that they were read from Resource Manager, strangers' resources included. ``operators`` are
    the rights of people and deployers over whole subscriptions, in words, and no resources: the program
    cannot exist without them and promises nothing about them. ``misgiven`` are the other rights there, by
    their key.
    """

    stack: str
    source: str
    checksum: str
    resources: tuple[Resource, ...]
    live: bool = False
    operators: tuple[str, ...] = ()
    misgiven: Mapping[str, Finding] = field(default_factory=dict)

    @cached_property
    def by_key(self) -> dict[str, Resource]:
        """Resources by id, as Azure compares ids."""
        return {resource.key: resource for resource in self.resources}

    def of(self, *types: str) -> Iterator[Resource]:
        """Yield the resources of the given types (``network:VirtualNetwork``), in the order of the state."""
        wanted = {AZURE + t for t in types}
        return (resource for resource in self.resources if resource.type in wanted)

    def find(self, arm_id: Any) -> Resource | None:
        """Return the resource that an id names."""
        return self.by_key.get(key_of(arm_id)) if isinstance(arm_id, str) else None


def key_of(arm_id: str) -> str:
    """Return an ARM id in the form in which ids are compared."""
    return "/" + arm_id.strip("/").lower()


def subscription_of(arm_id: str) -> str:
    """Return the subscription of an ARM id, lower case; empty where there is none."""
    steps = arm_id.strip("/").lower().split("/")
    return steps[1] if len(steps) > 1 and steps[0] == "subscriptions" else ""


def reference(value: Any) -> str | None:
    """Return the id in ``{"id": ...}``."""
    found = value.get("id") if isinstance(value, Mapping) else None
    return found if isinstance(found, str) and found else None


def read_export(stack: str, document: Mapping[str, Any]) -> Deployment:
    """Read what ``pulumi stack export`` printed.

    Raises VerifyError when the stack holds no Azure resource: there would be nothing to prove.
    """
    deployment = document.get("deployment") or {}
    resources = tuple(
        Resource(
            type=entry["type"],
            id=str(entry.get("id", "")),
            urn=entry["urn"],
            props=entry.get("outputs") or {},
            inputs=entry.get("inputs") or {},
            refers=entry.get("propertyDependencies") or {},
            protect=bool(entry.get("protect")),
        )
        for entry in deployment.get("resources") or ()
        if entry["type"].startswith(AZURE) and not entry.get("delete")
    )
    if not resources:
        raise VerifyError(
            f"stack {stack} holds no Azure resource: nothing is deployed, so nothing can be verified. "
            f"Deploy it first: ./fed up {stack}"
        )
    return Deployment(
        stack=stack,
        source="exported state",
        checksum=checksum(deployment),
        resources=resources,
    )


def checksum(document: Any) -> str:
    """Return the checksum of a JSON document, whatever the order of its keys."""
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    return f"sha256:{hashlib.sha256(canonical).hexdigest()}"
