"""What `fed timeline` says of a run."""

from pathlib import Path
from typing import Any

from automation.timeline import page
from automation.timeline.critical_path import critical_path, length
from automation.timeline.run import Run, Step
from automation.ui import console
from clone import paths


def show(run: Run, picture: Path, *, most: int, as_json: bool) -> None:
    """Write the picture of a run and print its parties and the slowest steps of its critical path."""
    chain = critical_path(run.steps)
    paths.write_private(picture, page.render(run).encode())
    if as_json:
        console.show_json(_document(run, chain, picture))
        return
    parties = console.table("party", "resources", "began", "ended")
    for lane in page.lanes(run.steps):
        parties.add_row(lane.party, str(lane.resources), f"{lane.began:.1f} s", f"{lane.ended:.1f} s")
    console.show(parties)
    slowest = sorted(chain, key=lambda step: step.seconds, reverse=True)[:most]
    steps = console.table("critical path", "type", "party", "seconds")
    for step in chain:
        if step in slowest:
            steps.add_row(step.name, step.type, step.party, f"{step.seconds:.2f}")
    console.show(steps)
    console.say(
        f"{run.stack}: {len(run.steps)} resources in {run.seconds:.1f} s, {_ratio(run, chain):.2f} times the "
        f"critical path of {length(chain):.1f} s ({len(chain)} resources); a picture of all: {picture}"
    )


def _ratio(run: Run, chain: list[Step]) -> float:
    """How often the critical path fits into the whole; 1 where nothing took any time."""
    return run.seconds / length(chain) if length(chain) else 1.0


def _document(run: Run, chain: list[Step], picture: Path) -> dict[str, Any]:
    return {
        "stack": run.stack,
        "on": run.on,
        "at": run.at.isoformat(),
        "resources": len(run.steps),
        "seconds": round(run.seconds, 3),
        "critical_path_seconds": round(length(chain), 3),
        "ratio": round(_ratio(run, chain), 3),
        "critical_path": [
            {"name": step.name, "type": step.type, "party": step.party, "seconds": round(step.seconds, 3)}
            for step in chain
        ],
        "parties": {
            lane.party: {
                "resources": lane.resources,
                "began": round(lane.began, 3),
                "ended": round(lane.ended, 3),
            }
            for lane in page.lanes(run.steps)
        },
        "picture": str(picture),
    }
