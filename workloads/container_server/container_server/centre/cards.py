"""Puts the model card of each registered version next to its files, in MLflow and in the container `results`,
once the tables were made.

The cards are made where the tables are (workloads/curation/cards.py); hospitals get theirs with their tables.
"""

from pathlib import Path
from typing import final

from container_server.answers import model_folder
from container_server.centre.jobs import Job, Jobs
from container_server.centre.members import CENTRE
from container_server.centre.models import Registry, artifacts_of
from container_server.errors import ContainerServerError
from container_server.files import read_json, write_json
from container_server.foreign import ForeignFolder
from container_server.log import say
from container_server.storage import BlobStore

ENDINGS = ("md", "html")


@final
class Cards:
    """`made` is the folder of the tables, `store` the container `results`; `memory` remembers which jobs'
    cards are in both.
    """

    def __init__(self, jobs: Jobs, registry: Registry, store: BlobStore, made: Path, memory: Path):
        self._jobs = jobs
        self._registry = registry
        self._store = store
        self._made = ForeignFolder(made)
        self._memory = memory
        self._done: list[str] = read_json(memory) or []

    def step(self) -> None:
        """Put those that are new. One that MLflow does not take holds up no other: its error comes last.

        May raise TransientError, RefusedInputError.
        """
        errors: list[ContainerServerError] = []
        for job in self._jobs.all():
            if job.state == "finished" and job.progress.get("model_version") and job.job_id not in self._done:
                try:
                    self._put(job, str(job.progress["model_version"]))
                except ContainerServerError as error:
                    errors.append(error)
        if errors:
            raise errors[0]

    def _put(self, job: Job, version: str) -> None:
        found = {
            ending: self._made.read(f"tables/{CENTRE}/card-{job.name}-{version}.{ending}")
            for ending in ENDINGS
        }
        if None in found.values():
            return  # the tables of this job are still to be made
        folder = artifacts_of(self._registry, job.name, version)
        for ending, content in found.items():
            self._registry.put(f"{folder}/card.{ending}", content or b"")
            self._store.write(f"{model_folder(job.name, version)}/card.{ending}", content or b"")
        self._done.append(job.job_id)
        write_json(self._memory, self._done)
        say("model card put", model=job.name, version=version)
