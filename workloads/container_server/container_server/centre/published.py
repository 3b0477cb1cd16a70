"""Lays registered models where researchers may read them: the container `results` of the centre's account.

`models.json` says which versions there are and which one people use (`fed/register/1`);
`models/<name>/<version>/` has a version's files as MLflow loads them, its model card among them once there is
one. Whoever is in the group of the centre's door reads both, on Azure too, where nobody reaches MLflow.
"""

import json
import threading
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Final, final

from container_server.answers import REGISTER, REGISTER_SCHEMA, ModelVersion, model_folder
from container_server.centre.jobs import Job, Jobs
from container_server.errors import ContainerServerError
from container_server.files import read_json, write_json
from container_server.log import say
from container_server.storage import BlobStore

_PARTS: Final = ("results/global", "results/mlflow")
"""Of what a job left; of a name in both, the second counts, as in MLflow."""


@final
class Published:
    """`registered` says which versions there are, `changed` that a person promoted or retired one; `memory`
    remembers the jobs whose models are laid out.
    """

    def __init__(
        self,
        store: BlobStore,
        jobs: Jobs,
        registered: Callable[[], list[ModelVersion]],
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

        A job whose files cannot be read holds up no other: its error comes last. May raise
        StorageUnreachableError, StorageForbiddenError, TransientError, RefusedInputError, ForeignFileError.
        """
        errors: list[ContainerServerError] = []
        for job in self._jobs.all():
            version = str(job.progress.get("model_version") or "")
            if job.state == "finished" and version.isdecimal() and job.job_id not in self._done:
                try:
                    self._lay_out(job, version)
                except ContainerServerError as error:
                    errors.append(error)
        if self._done and self._changed.is_set():
            self._changed.clear()  # before it is read: whoever says so meanwhile is heard at the next turn
            try:
                self._write_register()
            except ContainerServerError:
                self._changed.set()
                raise
        if errors:
            raise errors[0]

    def _write_register(self) -> None:
        names = {job.name for job in self._jobs.all()}
        rows = [row for row in self._registered() if row["name"] in names]
        self._store.write(REGISTER, json.dumps({"schema": REGISTER_SCHEMA, "models": rows}).encode())

    def _lay_out(self, job: Job, version: str) -> None:
        folder = f"jobs/{job.job_id}/"
        files = {
            str(PurePosixPath(name).relative_to(f"{folder}{part}")): name
            for part in _PARTS
            for name in self._jobs.shared.files(f"{folder}{part}/")
        }
        for blob, name in files.items():
            self._store.write(
                f"{model_folder(job.name, version)}/{blob}", self._jobs.shared.read(name) or b""
            )
        self._done.append(job.job_id)
        write_json(self._memory, self._done)
        self._changed.set()
        say("model published", model=job.name, version=version, files=len(files))
