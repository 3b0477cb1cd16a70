"""Who asked for what, as the centre tells it: authors, codes, where jobs ran and whose answers counted."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from automation.operate import centre as centres
from automation.operate.machines import Centre
from automation.ui.outcome import FedError
from workloads.container_server.container_server import questions

if TYPE_CHECKING:
    from automation.ui.options import On
    from workloads.container_server.container_server.answers import CountedJob


def of(stack: str, on: On, most: int) -> list[CountedJob]:
    """Return the newest jobs of a deployed stack, newest first; raises as Centre.ask."""
    return listing(centres.reach(stack, on).centre, most)


def listing(centre: Centre, most: int) -> list[CountedJob]:
    """Return the newest jobs: Azure's run command carries a few at a time. Raises as Centre.ask."""
    rows: list[CountedJob] = []
    while len(rows) < most:
        answer = centre.ask(questions.ListCounted(skip=len(rows) or None))
        rows += answer["jobs"]
        if not answer.get("cut"):
            break
        if not answer["jobs"]:
            raise FedError("one of the centre's jobs is too long for its answer")
    return rows[:most]


def words(row: CountedJob) -> str:
    """Return a job in a line."""
    asked = time.strftime("%Y%m%dT%H%M%S", time.gmtime(row["asked"]))
    # Of statistics nobody's answers are told one by one.
    silent = sorted(set(row["ran"]) - set(row["answered"])) if row["answered"] else []
    lines = [
        f"{asked}  {row['author']} asked for {row['job']} ({row['id'][:8]}, code {row['code'][:12]})",
        f"at {', '.join(row['ran'])}",
        *([f"no answer of {', '.join(silent)} counted"] if silent else []),
    ]
    return "; ".join(lines)
