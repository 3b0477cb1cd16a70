"""The page of a hospital's own record: what asked to run there, and what left with each answer of a job.

It is not of the curated tables: nobody but the hospital reads its record.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from dashboards.local.content import Page, Visual
from dashboards.local.grid import Cell, Grid, Shown
from dashboards.local.wording import NOTHING

Entry = Mapping[str, Any]
"""What `fed audit --json` shows: `event`, `time` (UTC, like 20261201T093000.000000Z), more by its event."""

PAGE = Page("left", "What left our house", (), ())
NEWEST = 300
"""Lines of the long table."""

_SAID = {
    "released": "left",
    "refused": "kept back by the airlock",
    "started": "started",
    "answers": "our officers' answers",
    "airlock": "our airlock's policy",
    "data": "our data, checked",
    "dataset": "a data set of ours, approved",
    "scored": "our patients, scored for us: nothing left",
}


def page(record: Sequence[Entry]) -> tuple[Page, list[Shown]]:
    """Return the page for a record, oldest entry first; empty ones have their words too."""
    return PAGE, [
        _card("answers", "Answers that left", len(_of(record, "released"))),
        _card("numbers", "Numbers in them", sum(int(one["numbers"]) for one in _of(record, "released"))),
        _card("kept", "Answers kept back", len(_of(record, "refused"))),
        _card("spent", "Epsilon spent", _spent(record)),
        _table("jobs", "Job by job", _JOBS, _jobs(record)),
        _table("all", "Everything, newest first", _ALL, _all(record)),
    ]


_JOBS = ("Job", "Code", "Asked (UTC)", "Our answer", "Why kept back"), ("Answers", "Numbers", "Kept back")
_ALL = (
    ("When (UTC)", "What", "Job", "Kind", "Metrics", "Why kept back"),
    ("Round", "Numbers", "Epsilon so far"),
)
"""Headings of each table: its words, then its numbers."""


def _of(record: Iterable[Entry], event: str) -> list[Entry]:
    return [one for one in record if one["event"] == event]


def _spent(record: Sequence[Entry]) -> str:
    """Return the newest sum that an answer came with; airlocks without noise spend none."""
    spent = [one["epsilon"] for one in _of(record, "released") if "epsilon" in one]
    return f"{spent[-1]:g}" if spent else NOTHING


def _jobs(record: Sequence[Entry]) -> list[list[Cell]]:
    by_job: dict[str, list[Entry]] = {}
    for one in record:
        if job := one.get("job_id"):
            by_job.setdefault(str(job), []).append(one)
    return [_job(job, entries) for job, entries in reversed(by_job.items())]


def _job(job: str, entries: Sequence[Entry]) -> list[Cell]:
    asked = [one for one in entries if "answer" in one]
    left, kept = _of(entries, "released"), _of(entries, "refused")
    newest: Entry = asked[-1] if asked else {}
    code = newest.get("code") or next((one["started"] for one in _of(entries, "started")), NOTHING)
    return [
        Cell(f"{newest.get('name', '')} {job[:8]}".strip()),
        Cell(str(code)[:12]),
        Cell(_moment(entries[0])),
        Cell(str(newest.get("answer", NOTHING))),
        Cell(str(kept[-1]["refused"]) if kept else ""),
        Cell(str(len(left)), number=True),
        Cell(f"{sum(int(one['numbers']) for one in left):,}", number=True),
        Cell(str(len(kept)), number=True),
    ]


def _all(record: Sequence[Entry]) -> list[list[Cell]]:
    return [_line(one) for one in reversed(record[-NEWEST:])]


def _line(one: Entry) -> list[Cell]:
    metrics = ", ".join(f"{name} {value:g}" for name, value in sorted((one.get("metrics") or {}).items()))
    what = _SAID.get(one["event"], f"asked: {one.get('answer', NOTHING)}")
    return [
        Cell(_moment(one)),
        Cell(what),
        Cell(f"{one.get('name', '')} {str(one.get('job_id', ''))[:8]}".strip()),
        Cell(_text(one.get("kind"))),
        Cell(metrics),
        Cell(_text(one.get("refused")) if one["event"] == "refused" else ""),
        Cell(_text(one.get("round")), number=True),
        Cell(_text(one.get("numbers")), number=True),
        Cell(f"{one['epsilon']:g}" if "epsilon" in one else "", number=True),
    ]


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _moment(one: Entry) -> str:
    """Return a time like the other pages have it. Raises ValueError for one that is none."""
    return datetime.strptime(str(one["time"])[:15], "%Y%m%dT%H%M%S").strftime("%Y-%m-%d %H:%M:%S")


def _card(name: str, title: str, number: int | str) -> Shown:
    text = f"{number:,}" if isinstance(number, int) else number
    return Shown(Visual(name, title, "card", (), ()), {}, {}, cells={"": Cell(text, number=True)})


def _table(
    name: str,
    title: str,
    headings: tuple[tuple[str, ...], tuple[str, ...]],
    rows: Sequence[Sequence[Cell]],
) -> Shown:
    words, numbers = headings
    return Shown(Visual(name, title, "table", (), words), {"": Grid((*words, *numbers), rows)}, {})
