"""Hands results on: everything to the centre's container, to each hospital what is for all and what is its
own.

`server/results/<job id>/` gets progress.json and results/; `client-<hospital>/results/<job id>/` gets
results/global/ and, as hospital.json, the hospital's own numbers. No hospital gets another's.
"""

from collections.abc import Iterable
from pathlib import Path

from container_server.cadence import Cadence
from container_server.centre.enrolments import Enrolments
from container_server.centre.jobs import Job, Jobs
from container_server.centre.members import CENTRE
from container_server.clock import Clock
from container_server.errors import TransientError
from container_server.files import read_json, write_json
from container_server.log import say
from container_server.storage import BlobStore


class Distribution:
    """Remembers, in `memory`, to whom each job that ended is still to be handed."""

    def __init__(self, store: BlobStore, jobs: Jobs, enrolments: Enrolments, clock: Clock, memory: Path):
        self._store = store
        self._jobs = jobs
        self._enrolments = enrolments
        self._clock = clock
        self._memory = memory
        self._owed: dict[str, list[str]] = read_json(memory) or {}
        self._tries: dict[str, Cadence] = {}

    def step(self, hospitals: Iterable[str]) -> None:
        """Hand on what ended to those who were members then.

        Whoever cannot be reached is tried again, ever more slowly, and holds up nobody else.
        """
        names = sorted(hospitals)
        for job in self._jobs.all():
            if job.over and job.job_id not in self._owed:
                self._owe(job, [CENTRE, *names])
            for party in self._owed.get(job.job_id, ()):
                if party in {CENTRE, *names} and self._cadence(party).due():
                    self._try(job, party)

    def _cadence(self, party: str) -> Cadence:
        return self._tries.setdefault(party, Cadence(self._clock, interval=0.0))

    def _try(self, job: Job, party: str) -> None:
        try:
            if party == CENTRE:
                self._to_centre(job)
            else:
                self._to_hospital(job, party)
        except TransientError as error:
            if not self._cadence(party).failing:
                say("results not handed on", job_id=job.job_id, party=party, reason=str(error))
            self._cadence(party).failed()
        else:
            self._cadence(party).succeeded()
            self._owe(job, [other for other in self._owed[job.job_id] if other != party])

    def _owe(self, job: Job, parties: list[str]) -> None:
        self._owed[job.job_id] = parties
        write_json(self._memory, self._owed)

    def _to_centre(self, job: Job) -> None:
        folder = self._jobs.folder / job.job_id
        for path in sorted(folder.rglob("*.json")) + sorted(folder.glob("results/**/*.npy")):
            self._store.write(f"results/{job.job_id}/{path.relative_to(folder)}", path.read_bytes())
        say("results stored", job=job.name, job_id=job.job_id, state=job.state)

    def _to_hospital(self, job: Job, hospital: str) -> None:
        results = self._jobs.folder / job.job_id / "results"
        files = {path.name: path for path in sorted(results.glob("global/*"))}
        own = results / "hospitals" / f"{hospital}.json"
        if own.is_file():
            files["hospital.json"] = own
        store = self._enrolments.channel(hospital).store
        for name, path in files.items():
            store.write(f"results/{job.job_id}/{name}", path.read_bytes())
