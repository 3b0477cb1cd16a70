"""What the centre's container server hands over: the jobs that ended, oldest first, and who takes part."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .features import Feature
from .policy import Policy


@dataclass(frozen=True, slots=True)
class Site:
    """A hospital: the state it last reported, and when."""

    state: str
    reported: datetime | None


@dataclass(frozen=True, slots=True)
class Run:
    """One job that ended. `history`: its rounds; `published`: hospital -> statistics, of a statistics job."""

    run_id: str
    job: str
    state: str
    submitted: datetime
    seconds: float | None
    rounds: int
    rounds_done: int
    version: int | None
    gates: str
    code: str
    parameters: Mapping[str, Any]
    history: Sequence[Mapping[str, Any]]
    features: Sequence[Feature]
    published: Mapping[str, Mapping[str, Mapping[str, Any]]]

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> "Run":
        """One of the request's `runs`. Raises KeyError, TypeError or ValueError for other content."""
        progress, statistics = content["progress"], content.get("statistics") or {}
        features = Feature.read(statistics.get("features") or [])
        cells = {feature.key: feature.cells for feature in features}
        gates = (progress.get("gates") or {}).get("verdicts")
        version = progress.get("model_version")
        return cls(
            run_id=content["id"],
            job=content["job"],
            state=content["state"],
            submitted=moment(content["submitted"]),
            seconds=progress.get("seconds"),
            rounds=int(progress.get("rounds", 0)),
            rounds_done=int(progress.get("rounds_done", 0)),
            version=int(version) if version else None,
            gates="-" if not gates else "passed" if progress["gates"]["passed"] else "failed",
            code=content["code"],
            parameters=progress.get("parameters") or {},
            history=progress.get("history") or [],
            features=features,
            published={
                hospital: {key: _checked(key, entry, cells) for key, entry in published.items()}
                for hospital, published in (statistics.get("hospitals") or {}).items()
            },
        )


@dataclass(frozen=True, slots=True)
class Request:
    """The whole of it. `refused`: jobs that are left out, because what they wrote is not what it must be."""

    policy: Policy
    sites: Mapping[str, Site]
    runs: Sequence[Run]
    refused: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> "Request":
        """From the file. Raises KeyError, TypeError or ValueError for other content."""
        content = json.loads(path.read_text())
        runs, refused = [], {}
        for given in content["runs"]:
            try:
                runs.append(Run.read(given))
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                refused[str(given["id"])] = f"{type(error).__name__}: {error}"
        return cls(
            policy=Policy(int(content["smallest_cell"])),
            sites={
                name: Site(site["state"], moment(site["reported"]) if site["reported"] else None)
                for name, site in content["sites"].items()
            },
            runs=sorted(runs, key=lambda run: run.submitted),
            refused=refused,
        )


def _checked(key: str, entry: Mapping[str, Any], cells: Mapping[str, int]) -> Mapping[str, Any]:
    """One feature's statistics. Raises TypeError or ValueError where numbers or cells are wrong."""
    for name in ("count", "sum", "stddev"):
        if name in entry and not math.isfinite(entry[name]):
            raise ValueError(f"{name} of {key} is {entry[name]}")
    if key in cells and "histogram" in entry:
        counts = [count for _, _, count in entry["histogram"]]
        if len(counts) != cells[key] or not all(count >= 0 for count in counts):
            raise ValueError(f"the histogram of {key} has {len(counts)} cells, described are {cells[key]}")
    return entry


def moment(seconds: float) -> datetime:
    """Unix time -> UTC, to the millisecond."""
    return datetime.fromtimestamp(round(seconds, 3), UTC)
