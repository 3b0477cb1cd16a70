"""The comment under a pull request, and a run's summary: what a change does to whom, for its reviewer."""

import html
from collections.abc import Mapping, Sequence

from automation.delivery.intent_difference import Allowed, Intended, difference
from automation.stacks.plan import Change, Kind, Plan

MARKER = "<!-- fed: plan -->"
KINDS: tuple[Kind, ...] = ("create", "update", "replace", "delete")
#: More rows than this tell a reader nothing; GitHub also limits a comment's length.
ROWS = 150


def comment(
    expected: Sequence[str],
    plans: Sequence[Plan],
    intents: Mapping[str, tuple[Intended, Intended]],
    findings: Mapping[str, Sequence[str]],
    *,
    run: str | None = None,
) -> str:
    """Return the whole comment.

    Args:
        expected: the stacks that this change reaches; one without a plan is said to have none.
        plans: of Azure or of the emulator; where a stack has both, Azure's is shown.
        intents: stack -> (before, after).
        findings: stack -> what `fed verify` found wrong after the rehearsal, a line each.
        run: address of the workflow run.
    """
    if not expected:
        return "## What this change does\n\nIt reaches no deployment: no stack depends on what changes.\n"
    parts = ["## What this change does"]
    for stack in expected:
        of_stack = [plan for plan in plans if plan.stack == stack]
        of_stack.sort(key=lambda plan: plan.target != "azure")
        parts.append(_stack(stack, of_stack, intents.get(stack), findings.get(stack)))
    if run:
        parts.append(f"<sub>[The run]({run}). Names of resources and properties only, never a value.</sub>")
    return "\n\n".join(parts) + "\n"


def summary(plan: Plan) -> str:
    """One plan alone, for a run's summary."""
    return _stack(plan.stack, [plan], None, None) + "\n"


def _stack(
    stack: str,
    plans: Sequence[Plan],
    intents: tuple[Intended, Intended] | None,
    findings: Sequence[str] | None,
) -> str:
    if not plans:
        return f"### {stack}\n\n**No plan.** The preview did not get to its end; its log in the run says why."
    plan = plans[0]
    parts = [f"### {stack}: {_headline(plan)}", _where(plan)]
    if plan.errors:
        parts.append("**The preview failed.** Nothing below it can be trusted to be complete.")
        parts.extend(f"```text\n{_fence(error)}\n```" for error in plan.errors)
    for other in plans[1:]:
        parts.extend(f"> **The rehearsal failed:** {_cell(error)}" for error in other.errors)
    if plan.changes:
        parts.append(_table(plan))
        if lost := [change for change in plan.changes if change.is_loss]:
            parts.append("\n".join(_loss(change) for change in lost))
        parts.append(_details(plan))
    if plan.warnings:
        parts.append("\n".join(f"> {_cell(warning)}" for warning in plan.warnings))
    if intents:
        parts.append(_intents(*difference(*intents)))
    if findings:
        lines = "\n".join(f"- {_cell(finding)}" for finding in findings)
        parts.append(f"**`fed verify` finds a difference from the intent:**\n\n{lines}")
    elif findings is not None:
        parts.append("`fed verify`: who reaches whom is what the settings intend, no more and no less.")
    return "\n\n".join(parts)


def _headline(plan: Plan) -> str:
    if plan.errors:
        return "failed"
    words = {
        "create": "to create",
        "update": "to update",
        "replace": "**to replace**",
        "delete": "**to delete**",
    }
    counts = [f"{plan.count(kind)} {words[kind]}" for kind in KINDS if plan.count(kind)]
    return ", ".join(counts) or "no change"


def _where(plan: Plan) -> str:
    if plan.target == "azure":
        return "Previewed against Azure."
    return "Rehearsed on the emulator: the base commit was deployed there, this change previewed on top."


def _table(plan: Plan) -> str:
    rows = [
        "| Party | Create | Update | Replace | Delete | Unchanged |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    still = [party for party in plan.parties if not any(change.party == party for change in plan.changes)]
    for party in plan.parties:
        if party in still:
            continue
        kept = plan.unchanged.get(party, 0)
        counts = {kind: plan.count(kind, party) for kind in KINDS}
        new = kept == 0 and not any(counts[kind] for kind in KINDS if kind != "create")
        gone = kept == 0 and not any(counts[kind] for kind in KINDS if kind != "delete")
        cells = [
            f"{_cell(party)}{' (new)' if new else ' (leaves)' if gone else ''}",
            _number(counts["create"]),
            _number(counts["update"]),
            _number(counts["replace"], bold=True),
            _number(counts["delete"], bold=True),
            _number(kept),
        ]
        rows.append(f"| {' | '.join(cells)} |")
    if still:
        kept = sum(plan.unchanged.get(party, 0) for party in still)
        rows.append(f"| {', '.join(map(_cell, still))} | | | | | {kept} |")
    return "\n".join(rows)


def _loss(change: Change) -> str:
    because = f" because {', '.join(f'`{name}`' for name in change.properties)} cannot change in place"
    reason = because if change.kind == "replace" and change.properties else ""
    return f"- **{change.kind}** `{change.name}` ({_short(change.type)}, {change.party}){reason}"


def _details(plan: Plan) -> str:
    order = {kind: place for place, kind in enumerate(("delete", "replace", "update", "create"))}
    changes = sorted(plan.changes, key=lambda change: (order[change.kind], plan.parties.index(change.party)))
    rows = [
        f"| {change.party} | {_bold(change.kind) if change.is_loss else change.kind} "
        f"| {_short(change.type)} | `{change.name}` | {', '.join(change.properties)} |"
        for change in changes[:ROWS]
    ]
    more = f"\n\n{len(changes) - ROWS} more are in the run's plan file." if len(changes) > ROWS else ""
    return (
        f"<details><summary>Each of the {len(changes)} changes</summary>\n\n"
        "| Party | Change | Type | Name | Properties |\n| --- | --- | --- | --- | --- |\n"
        + "\n".join(rows)
        + f"{more}\n\n</details>"
    )


def _intents(added: Sequence[Allowed], removed: Sequence[Allowed]) -> str:
    if not added and not removed:
        return "Who may reach whom, and who may touch which data: unchanged."
    rows = [
        f"| {what} | {_cell(line.who)} | {_cell(line.may)} | {_cell(line.why)} |"
        for what, lines in (("newly allowed", added), ("no longer", removed))
        for line in lines
    ]
    head = "| | Who | May | Why |\n| --- | --- | --- | --- |"
    return "\n".join(["**Who may reach whom, and touch which data**", "", head, *rows])


def _short(kind: str) -> str:
    return kind.rsplit(":", 1)[-1]


def _number(count: int, *, bold: bool = False) -> str:
    if not count:
        return ""
    return _bold(str(count)) if bold else str(count)


def _bold(text: str) -> str:
    return f"**{text}**"


def _cell(text: str) -> str:
    """Text that may come from anywhere, as one table cell that shows it and does nothing else."""
    shown = html.escape(" ".join(text.split()), quote=False)
    return shown.replace("|", "\\|").replace("@", "&#64;").replace("`", "&#96;")


def _fence(text: str) -> str:
    return text.replace("```", "'''")
