"""Jobs as they were built, until NVFlare gets them: copied out of reach of the code that built them."""

import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, final

from fed_site import job_code
from fed_site.job_code import UnreadableJobError
from fed_site.manifest import FILE as MANIFEST

from container_server.errors import ContainerServerError, RefusedInputError
from container_server.files import empty, write_bytes, write_json
from container_server.foreign import ForeignFolder
from container_server.messages import checked

SERVER_APP, HOSPITAL_APP = "app_server", "app_hospital"
"""As fed_server/parts.py names the two halves of a job."""
_META = "meta.json"


class BuiltJobRefusedError(ContainerServerError):
    """A job that is not taken as it was built."""


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

    def __init__(self, folder: Path, shared: ForeignFolder):
        self._folder = folder
        self._shared = shared

    def take_over(self, outbox: str, name: str, job_id: str) -> BuiltJob:
        """Copy the plain files of a job that was built. Raises ForeignFileError or BuiltJobRefusedError."""
        own = self._folder / job_id
        for file in self._shared.files(f"{outbox}/{name}"):
            content = self._shared.read(file)
            if content is not None:
                write_bytes(own / PurePosixPath(file).relative_to(outbox), content)
        if not (own / name / _META).is_file():
            raise BuiltJobRefusedError(f"{name}: the server's container built no job folder")
        try:
            archive = self.archive(job_id)
            manifest = json.loads(job_code.files(archive)[MANIFEST])
            return BuiltJob(code=job_code.checksum(archive), manifest=checked("manifest", manifest))
        except (UnreadableJobError, RefusedInputError, KeyError, ValueError) as error:
            raise BuiltJobRefusedError(f"{name} cannot be put before hospitals: {error}") from error

    def archive(self, job_id: str) -> bytes:
        """What hospitals get of a job."""
        self._meta(job_id)
        folder = self.folder(job_id) / HOSPITAL_APP
        written = io.BytesIO()
        with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(path for path in folder.rglob("*") if path.is_file()):
                archive.write(path, path.relative_to(folder).as_posix())
        return written.getvalue()

    def for_hospitals(self, job_id: str, hospitals: list[str]) -> Path:
        """The folder of a job that is to run as `job_id` at these hospitals alone."""
        deployed = {SERVER_APP: ["server"], HOSPITAL_APP: hospitals}
        limited = {**self._meta(job_id), "job_id": job_id, "deploy_map": deployed}
        write_json(self.folder(job_id) / _META, limited)
        return self.folder(job_id)

    def folder(self, job_id: str) -> Path:
        """The folder that NVFlare takes, named after the job."""
        (folder,) = (self._folder / job_id).iterdir()
        return folder

    def drop(self, job_id: str) -> None:
        """Forget a job that was sent, or never will be."""
        if (self._folder / job_id).is_dir():
            empty(self._folder / job_id)
            (self._folder / job_id).rmdir()

    def _meta(self, job_id: str) -> dict[str, Any]:
        meta = json.loads((self.folder(job_id) / _META).read_text())
        if not isinstance(meta, dict) or set(meta.get("deploy_map") or ()) != {SERVER_APP, HOSPITAL_APP}:
            raise BuiltJobRefusedError(
                f"{self.folder(job_id).name}: it is not of one server's part and one for hospitals"
            )
        return meta
