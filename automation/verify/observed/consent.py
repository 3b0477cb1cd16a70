"""Both sides of consent: each hospital's record, and what the centre says of its jobs.

What ran at a hospital was approved there before, and what the centre counts as a hospital's answer is in that
hospital's record. On the emulator both are read at once. On Azure only a hospital's officers read its record:
whoever asks the centre sees that side alone, an officer his own, with what the centre says in a file
(docs/adr/0099). What was not looked at is said.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from automation.operate import centre as centres
from automation.operate import consent as houses
from automation.operate import counted
from automation.operate.consent import House
from automation.stacks import deploy
from automation.stacks.target import Target
from automation.ui.options import On
from automation.ui.outcome import QuestionError
from automation.verify.facts.finding import Finding, Kind, Look
from clone import paths
from federation.stack_file import load_stack

PROOF: Final = "consent"
RULE: Final = "consent"
MOST_JOBS: Final = 20
"""The newest jobs of the centre's that are compared."""
SHORTEST_CODE: Final = 12
"""Hex digits of a checksum that tell codes apart."""
GRACE_SECONDS: Final = 5.0
"""An answer is written a moment after its note, and a note a moment after its answer is in force."""

Entry = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job as the centre tells it: where it was sent, and the hospitals whose answers it counted."""

    job_id: str
    name: str
    code: str
    """The beginning of its checksum."""
    ran: frozenset[str]
    answered: frozenset[str]

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> "Job":
        """Of a row of the centre's. Raises KeyError or TypeError for what is none."""
        return cls(
            job_id=str(row["id"]),
            name=str(row["job"]),
            code=str(row["code"]),
            ran=frozenset(map(str, row["ran"])),
            answered=frozenset(map(str, row["answered"])),
        )


def look(target: Target) -> Look:
    """Compare what can be read from here of a deployed stack."""
    outputs = deploy.outputs(target)
    rows = counted.listing(centres.of(target, outputs).centre, MOST_JOBS)
    jobs = [Job.read(row) for row in rows]
    if target.emulator is None:
        unseen = tuple(_at_the_door(target.name, name) for name in outputs.hospitals)
        return Look(findings=tuple(of_the_centre(jobs)), unseen=unseen, counted=rows)
    records = {name: House.of(target, name).record() for name in outputs.hospitals}
    images = _of_images(records, outputs.environment)
    return Look(findings=(*of_the_centre(jobs), *compare(records, jobs), *images), counted=rows)


def of_officer(stack: str, hospital: str, account: str, centres_word: Path | None) -> Look:
    """Compare a hospital's record, read at its door by one of its officers, with what the centre says.

    `centres_word` is the JSON of `fed verify --json` at the centre. Raises as houses.record_of, and
    QuestionError for a file that is none.
    """
    record = houses.record_of(stack, On.AZURE, hospital, account)
    jobs = [] if centres_word is None else read_word(centres_word)
    unseen = () if centres_word else (_at_the_centre(stack, hospital),)
    images = _of_images({hospital: record}, load_stack(paths.REPOSITORY, stack).environment)
    return Look(findings=(*compare({hospital: record}, jobs), *images), unseen=unseen)


def read_word(file: Path) -> list[Job]:
    """Return what the centre says of its jobs. Raises QuestionError."""
    try:
        return [Job.read(row) for row in json.loads(file.read_text(encoding="utf-8"))["counted"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise QuestionError(
            f"{file} does not say what the centre counts: {error!r}\nFix: it is the output of ./fed verify"
            " STACK --on azure --inside --json"
        ) from error


def of_the_centre(jobs: Sequence[Job]) -> Iterator[Finding]:
    """Yield what the centre contradicts itself in: an answer of a hospital that had not approved."""
    for job in jobs:
        for hospital in sorted(job.answered - job.ran):
            yield _finding(
                hospital,
                f"the centre counts an answer of {hospital} in job {job.job_id[:8]} ({job.name}), which was"
                f" not sent there: it ran at {', '.join(sorted(job.ran)) or 'nobody'}",
                where="the centre's jobs",
            )


def compare(records: Mapping[str, Sequence[Entry]], jobs: Sequence[Job]) -> Iterator[Finding]:
    """Yield what one side says and the other does not: hospital -> its record in order of time."""
    for hospital, record in records.items():
        starts = {entry["job_id"]: entry for entry in record if entry["event"] == "started"}
        yield from _unapproved(hospital, record, starts)
        yield from _other_word(hospital, starts, jobs)


def _other_word(hospital: str, starts: Mapping[str, Entry], jobs: Sequence[Job]) -> Iterator[Finding]:
    for job in jobs:
        if hospital not in job.answered:
            continue
        told = f"the centre counts answers of {hospital} in job {job.job_id[:8]} ({job.name})"
        if job.job_id not in starts:
            yield _finding(hospital, f"{told}, which the hospital's record does not know")
        elif len(job.code) < SHORTEST_CODE:
            yield _finding(hospital, f"{told} and does not say of which code")
        elif not starts[job.job_id]["started"].startswith(job.code):
            code = starts[job.job_id]["started"][:12]
            yield _finding(hospital, f"{told} of the code {job.code[:12]}; what started there is {code}")


def _of_images(records: Mapping[str, Sequence[Entry]], environment: str) -> Iterator[Finding]:
    """Yield each change of images that the officers' word in force then did not allow.

    In dev a hospital whose officers never said anything of images takes those that the stack names.
    """
    for hospital, record in records.items():
        said: Entry | None = None
        for entry in record:
            if entry["event"] == "images-answers":
                said = entry
            elif entry["event"] == "images" and (said is not None or environment != "dev"):
                yield from _changed_unapproved(hospital, entry, said or {"approved": []})


def _changed_unapproved(hospital: str, change: Entry, said: Entry) -> Iterator[Finding]:
    approved = {(one["image"], one["digest"]) for one in said["approved"]}
    for image, digest in sorted(set(change["images"].items()) - approved):
        yield _finding(
            hospital,
            f"{hospital} changed to {image} {digest[:19]} at {change['time']} without an approval of its"
            " officers",
        )


def _unapproved(hospital: str, record: Sequence[Entry], starts: Mapping[str, Entry]) -> Iterator[Finding]:
    """Yield a finding for each job with a release that no approval stands before."""
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


def _approved(answers: Collection[Entry], code: str, moment: float) -> bool:
    """Whether the officers' answers that were in force around a moment approve a code."""
    before = [entry for entry in answers if _moment(entry) <= moment - GRACE_SECONDS]
    around = [entry for entry in answers if abs(_moment(entry) - moment) < GRACE_SECONDS]
    return any(code in entry["approved"] for entry in (*before[-1:], *around))


def _moment(entry: Entry) -> float:
    return datetime.strptime(entry["time"], "%Y%m%dT%H%M%S.%fZ").replace(tzinfo=UTC).timestamp()


def _at_the_centre(stack: str, hospital: str) -> str:
    return (
        f"what the centre counts as {hospital}'s answers: ask whoever runs it for the output of"
        f" ./fed verify {stack} --on azure --inside --json, and give that file with --counted"
    )


def _at_the_door(stack: str, hospital: str) -> str:
    return (
        f"whether {hospital} had approved what it let out: one of its officers sees that at its door, with"
        f" ./fed verify {stack} --on azure --party {hospital} --account NAME --counted FILE"
    )


def _finding(hospital: str, what: str, where: str | None = None) -> Finding:
    return Finding(
        kind=Kind.OPEN,
        proof=PROOF,
        rule=RULE,
        what=what,
        where=where or f"{hospital}'s container record",
        why="code may have run on its patients without its word",
        fix=f"compare ./fed audit --party {hospital} with ./fed jobs; stop its VM until it is known",
    )
