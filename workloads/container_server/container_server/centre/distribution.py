"""Hands results on: everything to the centre's container, to each hospital what is for all and what is its
own.

`server/results/<job id>/` gets progress.json and results/; `client-<hospital>/results/<job id>/` gets
results/global/ and, as hospital.json, the hospital's own numbers. No hospital gets another's.
"""

from collections.abc import Iterable
from pathlib import Path

from container_server.centre.enrolments import Enrolments
from container_server.centre.jobs import Job, Jobs
from container_server.errors import TransientError
from container_server.files import read_json, write_json
from container_server.log import say
from container_server.storage import BlobStore


class Distribution:
    """Remembers, in `memory`, which job was handed to whom."""

    def __init__(self, store: BlobStore, jobs: Jobs, enrolments: Enrolments, memory: Path):
        self._store = store
        self._jobs = jobs
        self._enrolments = enrolments
        self._memory = memory
        self._done: dict[str, list[str]] = read_json(memory) or {}

    def step(self, hospitals: Iterable[str]) -> None:
        """Hand on what ended. Raises TransientError when the centre's own container cannot be reached."""
        names = sorted(hospitals)
        for job in self._jobs.all():
            if job.over and "centre" not in self._done.get(job.job_id, []):
                self._to_centre(job)
                for name in names:
                    self._to_hospital(job, name)

    def _to_centre(self, job: Job) -> None:
        folder = self._jobs.folder / job.job_id
        for path in sorted(folder.rglob("*.json")) + sorted(folder.glob("results/**/*.npy")):
            self._store.write(f"results/{job.job_id}/{path.relative_to(folder)}", path.read_bytes())
        self._note(job, "centre")
        say("results stored", job=job.name, job_id=job.job_id, state=job.state)

    def _to_hospital(self, job: Job, hospital: str) -> None:
        results = self._jobs.folder / job.job_id / "results"
        files = {path.name: path for path in sorted(results.glob("global/*"))}
        own = results / "hospitals" / f"{hospital}.json"
        if own.is_file():
            files["hospital.json"] = own
        try:
            for name, path in files.items():
                store = self._enrolments.channel(hospital).store
                store.write(f"results/{job.job_id}/{name}", path.read_bytes())
        except TransientError as error:
            say("results not delivered", job_id=job.job_id, hospital=hospital, reason=str(error))
            return
        self._note(job, hospital)

    def _note(self, job: Job, receiver: str) -> None:
        self._done.setdefault(job.job_id, []).append(receiver)
        write_json(self._memory, self._done)
