"""What the steps of one request share: its transaction and caller, a write or a deletion on its way."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from emulator.arm.catalogue import WEAK_ETAG, Catalogue, ResourceType, value_at
from emulator.arm.ids import ResourceId
from emulator.arm.latency import Latency
from emulator.arm.messages import Json
from emulator.arm.refusals import missing_parent
from emulator.arm.store import Row, Transaction
from emulator.arm.tokens import Caller
from emulator.snapshots import Snapshots


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What every step of one request shares: its transaction, its caller, the catalogue."""

    tx: Transaction
    caller: Caller
    catalogue: Catalogue
    images: Snapshots
    """What registries hold."""
    query: Mapping[str, str] = field(default_factory=dict)
    """The query of the request."""
    latency: Latency = field(default_factory=Latency)
    """How long writes take."""
    datacentre_listens: bool = False
    """Whether a datacentre follows the changes and can run what machines are asked to run."""
    datacentre_is_gone: bool = False
    """Whether none has done so for long enough to give up what one was asked to run."""

    def type_of(self, row: Row) -> ResourceType:
        """Return the catalogue's entry of a resource."""
        return self.catalogue[row.type]


@dataclass(slots=True, kw_only=True)
class Write:
    """One PUT of a resource, from its body to its row."""

    context: Context
    type: ResourceType
    id: ResourceId
    old: Row | None
    body: Json
    hidden: Json = field(default_factory=dict)
    inline: bool = False
    """Whether it is a part of its parent's PUT."""
    lists: dict[str, list[Json]] = field(default_factory=dict)
    """The inline children of the body, by property."""
    row: Row = field(init=False)
    """What is stored: there once the checks are done, for the rules that run `after`."""

    @property
    def tx(self) -> Transaction:
        """The transaction."""
        return self.context.tx

    @property
    def properties(self) -> Json:
        """The `properties` of the new body."""
        properties: Json = self.body.setdefault("properties", {})
        return properties

    def get(self, path: str) -> Any:
        """Return a value of the new body."""
        return value_at(self.body, path)

    def before(self, path: str) -> Any:
        """Return a value of the body before this write."""
        return value_at(self.old.body, path) if self.old else None

    def settle(self, path: str, value: Any) -> Any:
        """Set a computed property once: the old value stays, else `value` becomes it."""
        old = self.before(path)
        value = value if old is None else old
        *above, last = path.split(".")
        at = self.body
        for segment in above:
            at = at.setdefault(segment, {})
        at[last] = value
        return value

    def parent(self) -> Row:
        """Return the parent resource (its existence has been checked)."""
        row = self.tx.get(self.id.parent)
        if row is None:
            raise missing_parent(self.type, self.id)
        return row

    def target(self, path: str) -> Row | None:
        """Return the resource that a property names (its existence has been checked)."""
        identifier = self.get(path)
        return self.tx.get(identifier) if isinstance(identifier, str) else None


@dataclass(slots=True, kw_only=True)
class Deletion:
    """One resource on its way out; `with_parent` when its parent goes as well."""

    context: Context
    type: ResourceType
    row: Row
    with_parent: bool = False

    @property
    def tx(self) -> Transaction:
        """The transaction."""
        return self.context.tx


def new_etag(shape: str = WEAK_ETAG) -> str:
    """Return a new etag."""
    return shape.format(uuid.uuid4())


def canonical_id(context: Context, type_: ResourceType, id_: ResourceId) -> str:
    """Return the id of a new resource: what is above it in its own case, the type in Azure's case."""
    above = context.tx.get(id_.parent) if id_.parent else None
    parent = above.id if above else _canonical_scope(id_.parent)
    if type_.key == "microsoft.resources/resourcegroups":
        return f"{parent}/resourceGroups/{id_.name}"
    last = type_.name.rsplit("/", 1)[-1]
    if len(id_.types) == 1:
        return f"{parent}/providers/{type_.namespace}/{last}/{id_.name}"
    return f"{parent}/{last}/{id_.name}"


def _canonical_scope(scope: str) -> str:
    parts = scope.split("/")
    if len(parts) > 1 and parts[1].lower() == "subscriptions":
        parts[1] = "subscriptions"
    if len(parts) > 2:
        parts[2] = parts[2].lower()
    if len(parts) > 3 and parts[3].lower() == "resourcegroups":
        parts[3] = "resourceGroups"
    return "/".join(parts)
