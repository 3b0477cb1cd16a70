"""Jobs as they were composed, until NVFlare gets them."""

import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from fed_site import job_code
from fed_site.job_code import UnreadableJobError
from fed_site.manifest import FILE as MANIFEST

from container_server.centre.composed import HOSPITAL_APP, META, SERVER_APP, Composed
from container_server.centre.job_folder import JobRefusedError
from container_server.errors import RefusedInputError
from container_server.files import empty, write_bytes, write_json
from container_server.messages import checked

_NVFLARE, _SERVER = "nvflare", "server"
"""In a job's folder: what NVFlare takes, and what goes into the server's volume."""


@final
@dataclass(frozen=True, kw_only=True)
class BuiltJob:
    """What hospitals are asked with."""

    code: str
    """The checksum that they approve."""
    manifest: dict[str, Any]


@final
class BuiltJobs:
    """A folder for each job that has not been sent yet."""

    def __init__(self, folder: Path):
        self._folder = folder

    def keep(self, name: str, job_id: str, composed: Composed) -> BuiltJob:
        """Write a job down. Raises JobRefusedError for one that no hospital would take."""
        own = self._folder / job_id
        for path, content in composed.nvflare.items():
            write_bytes(own / _NVFLARE / name / path, content)
        for path, content in composed.server.items():
            write_bytes(own / _SERVER / path, content)
        try:
            archive = self.archive(job_id)
            manifest = json.loads(job_code.files(archive)[MANIFEST])
            return BuiltJob(code=job_code.checksum(archive), manifest=checked("manifest", manifest))
        except (UnreadableJobError, RefusedInputError, KeyError, ValueError) as error:
            raise JobRefusedError(f"{name} cannot be put before hospitals: {error}") from error

    def archive(self, job_id: str) -> bytes:
        """What hospitals get of a job."""
        folder = self.folder(job_id) / HOSPITAL_APP
        written = io.BytesIO()
        with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(path for path in folder.rglob("*") if path.is_file()):
                archive.write(path, path.relative_to(folder).as_posix())
        return written.getvalue()

    def for_server(self, job_id: str) -> Iterator[tuple[str, bytes]]:
        """What goes into a job's folder of the server's volume: path and content."""
        folder = self._folder / job_id / _SERVER
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            yield path.relative_to(folder).as_posix(), path.read_bytes()

    def for_hospitals(self, job_id: str, hospitals: list[str]) -> Path:
        """The folder of a job that is to run as `job_id` at these hospitals alone."""
        folder = self.folder(job_id)
        meta = json.loads((folder / META).read_text())
        deployed = {SERVER_APP: ["server"], HOSPITAL_APP: hospitals}
        write_json(folder / META, {**meta, "job_id": job_id, "deploy_map": deployed})
        return folder

    def folder(self, job_id: str) -> Path:
        """The folder that NVFlare takes, named after the job."""
        (folder,) = (self._folder / job_id / _NVFLARE).iterdir()
        return folder

    def drop(self, job_id: str) -> None:
        """Forget a job that was sent, or never will be."""
        if (self._folder / job_id).is_dir():
            empty(self._folder / job_id)
            (self._folder / job_id).rmdir()
