"""A verification on a terminal: three columns, then what differs, then one sentence."""

from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from automation.verify.facts.finding import Finding, Kind, Look
from automation.verify.report.document import document
from automation.verify.run import Outcome

_COLOURS = {Kind.OPEN: "bold red", Kind.UNKNOWN: "red", Kind.WEAKENED: "yellow", Kind.MISSING: "yellow"}


def of_officer(look: Look, hospital: str) -> RenderableType:
    """Return what an officer sees of his own hospital's side of consent."""
    said = (
        f"{len(look.findings)} differences."
        if look.findings
        else f"Nothing left {hospital} without an approval of its code before."
    )
    style = "bold red" if look.findings else "bold green"
    return Group(*map(_finding, look.findings), *_unseen(look.unseen), Text(said, style=style))


def tables(outcome: Outcome) -> RenderableType:
    """Return everything a person wants to see."""
    found = document(outcome)
    return Group(
        _table("Who can open which port to whom", ("source", "destination", "protocol"), found["flows"]),
        _table("Who may do what with whose data", ("who", "what"), found["access"]),
        _table("Who resolves which name to where", ("who", "name"), found["names"]),
        *(_finding(f) for f in outcome.findings),
        *_unproven(found["operators"]),
        *_unseen(found["unseen"]),
        Text(sentence(found), style="bold green" if outcome.holds else "bold red"),
    )


def sentence(found: dict[str, Any]) -> str:
    """Return the verdict in one sentence."""
    sent = found["packets"]
    proofs = ["state"]
    proofs += ["Resource Manager"] if found["read"]["live"] else []
    proofs += [f"{sent['attempts']} packets"] if sent else []
    proofs += ["identities and names from within"] if any(row["measured"] for row in found["access"]) else []
    how = f"{', '.join(proofs)}; {sum(found['seconds'].values()):.1f} s"
    if found["holds"]:
        return f"{found['stack']} is exactly what its settings intend ({how})."
    return f"{found['stack']} differs from what its settings intend in {len(found['findings'])} ways ({how})."


def _table(title: str, keys: Sequence[str], rows: Iterable[dict[str, Any]]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    shown = list(rows)
    columns = [*keys, "intended", "computed"]
    columns += ["measured"] if any(row["measured"] for row in shown) else []
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in shown:
        table.add_row(*(row[c] for c in columns), style="" if row["agrees"] else "bold red")
    return table


def _unproven(operators: Sequence[str]) -> list[Text]:
    if not operators:
        return []
    return [Text("\nWhat this does not prove: what those do who hold rights over a whole subscription."),
            *(Text(f"    {who}") for who in operators)]  # fmt: skip


def _unseen(unseen: Sequence[str]) -> list[Text]:
    return [Text("\nNobody looked at:"), *(Text(f"    {what}") for what in unseen)] if unseen else []


def _finding(finding: Finding) -> Text:
    return Text(f"\n{finding}", style=_COLOURS[finding.kind])
