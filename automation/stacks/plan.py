"""What a preview would change, party by party: names of resources and of properties, never a property's
value.

A preview's own JSON holds every input and output and paths of the machine, so it is not kept; this is.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from automation.stacks.urns import is_counted, name_of, party_of, type_of
from automation.ui import console
from automation.ui.options import On
from federation.naming import PROJECT

Kind = Literal["create", "update", "replace", "delete"]

#: The engine's operations, as what a reader wants to know. A replacement comes as three steps of one
#: resource.
_KINDS: Mapping[str, Kind] = {
    "create": "create",
    "import": "create",
    "update": "update",
    "replace": "replace",
    "create-replacement": "replace",
    "delete-replaced": "replace",
    "import-replacement": "replace",
    "delete": "delete",
}
#: What the engine says of every plugin that it finds on PATH.
_PLUGIN = re.compile(r"using pulumi-\S+ from \$PATH")
KINDS: tuple[Kind, ...] = ("create", "update", "replace", "delete")
_STYLES = {"create": "green", "update": "yellow", "replace": "magenta", "delete": "red"}
_ROWS = 60
"""More resources than this are counted only; a first deployment has hundreds."""
_COLOURS = re.compile(r"<\{%[^%]*%\}>|\x1b\[[0-9;]*m")


class Change(BaseModel):
    """One resource that would change."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    party: str
    kind: Kind
    type: str
    name: str
    urn: str
    properties: tuple[str, ...] = ()

    @property
    def is_loss(self) -> bool:
        """Whether what is there now would go."""
        return self.kind in {"replace", "delete"}


class Plan(BaseModel):
    """What one preview of one stack said."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stack: str
    target: On
    changes: tuple[Change, ...] = ()
    unchanged: Mapping[str, int] = {}
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def parties(self) -> list[str]:
        """Every party that the plan knows, the centre first."""
        names = {change.party for change in self.changes} | set(self.unchanged)
        return sorted(names, key=lambda name: (name != "centre", name))

    def count(self, kind: Kind, party: str | None = None) -> int:
        """How many resources (of `party`) would see this kind of change."""
        return sum(change.kind == kind and party in {None, change.party} for change in self.changes)

    def differences(self, other: "Plan") -> list[str]:
        """Return what is in only one of two plans; empty when a person who saw one has seen the other."""
        mine, theirs = _lines(self), _lines(other)
        return [f"only then: {line}" for line in sorted(mine - theirs)] + [
            f"only now: {line}" for line in sorted(theirs - mine)
        ]


def read(
    stack: str, target: On, preview: Mapping[str, Any], *, unchanged: Mapping[str, int] | None = None
) -> Plan:
    """Return the plan in the document that ``pulumi preview --json`` prints.

    Args:
        stack: its name.
        target: where the preview looked.
        preview: the document; may lack steps when the preview failed.
        unchanged: how many resources of each party stay as they are, which the document does not say.
    """
    steps = preview.get("steps") or []
    parties = _parties(stack, steps)
    changes: dict[str, Change] = {}
    for step in steps:
        state = step.get("newState") or step.get("oldState") or {}
        urn, kind = str(step["urn"]), _KINDS.get(step["op"])
        if kind is None or not is_counted(urn, custom=bool(state.get("custom"))):
            continue
        before = changes[urn].properties if urn in changes else ()
        found = {*before, *_properties(step)} if kind in {"update", "replace"} else set()
        changes[urn] = Change(
            party=party_of(stack, urn, str(state.get("provider", "")), parties),
            kind=kind,
            type=type_of(urn),
            name=name_of(urn),
            urn=urn,
            properties=tuple(sorted(found)),
        )
    return Plan(
        stack=stack,
        target=target,
        changes=tuple(changes.values()),
        unchanged={party: count for party, count in (unchanged or {}).items() if count},
        errors=_diagnostics(preview, {"error"}),
        warnings=_diagnostics(preview, {"warning"}),
    )


def _parties(stack: str, steps: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the parties of the plan: each has a provider of its own (`federation/providers.py`)."""
    prefix = f"azure-{PROJECT}-{stack}-"
    names = {name_of(str(step["urn"])) for step in steps}
    return [name.removeprefix(prefix) for name in names if name.startswith(prefix)]


def _properties(step: Mapping[str, Any]) -> set[str]:
    """Return the top-level names of what differs; a path below may hold keys that a person made up."""
    named = [
        *(step.get("detailedDiff") or {}),
        *(step.get("diffReasons") or []),
        *(step.get("replaceReasons") or []),
    ]
    return {re.split(r"[.\[]", str(name), maxsplit=1)[0] for name in named}


def _diagnostics(preview: Mapping[str, Any], severities: set[str]) -> tuple[str, ...]:
    found = [
        _COLOURS.sub("", str(entry.get("message", ""))).strip()
        for entry in preview.get("diagnostics") or []
        if entry.get("severity") in severities and not _PLUGIN.search(str(entry.get("message", "")))
    ]
    return tuple(dict.fromkeys(text for text in found if text))


def _lines(plan: Plan) -> set[str]:
    return {f"of {plan.stack} on {plan.target}"} | {
        f"{change.kind} {change.type} {change.name}"
        + (f" ({', '.join(change.properties)})" if change.properties else "")
        for change in plan.changes
    }


def show(plan: Plan, *, as_json: bool) -> None:
    """Print the plan."""
    if as_json:
        console.show_json(plan.model_dump(mode="json"))
    else:
        console.show(render(plan))


def render(plan: Plan) -> RenderableType:
    """Return the plan as tables and lines."""
    if not plan.changes:
        return Text(f"{plan.stack}: no change; {sum(plan.unchanged.values())} resources stay as they are.")
    counts = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    counts.add_column("party")
    for kind in (*KINDS, "unchanged"):
        counts.add_column(kind, justify="right")
    for party in plan.parties:
        numbers = [plan.count(kind, party) for kind in KINDS]
        counts.add_row(party, *(str(number or "") for number in numbers), str(plan.unchanged.get(party, "")))
    only_new = all(change.kind == "create" for change in plan.changes)
    if only_new and len(plan.changes) > _ROWS:
        return counts
    return Group(counts, Text(), *(_line(change) for change in plan.changes))


def _line(change: Change) -> Text:
    properties = f": {', '.join(change.properties)}" if change.properties else ""
    return Text.assemble(
        (f"{change.kind:8}", _STYLES[change.kind]), f"{change.name} ({change.type}){properties}"
    )
