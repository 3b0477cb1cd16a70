"""Both sides of consent: each hospital's record, and what the centre says of its jobs.

What ran at a hospital was approved there before, and what the centre counts as a hospital's answer is in that
hospital's record. Read on the emulator alone: on Azure only a hospital reaches its record.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from automation.hospitals.consent import House
from automation.operate.machines import Centre
from automation.stacks import deploy
from automation.stacks.target import Target
from automation.verify.facts.finding import Finding, Kind
from workloads.container_server.container_server import questions
from workloads.container_server.container_server.answers import WholeJob

PROOF: Final = "consent"
RULE: Final = "consent"
MOST_JOBS: Final = 20
"""The newest jobs of the centre's that are compared."""
GRACE_SECONDS: Final = 5.0
"""An answer is written a moment after its note, and a note a moment after its answer is in force."""
_NOT_ANSWERS = frozenset({"missed", "dropped", "blank"})

Entry = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job as the centre tells it: the hospitals whose answers it counted."""

    job_id: str
    name: str
    answered: frozenset[str]


def look(target: Target) -> tuple[Finding, ...]:
    """Read the records of a deployed stack's hospitals and the centre's jobs, and compare them."""
    outputs = deploy.outputs(target)
    records = {name: House.of(target, name).record() for name in outputs.hospitals}
    centre = Centre.of(target.arm(), outputs)
    listed = centre.ask(questions.ListJobs())["jobs"][:MOST_JOBS]
    return tuple(compare(records, [_job(centre.ask(questions.ShowResult(id=row["id"]))) for row in listed]))


def compare(records: Mapping[str, Sequence[Entry]], jobs: Sequence[Job]) -> Iterator[Finding]:
    """Yield what one side says and the other does not: hospital -> its record in order of time."""
    for hospital, record in records.items():
        starts = {entry["job_id"]: entry for entry in record if entry["event"] == "started"}
        yield from _unapproved(hospital, record, starts)
        for job in jobs:
            if hospital in job.answered and job.job_id not in starts:
                yield _finding(
                    hospital,
                    f"the centre counts answers of {hospital} in job {job.job_id[:8]} ({job.name}), which the"
                    " hospital's record does not know",
                )


def _unapproved(hospital: str, record: Sequence[Entry], starts: Mapping[str, Entry]) -> Iterator[Finding]:
    """A finding for each job with a release that no approval stands before."""
    answers = [entry for entry in record if entry["event"] == "answers"]
    seen: set[str] = set()
    for entry in record:
        job_id = str(entry.get("job_id"))
        if entry["event"] != "released" or job_id in seen:
            continue
        if job_id not in starts:
            seen.add(job_id)
            yield _finding(
                hospital, f"{hospital} let out an answer of job {job_id[:8]} that never started there"
            )
        elif not _approved(answers, starts[job_id]["started"], _moment(entry)):
            seen.add(job_id)
            yield _finding(
                hospital,
                f"{hospital} let out an answer of job {job_id[:8]} at {entry['time']} without an approval of"
                f" its code {starts[job_id]['started'][:12]}",
            )


def _approved(answers: Sequence[Entry], code: str, moment: float) -> bool:
    """Whether the officers' answers that were in force around a moment approve a code."""
    before = [entry for entry in answers if _moment(entry) <= moment - GRACE_SECONDS]
    around = [entry for entry in answers if abs(_moment(entry) - moment) < GRACE_SECONDS]
    return any(code in entry["approved"] for entry in (*before[-1:], *around))


def _moment(entry: Entry) -> float:
    return datetime.strptime(entry["time"], "%Y%m%dT%H%M%S.%fZ").replace(tzinfo=UTC).timestamp()


def _job(answer: WholeJob) -> Job:
    rows = answer.get("hospitals", {})
    answered = frozenset(name for name, row in rows.items() if set(row) - _NOT_ANSWERS)
    return Job(job_id=answer["id"], name=answer["job"], answered=answered)


def _finding(hospital: str, what: str) -> Finding:
    return Finding(
        kind=Kind.OPEN,
        proof=PROOF,
        rule=RULE,
        what=what,
        where=f"{hospital}'s container record",
        why="code may have run on its patients without its word",
        fix=f"compare ./fed audit --party {hospital} with ./fed jobs; stop its VM until it is known",
    )
