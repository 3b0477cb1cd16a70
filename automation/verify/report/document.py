"""What a verification says, as plain rows: the one source of the table, the JSON and the report."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from automation.verify.observed.packets import Attempt
from automation.verify.reach.matrix import Cell
from automation.verify.reach.ports import text
from automation.verify.report.controls import CONTROLS
from automation.verify.run import Outcome
from federation.stated import Door


def document(outcome: Outcome) -> dict[str, Any]:
    """Return everything a verification found, fit for JSON."""
    shown = outcome.shown
    return {
        "stack": shown.deployment.stack,
        "date": outcome.date.isoformat(timespec="seconds"),
        "holds": outcome.holds,
        "read": {
            "state": {
                "checksum": outcome.state.deployment.checksum,
                "resources": len(outcome.state.deployment.resources),
            },
            "live": {
                "checksum": outcome.now.deployment.checksum,
                "resources": len(outcome.now.deployment.resources),
            }
            if outcome.now
            else None,
        },
        "seconds": {proof: round(seconds, 2) for proof, seconds in outcome.seconds.items()},
        "findings": [asdict(f) for f in outcome.findings],
        "controls": controls(outcome),
        "flows": list(flows(outcome)),
        "packets": packets(outcome),
        "fronts": [asdict(front) for front in shown.services.fronts],
        "access": list(access(outcome)),
        "names": list(names(outcome)),
        "operators": list(shown.deployment.operators),
        "unseen": list(outcome.unseen),
        "counted": list(outcome.counted),
    }


def controls(outcome: Outcome) -> list[dict[str, Any]]:
    """Return each control with whether it holds."""
    rows = []
    for control in CONTROLS:
        broken = control.broken_by(outcome.findings)
        rows.append(
            {
                "name": control.name,
                "promise": control.promise,
                "protects_against": control.protects_against,
                "holds": not broken,
                "differences": len(broken),
            }
        )
    return rows


def flows(outcome: Outcome) -> Iterator[dict[str, Any]]:
    """Yield one row for each pair between which anything is intended or possible, in three columns."""
    for cell in outcome.shown.matrix.cells:
        yield {
            "source": str(cell.source),
            "destination": str(cell.destination),
            "protocol": cell.protocol,
            "intended": text(cell.intended),
            "computed": text(cell.computed),
            "measured": _measured(outcome, cell),
            "agrees": not cell.unintended and not cell.missing and _confirmed(outcome, cell),
            "why": _why(outcome, cell),
        }
    for door in outcome.shown.intent.doors:
        is_open = door in outcome.shown.doors.open
        measured = _through(outcome, door)
        yield {
            "source": door.viewer,
            "destination": f"{door.owner}/door ({door.address})",
            "protocol": "Tcp",
            "intended": "443",
            "computed": "443" if is_open else "no port",
            "measured": measured,
            "agrees": is_open and measured in ("", "443"),
            "why": door.why,
        }


def packets(outcome: Outcome) -> dict[str, Any] | None:
    """Return how many packets were sent and how often the three columns agreed."""
    if outcome.packets is None:
        return None
    count = Counter((a.measured, a.agrees) for a in outcome.packets.attempts)
    return {
        "attempts": len(outcome.packets.attempts),
        "passed": count[True, True] + count[True, False],
        "stopped": count[False, True] + count[False, False],
        "disagree": count[True, False] + count[False, False],
    }


def access(outcome: Outcome) -> Iterator[dict[str, Any]]:
    """Yield one row for each machine and container (or the registry), in three columns."""
    tried = {(t.viewer, t.target, t.action): t for t in outcome.inside.access} if outcome.inside else {}
    for cell in outcome.shown.access.cells:
        target = f"{cell.target.resource} of {cell.target.owner}"
        mine = {
            a: t
            for (v, where, a), t in tried.items()
            if f"{v}'s machine" == cell.principal and where == target
        }
        yield {
            "who": cell.principal,
            "what": target,
            "intended": _words(cell.intended),
            "computed": _words(cell.computed),
            "measured": _words({a for a, t in mine.items() if t.measured}) if mine else "",
            "agrees": cell.intended == cell.computed and all(t.agrees for t in mine.values()),
        }


def names(outcome: Outcome) -> Iterator[dict[str, Any]]:
    """Yield one row for each name that a party resolves, in three columns."""
    tried = {(t.viewer, t.target): t for t in outcome.inside.names} if outcome.inside else {}
    for answer in outcome.shown.names.answers:
        public = answer.name.replace("privatelink.", "")
        one = tried.get((answer.viewer, public))
        yield {
            "who": answer.viewer,
            "name": public,
            "intended": _words(answer.intended),
            "computed": "your policy" if answer.computed is None else _words(answer.computed),
            "measured": one.said if one else "",
            "agrees": answer.agrees and (one is None or one.agrees),
        }


def _attempts(outcome: Outcome, cell: Cell) -> list[Attempt]:
    if outcome.packets is None:
        return []
    key = (cell.source, cell.destination, cell.protocol)
    return [a for a in outcome.packets.attempts if (a.source, a.destination, a.protocol) == key]


def _through(outcome: Outcome, door: Door) -> str:
    """Return the ports of a door that a desk of its hospital opened."""
    if outcome.packets is None:
        return ""
    tried = [a for a in outcome.packets.attempts if a.destination.address_text == str(door.address)]
    found = [str(a.port) for a in tried if a.measured and a.source.text == door.subnet_id]
    return ", ".join(found) or "no port"


def _measured(outcome: Outcome, cell: Cell) -> str:
    attempts = _attempts(outcome, cell)
    if not attempts:
        return ""
    return ", ".join(str(a.port) for a in attempts if a.measured) or "no port"


def _confirmed(outcome: Outcome, cell: Cell) -> bool:
    return all(a.agrees for a in _attempts(outcome, cell))


def _why(outcome: Outcome, cell: Cell) -> str:
    prefixes = [{f"{spot.address_text}/32", spot.text} for spot in (cell.source, cell.destination)]
    return next(
        (
            flow.why
            for flow in outcome.shown.intent.flows
            if flow.source.prefix in prefixes[0]
            and flow.destination.prefix in prefixes[1]
            and flow.protocol == cell.protocol
        ),
        "",
    )


def _words(found: frozenset[str] | set[str]) -> str:
    return ", ".join(sorted(found)) or "nothing"
