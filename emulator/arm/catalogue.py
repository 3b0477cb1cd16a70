"""How a resource type is described, and the list of those that the control plane knows.

An entry is data as far as the rules of a type are data: path, api-versions, names, places, what is required,
what may not change, what must exist. Rules that are code stand next to the entry, in the module of their
namespace, each a small function with the error that it gives.

A property path is dotted (``properties.subnet.id``); ``[]`` after a segment means each element of a list.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from azure_types.azure_type import AzureType, NameRule
from azure_types.types import BY_ARM_TYPE
from emulator.arm import durations
from emulator.arm.answers import AT_ONCE, Answers
from emulator.arm.errors import ArmError
from emulator.arm.messages import Json, Request, Response
from emulator.arm.store import Row, Transaction

if TYPE_CHECKING:
    from emulator.arm.context import Context, Deletion, Write
    from emulator.arm.ids import ResourceId

Rule = Callable[["Write"], None]
"""Judges or completes a write; raises ArmError to refuse it."""
DeleteRule = Callable[["Deletion"], None]
Render = Callable[[Transaction, Row, Json], None]
"""Adds to an answer what is computed from other resources."""
Action = Callable[["Context", Row, Request], Response]
"""A POST below a resource."""
SubscriptionAction = Callable[["Context", Request], Response]
"""A POST of a provider on a subscription, such as checkNameAvailability."""
Listing = Callable[["Context", "ResourceId", Request], "list[Row]"]
"""Finds the resources of a collection."""
Expand = Callable[["Context", Row, Json, str], None]
"""Adds to an answer what $expand asks for."""


class Place(enum.Enum):
    """Where resources of a type live."""

    REGION = "one of Azure's regions"
    GLOBAL = "the location 'global'"
    ANY = "a region or 'global'"
    NONE = "no location of its own"


class Level(enum.Enum):
    """What a resource of a type hangs on."""

    SUBSCRIPTION = "a subscription"
    GROUP = "a resource group"
    PARENT = "a parent resource"
    SCOPE = "any scope (an extension resource)"


@dataclass(frozen=True, kw_only=True)
class Unique:
    """A wider scope in which names are taken once; `taken` words the refusal: (write, key of the holder)."""

    space: str
    taken: Callable[[Write, str], ArmError]


@dataclass(frozen=True, kw_only=True)
class Names:
    """What a name may look like, and where else it must be unique; `error` words the refusal of a name."""

    rule: NameRule
    unique: Unique | None = None
    error: Callable[[str], ArmError] | None = None


WEAK_ETAG = 'W/"{}"'
"""The etags of Microsoft.Network."""
PLAIN_ETAG = "{}"
"""The etags of private DNS."""


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A property that names another resource.

    `types` are the types it may name (empty: any). `local` demands the same region and subscription, as the
    network provider does. `via` is the path of the element that points (for messages), below the resource.
    `error` words the refusal: (id, own id) -> error.
    """

    path: str
    types: tuple[str, ...] = ()
    local: bool = False
    same_subscription: bool = False
    action: str = "join/action"
    """The right that a caller needs on the named resource."""
    error: Callable[[str, str], ArmError] | None = None
    busy: Callable[[Row, Write], ArmError] | None = None
    """Words the refusal to use what is itself being written, where it is not the provider's usual one."""


@dataclass(frozen=True, kw_only=True)
class Fixed:
    """A property that cannot change once it is set; `error` words the refusal: (property name) -> error."""

    path: str
    error: Callable[[str], ArmError]


@dataclass(frozen=True, kw_only=True)
class ResourceType:
    """One entry of the catalogue."""

    name: str
    versions: tuple[str, ...]
    """Api-versions of the shape that bodies and answers have, the program's first; others are answered in
    it too (api_versions.py)."""
    names: Names
    level: Level = Level.GROUP
    place: Place = Place.REGION
    tags: bool = True
    schema: bool = True
    """Whether bodies are held against the property list of azure_types."""
    required: tuple[str, ...] = ()
    defaults: Json = field(default_factory=dict)
    fixed: tuple[Fixed, ...] = ()
    references: tuple[Reference, ...] = ()
    write_only: tuple[str, ...] = ()
    read_only: tuple[str, ...] = ()
    """Answered properties, by their paths, that a PUT may repeat though its type does not describe them (they
    are ignored)."""
    inline: Mapping[str, str] = field(default_factory=dict)
    """Lists under `properties` that are resources of their own: property -> type."""
    kept: Mapping[str, str] = field(default_factory=dict)
    """Inline lists that a body without them leaves as they are: property -> the first api-version in which
    it does. An empty list removes them all."""
    check: tuple[Rule, ...] = ()
    after: tuple[Rule, ...] = ()
    keep: tuple[DeleteRule, ...] = ()
    """What refuses a deletion."""
    gone: tuple[DeleteRule, ...] = ()
    """What else happens on a deletion."""
    render: Render | None = None
    holds: Callable[[str, Json], frozenset[str]] = lambda key, _: frozenset({key})
    """The resources that a write of this one occupies: (key, body) -> keys."""
    waits: Callable[[str, Json], frozenset[str]] | None = None
    """Those that must be free before a write, where they are fewer than it occupies."""
    views: Mapping[str, Action] = field(default_factory=dict)
    """What a GET below a resource answers besides resources, such as instanceView."""
    actions: Mapping[str, Action] = field(default_factory=dict)
    listing: Listing | None = None
    """How a collection is found, where it is not simply what hangs on the path."""
    paged: bool = False
    """Whether $top says how many of a collection one answer holds."""
    bare: bool = False
    """Whether a collection is answered as a list, without the usual `value` around it."""
    expand: Expand | None = None
    """What $expand adds to an answer."""
    flat_errors: bool = False
    """Whether errors come without the `error` member around them."""
    etag: str = ""
    """The shape of etags, empty for none."""
    missing: Callable[[ResourceId], ArmError] | None = None
    """Words the answer to a GET of what is not there, where it is not ARM's own."""
    parent_first: bool = False
    """Whether a request below a parent that is not there is refused as such (ParentResourceNotFound);
    others say of the parent that it is missing (ResourceNotFound)."""
    virtual: Callable[[Context, ResourceId], Row | None] | None = None
    """Makes up a resource that is not stored, from its id."""
    creatable: bool = True
    """Whether a PUT may make a new one; others are made by other resources."""
    provisioning: bool = True
    """Whether answers carry properties.provisioningState."""
    identity: bool = False
    """Whether the type may carry managed identities."""
    methods: frozenset[str] = frozenset({"GET", "HEAD", "PUT", "PATCH", "DELETE"})
    answers: Answers = AT_ONCE
    """How accepted writes and deletions are answered."""
    patch: tuple[str, ...] = ("tags",)
    """Top-level members that a PATCH may carry."""

    @property
    def verbs(self) -> frozenset[str]:
        """The methods that it has: PATCH only where there is something that one may carry."""
        changeable = set(self.patch) - (set() if self.tags else {"tags"})
        return self.methods if changeable else self.methods - {"PATCH"}

    @property
    def lasts(self) -> durations.Duration:
        """How long a PUT and a DELETE typically take on Azure, where they go on after their answer."""
        return durations.of(self.name)

    @property
    def key(self) -> str:
        """The type as it is compared."""
        return self.name.lower()

    @property
    def namespace(self) -> str:
        """The resource provider, for example Microsoft.Network."""
        return self.name.partition("/")[0]

    @property
    def kind(self) -> str:
        """The type without its provider, for example virtualNetworks/subnets."""
        return self.name.partition("/")[2]


def as_stored(_: Transaction, row: Row, answer: Json) -> None:
    """Render a row without the id, name and type that ARM gives to resources."""
    answer.clear()
    answer.update(row.body)


def described(
    name: str,
    *,
    unique: Unique | None = None,
    error: Callable[[str], ArmError] | None = None,
    place: Place | None = None,
) -> ResourceType:
    """Return the entry of a type with what azure_types says of it, to be completed with its rules.

    `unique` and `error` are those of its names, `place` is where it is when that is not simply a region.
    """
    type_ = BY_ARM_TYPE[name]
    return ResourceType(
        name=name,
        versions=type_.versions,
        names=Names(rule=type_.name, unique=unique, error=error),
        level=_level(type_),
        place=place or (Place.REGION if type_.located else Place.NONE),
        tags="tags" in type_.body_inputs,
        identity="identity" in type_.body_inputs,
    )


def _level(type_: AzureType) -> Level:
    if type_.path.startswith(("/{scope}/", "/{resourceUri}/")):
        return Level.SCOPE
    if "/providers/" not in type_.path:
        return Level.SUBSCRIPTION
    return Level.GROUP if type_.arm_type.count("/") == 1 else Level.PARENT


def listed(
    name: str, versions: tuple[str, ...], listing: Listing, *, level: Level = Level.SUBSCRIPTION
) -> ResourceType:
    """A type that can only be listed: its rows are worked out, not stored, and are no resources."""
    return ResourceType(
        name=name,
        versions=versions,
        level=level,
        place=Place.NONE,
        tags=False,
        schema=False,
        provisioning=False,
        creatable=False,
        names=Names(rule=NameRule(pattern=r".+", maximum=128)),
        methods=frozenset({"GET"}),
        listing=listing,
        render=as_stored,
    )


def values_at(body: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield (exact path, value) of each place of a body that a property path names, None left out."""
    yield from _walk(body, path.split("."), "")


def _walk(value: Any, segments: Sequence[str], trail: str) -> Iterator[tuple[str, Any]]:
    if value is None:
        return
    if not segments:
        yield trail, value
        return
    head, rest = segments[0], segments[1:]
    if not isinstance(value, dict):
        return
    if head.endswith("[]"):
        elements = value.get(head[:-2])
        if isinstance(elements, list):
            for index, element in enumerate(elements):
                yield from _walk(
                    element, rest, f"{trail}.{head[:-2]}[{index}]" if trail else f"{head[:-2]}[{index}]"
                )
        return
    yield from _walk(value.get(head), rest, f"{trail}.{head}" if trail else head)


def value_at(body: Any, path: str) -> Any:
    """Return the value at a property path without lists, or None."""
    for segment in path.split("."):
        if not isinstance(body, dict):
            return None
        body = body.get(segment)
    return body


def take_at(body: Json, path: str) -> Any:
    """Remove and return the value at a property path without lists, or None."""
    *above, last = path.split(".")
    at = value_at(body, ".".join(above)) if above else body
    return at.pop(last, None) if isinstance(at, dict) else None


def same_value(old: Any, new: Any) -> bool:
    """Say whether two values are equal to Azure: text without case, None members as if absent."""
    if isinstance(old, str) and isinstance(new, str):
        return old.lower() == new.lower()
    if isinstance(old, dict) and isinstance(new, dict):
        names = {name for name, value in (*old.items(), *new.items()) if value is not None}
        return all(same_value(old.get(name), new.get(name)) for name in names)
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(same_value(*pair) for pair in zip(old, new, strict=True))
    return bool(old == new)


def merge(base: Json, over: Json) -> Json:
    """Return `base` with `over` laid on it, member by member (JSON merge patch, but None only removes)."""
    merged = dict(base)
    for name, value in over.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, dict) and isinstance(merged.get(name), dict):
            merged[name] = merge(merged[name], value)
        else:
            merged[name] = value
    return merged


def complete(body: Json, defaults: Json) -> Json:
    """Return a body with defaults where it says nothing."""
    completed = dict(body)
    for name, value in defaults.items():
        present = completed.get(name)
        if present is None:
            completed[name] = (
                dict(value) if isinstance(value, dict) else list(value) if isinstance(value, list) else value
            )
        elif isinstance(value, dict) and isinstance(present, dict):
            completed[name] = complete(present, value)
    return completed


class Catalogue:
    """The types that the control plane knows, found without regard to case."""

    def __init__(
        self,
        types: Sequence[ResourceType],
        sources: Mapping[str, str],
        actions: Mapping[str, SubscriptionAction] | None = None,
    ) -> None:
        self._types = {type_.key: type_ for type_ in types}
        self._actions = {name.lower(): action for name, action in (actions or {}).items()}
        self._sources = {namespace.lower(): source for namespace, source in sources.items()}

    def __iter__(self) -> Iterator[ResourceType]:
        return iter(self._types.values())

    def find(self, name: str) -> ResourceType | None:
        """Return the entry of a type."""
        return self._types.get(name.lower())

    def __getitem__(self, name: str) -> ResourceType:
        return self._types[name.lower()]

    def subscription_action(self, name: str) -> SubscriptionAction | None:
        """Return what a POST of a provider on a subscription does
        (``Microsoft.Storage/checkNameAvailability``)."""
        return self._actions.get(name.lower())

    def has_namespace(self, namespace: str) -> bool:
        """Say whether a resource provider has any type here."""
        return namespace.lower() in self._sources

    def source(self, namespace: str) -> str:
        """Return the file in which a type of this provider belongs."""
        return self._sources.get(
            namespace.lower(), "emulator/arm/<provider>.py, listed in emulator/arm/types.py"
        )
