"""What the centre's container server hands over: the jobs that ended, oldest first, and who takes part."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
            features=Feature.read(statistics.get("features") or {}),
            published=statistics.get("hospitals") or {},
        )


@dataclass(frozen=True, slots=True)
class Request:
    """The whole of it."""

    policy: Policy
    sites: Mapping[str, Site]
    runs: Sequence[Run]

    @classmethod
    def read(cls, path: Path) -> "Request":
        """From the file. Raises KeyError, TypeError or ValueError for other content."""
        content = json.loads(path.read_text())
        return cls(
            policy=Policy(int(content["smallest_cell"])),
            sites={
                name: Site(site["state"], moment(site["reported"]) if site["reported"] else None)
                for name, site in content["sites"].items()
            },
            runs=sorted((Run.read(run) for run in content["runs"]), key=lambda run: run.submitted),
        )


def moment(seconds: float) -> datetime:
    """Unix time -> UTC, to the millisecond."""
    return datetime.fromtimestamp(round(seconds, 3), UTC)
