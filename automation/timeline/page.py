"""A run as a picture: a bar for each resource, the critical path marked, the time of each party.

One HTML file without scripts, that needs no other file and no network.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from automation.timeline.critical_path import critical_path, length
from automation.timeline.run import Run, Step
from automation.ui import templates

_MOST_ROWS = 1000
"""A run of more resources shows those of the critical path, and the others as one bar a party."""


@dataclass(frozen=True, kw_only=True)
class Lane:
    """What a party waited for: from its first resource's beginning to its last one's end, in seconds."""

    party: str
    began: float
    ended: float
    resources: int


def lanes(steps: Sequence[Step]) -> list[Lane]:
    """Return the time of each party, the centre first."""
    parties = sorted({step.party for step in steps}, key=lambda party: (party != "centre", party))
    found = []
    for party in parties:
        own = [step for step in steps if step.party == party]
        found.append(
            Lane(
                party=party,
                began=min(step.began for step in own),
                ended=max(step.ended for step in own),
                resources=len(own),
            )
        )
    return found


def render(run: Run) -> str:
    """Return the page of a run that changed something."""
    chain = critical_path(run.steps)
    on_path = {step.urn for step in chain}
    rows = run.steps if len(run.steps) <= _MOST_ROWS else chain
    return (
        templates.next_to(__file__)
        .get_template("timeline.html.j2")
        .render(
            run=run,
            rows=sorted(rows, key=lambda step: (step.began, step.ended)),
            on_path=on_path,
            lanes=lanes(run.steps),
            path_seconds=length(chain),
            first=min(step.began for step in run.steps),
            left_out=len(run.steps) - len(rows),
        )
    )
