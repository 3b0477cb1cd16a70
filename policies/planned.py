"""A planned resource as the rules see it, and how they read properties that may not be known yet.

During a preview a property that depends on something uncreated is *unknown*. A rule never guesses about it:
an unknown value breaks nothing now, and the same rule runs again on the known value before the resource is
made. Where a rule needs to know what a property points at, `Planned.refers_to` also answers from the
engine's own record of dependencies, which is known during a preview.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pulumi_wire.values import UNKNOWN

Props = Mapping[str, Any]
"""A resource's properties as the engine sends them: camelCase, flattened by azure-native."""


@dataclass(frozen=True, kw_only=True)
class Planned:
    """One resource of the plan.

    ``id`` is the ARM id once it exists. ``subscription`` is the subscription id of its explicit provider,
    None for a default provider and for resources that are no Azure resources. ``refers`` maps a property to
    the URNs it was computed from.
    """

    type: str
    name: str
    urn: str
    props: Props
    id: str | None = None
    subscription: str | None = None
    protect: bool = False
    refers: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def environment(self) -> str:
        """The stack this resource is planned for: dev, mvp, prod or a name of its own."""
        return self.urn.split("::")[0].removeprefix("urn:pulumi:")

    @property
    def party(self) -> str | None:
        """The party named in the resource's tags, None where the type has no tags."""
        found = at(self.props, "tags.party")
        return found if isinstance(found, str) else None

    def refers_to(self, path: str, candidates: Sequence["Planned"]) -> list["Planned"]:
        """Return those candidates that the property at ``path`` points at, or into.

        A known value is compared with ids, and says most; during a preview the engine's record of
        dependencies answers. ``[]`` after a step of the path means each member of a list.
        """
        known = [value for value in values(self.props, path) if isinstance(value, str)]
        urns = self.refers.get(path.partition(".")[0].removesuffix("[]"), ())
        return [c for c in candidates if any(c.has_id(v) for v in known) or c.urn in urns]

    def has_id(self, arm_id: str) -> bool:
        """Say whether an ARM id names this resource or something below it."""
        wanted = arm_id.lower().strip("/") + "/"
        if self.id:
            return wanted.startswith(self.id.lower().strip("/") + "/")
        steps = wanted.split("/")
        names = [
            value.lower()
            for key, value in self.props.items()
            if key.lower().endswith("name") and isinstance(value, str)
        ]
        kind = self.type.rsplit(":", 1)[-1].lower()
        return (
            self.subscription is not None
            and len(steps) > 4
            and steps[1] == self.subscription.lower()
            and steps[-3].startswith(kind[:-1])
            and steps[-2] in names
        )


def at(props: Any, path: str) -> Any:
    """Return the value at a dotted path; None where it is absent, UNKNOWN where it cannot be known yet."""
    here = props
    for step in path.split("."):
        if here is UNKNOWN:
            return UNKNOWN
        if not isinstance(here, Mapping):
            return None
        here = here.get(step)
    return here


def each(props: Any, path: str) -> Iterator[Any]:
    """Yield the known members of the list at a dotted path; nothing where it is absent or unknown."""
    found = at(props, path)
    if isinstance(found, Sequence) and not isinstance(found, str):
        yield from (member for member in found if member is not UNKNOWN)


def values(props: Any, path: str) -> Iterator[Any]:
    """Yield what is at a dotted path, where ``[]`` after a step means each member of a list."""
    step, _, rest = path.partition("[].")
    if not rest:
        yield at(props, path)
        return
    for member in each(props, step):
        yield from values(member, rest)
