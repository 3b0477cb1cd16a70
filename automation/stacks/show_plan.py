"""Shows what a preview would change: a row a party, then each resource that changes."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from automation.stacks.plan import Change, Kind, Plan
from automation.ui.console import show as show_table
from automation.ui.console import show_json

KINDS: tuple[Kind, ...] = ("create", "update", "replace", "delete")
_STYLES = {"create": "green", "update": "yellow", "replace": "magenta", "delete": "red"}
_ROWS = 60
"""More resources than this are counted only; a first deployment has hundreds."""


def show(plan: Plan, *, as_json: bool) -> None:
    """Print the plan."""
    if as_json:
        show_json(plan.model_dump(mode="json"))
    else:
        show_table(render(plan))


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
