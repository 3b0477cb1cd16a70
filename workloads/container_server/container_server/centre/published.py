"""Lays registered models where researchers may read them: the container `results` of the centre's account.

`models.json` says which versions there are and which one people use (`fed/register/1`);
`models/<name>/<version>/` has a version's files as MLflow loads them, its model card among them once there is
one. Whoever is in the group of the centre's door reads both, on Azure too, where nobody reaches MLflow.
"""

import json
import threading
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import Final, final

from container_server import answers
from container_server.centre.jobs import Job, Jobs
from container_server.errors import ContainerServerError, TransientError
from container_server.files import read_json, write_json
from container_server.log import say
from container_server.storage import BlobStore

REGISTER: Final = "models.json"
SCHEMA: Final = "fed/register/1"
_PARTS: Final = ("results/global", "results/mlflow")
"""Of what a job left; of a name in both, the second counts, as in MLflow."""
CARDS: Final = ("card.md", "card.html")
"""Files of a version that no job leaves: they say what others measured and approved (cards.py)."""


def folder_of(name: str, version: str) -> str:
    """Where the files of a version are, in `results`."""
    return f"models/{name}/{version}"


@final
class Published:
    """`registered` says which versions there are, `changed` that a person promoted or retired one; `memory`
    remembers the jobs whose models are laid out.
    """

    def __init__(
        self,
        store: BlobStore,
        jobs: Jobs,
        registered: Callable[[], list[answers.ModelVersion]],
        changed: threading.Event,
        memory: Path,
    ):
        self._store = store
        self._jobs = jobs
        self._registered = registered
        self._memory = memory
        self._done: list[str] = read_json(memory) or []
        self._changed = changed
        self._changed.set()

    def step(self) -> None:
        """Lay out what is new, and write the register where something changed.

        Which version a job made is what MLflow has since it was registered: what a job says of itself is
        written by fl-server, which could put other files in the place of the version that people use.

        A job whose files cannot be read holds up no other: its error comes last. May raise
        StorageUnreachableError, StorageForbiddenError, TransientError, RefusedInputError, ForeignFileError.
        """
        new = {
            job.job_id: (job, version)
            for job in self._jobs.all()
            if (version := _version(job)) and job.job_id not in self._done
        }
        decided, before = self._changed.is_set(), len(self._done)
        if not new and not (self._done and decided):
            return
        self._changed.clear()  # before it is read: whoever says so meanwhile is heard at the next turn
        try:
            rows = self._registered()
            errors = self._lay_out_all(list(new.values()), rows)
            if self._done and (decided or len(self._done) > before):
                self._write_register(rows)
        except ContainerServerError:
            self._changed.set()
            raise
        if errors:
            raise errors[0]

    def _lay_out_all(
        self, new: Sequence[tuple[Job, str]], rows: Sequence[answers.ModelVersion]
    ) -> list[ContainerServerError]:
        """Lay out what MLflow has as these jobs' versions; what could not be read."""
        errors: list[ContainerServerError] = []
        made_by = {(row["name"], row["version"]): row.get("job_id") for row in rows}
        for job, version in new:
            try:
                if made_by.get((job.name, version)) == job.job_id:
                    self._lay_out(job, version)
                else:
                    say(
                        "model not published: not in MLflow as its own",
                        job=job.job_id,
                        version=version,
                    )
                    self._remember(job)
            except ContainerServerError as error:
                errors.append(error)
        return errors

    def _write_register(self, registered: Sequence[answers.ModelVersion]) -> None:
        names = {job.name for job in self._jobs.all()}
        rows = [row for row in registered if row["name"] in names]
        self._store.write(REGISTER, json.dumps({"schema": SCHEMA, "models": rows}).encode())

    def _lay_out(self, job: Job, version: str) -> None:
        folder = f"jobs/{job.job_id}/"
        files = {
            str(PurePosixPath(name).relative_to(f"{folder}{part}")): name
            for part in _PARTS
            for name in self._jobs.shared.files(f"{folder}{part}/")
            if name.removeprefix(f"{folder}{part}/") not in CARDS
        }
        for blob, name in files.items():
            content = self._jobs.shared.read(name)
            if content is None:
                raise TransientError(f"{name} went while it was laid out")
            self._store.write(f"{folder_of(job.name, version)}/{blob}", content)
        self._remember(job)
        say("model published", model=job.name, version=version, files=len(files))

    def _remember(self, job: Job) -> None:
        self._done.append(job.job_id)
        write_json(self._memory, self._done)


def _version(job: Job) -> str:
    """What a job that has finished says that it made; empty where it says none."""
    version = str(job.progress.get("model_version") or "")
    return version if job.state == "finished" and version.isdecimal() else ""
