"""Hands results on: everything to the centre's container, to each hospital what is for all and what is its
own.

In the container `results`, `<job id>/` gets progress.json and results/; `client-<hospital>/results/<job id>/`
gets results/global/ and, as hospital.json, the hospital's own numbers. No hospital gets another's.
"""

import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from container_server.cadence import Cadence
from container_server.centre.enrolments import Enrolments
from container_server.centre.jobs import Job, Jobs
from container_server.centre.members import CENTRE
from container_server.chore import Chore
from container_server.clock import Clock
from container_server.errors import TransientError
from container_server.files import read_json, write_json
from container_server.foreign import ForeignFileError
from container_server.log import say
from container_server.notices import Notice, announce
from container_server.storage import BlobStore

_ABOUT = ("progress.json", "status.json")
_RESULT = re.compile(r"results/.*\.(?:json|npy|npz)")
_GLOBAL = re.compile(r"results/global/[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")


class Distribution:
    """Remembers, in `memory`, to whom each job that ended is still to be handed."""

    def __init__(self, store: BlobStore, jobs: Jobs, enrolments: Enrolments, clock: Clock, memory: Path):
        self._store = store
        self._jobs = jobs
        self._enrolments = enrolments
        self._clock = clock
        self._memory = memory
        self._owed: dict[str, list[str]] = read_json(memory) or {}
        self._handing: dict[str, Chore] = {}

    @property
    def chores(self) -> list[Chore]:
        """One for each party that something is owed to."""
        return list(self._handing.values())

    def step(self, hospitals: Iterable[str]) -> None:
        """Hand on what ended to those who were members then.

        Whoever cannot be reached is tried again, ever more slowly, and holds up nobody else.
        """
        parties = [CENTRE, *sorted(hospitals)]
        for job in self._jobs.all():
            if job.over and job.job_id not in self._owed:
                _announce(job)
                self._owe(job, parties)
        owed = {party for names in self._owed.values() for party in names}
        self._handing = {party: self._chore(party) for party in parties if party in owed}
        for chore in self._handing.values():
            chore.run()

    def _chore(self, party: str) -> Chore:
        return self._handing.get(party) or Chore(
            "results", Cadence(self._clock, interval=0.0), lambda: self._hand_on(party), party
        )

    def _hand_on(self, party: str) -> None:
        """Everything that is owed to one party; what cannot be read of one job holds up no other job."""
        failures = []
        for job in self._jobs.all():
            if party not in self._owed.get(job.job_id, ()):
                continue
            try:
                self._hand(job, party)
            except TransientError:
                raise
            except Exception as error:  # this job's own files; named when the others are handed on
                failures.append(error)
        if failures:
            raise failures[0]

    def _hand(self, job: Job, party: str) -> None:
        try:
            blobs = self._read(job, party)
        except ForeignFileError as error:
            self._jobs.withhold(job, str(error))
            self._owe(job, [])
            return
        for blob, content in blobs.items():
            folder = "" if party == CENTRE else "results/"
            self._store_of(party).write(f"{folder}{job.job_id}/{blob}", content)
        say("results handed on", job=job.name, job_id=job.job_id, party=party, state=job.state)
        self._owe(job, [other for other in self._owed[job.job_id] if other != party])

    def _owe(self, job: Job, parties: list[str]) -> None:
        self._owed[job.job_id] = parties
        write_json(self._memory, self._owed)

    def _store_of(self, party: str) -> BlobStore:
        return self._store if party == CENTRE else self._enrolments.channel(party).store

    def _read(self, job: Job, party: str) -> dict[str, bytes]:
        """Blob name -> content, all of it before anything is written.

        Raises ForeignFileError where any file of the job's is not plain, whoever it is for.
        """
        folder = f"jobs/{job.job_id}/"
        names = {name.removeprefix(folder) for name in self._jobs.shared.files(folder)}
        if job.state != "finished":  # of a part of the job there are no results, only what became of it
            names = {name for name in names if not name.startswith("results/")}
        blobs = _for_centre(names) if party == CENTRE else _for_hospital(names, party)
        contents = {blob: self._jobs.shared.read(folder + name) for blob, name in blobs.items()}
        return {blob: content for blob, content in contents.items() if content is not None}


def _announce(job: Job) -> None:
    failed = job.state == "failed"
    text = f"{job.name} {job.state}" + (f": {job.reason[:300]}" if job.reason else "")
    announce(Notice(code="job-failed" if failed else "job-ended", about=job.job_id, text=text))


def _for_centre(names: Iterable[str]) -> dict[str, str]:
    known = {name for name in names if name in _ABOUT or _RESULT.fullmatch(name)}
    return {name: name for name in sorted(known)}


def _for_hospital(names: Iterable[str], hospital: str) -> dict[str, str]:
    shared = {PurePosixPath(name).name: name for name in names if _GLOBAL.fullmatch(name)}
    own = f"results/hospitals/{hospital}.json"
    return shared | ({"hospital.json": own} if own in names else {})
