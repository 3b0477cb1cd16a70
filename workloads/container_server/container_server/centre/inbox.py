"""Jobs from outside: `server/inbox/<name>.zip`, a job folder, is unpacked and submitted with its defaults.

The answer lies beside it: `inbox/<name>.json`, with the job's id or the reason why it was refused. Only
identities with a role on the container `server` can write there.
"""

import io
import json
import re
import zipfile
from pathlib import PurePosixPath

from container_server.centre.jobs import JobRefusedError, Jobs
from container_server.errors import RefusedInputError
from container_server.foreign import ForeignFolder
from container_server.log import say
from container_server.nvflare_cli import NvflareError
from container_server.storage import Blob, BlobStore, BlobTooLargeError

PREFIX = "inbox/"
ARCHIVE_LIMIT = 10 * 1024 * 1024
MOST_FILES = 200
DEEPEST = 10
_BLOB = re.compile(r"inbox/([a-z](?:[a-z0-9-]{0,38}[a-z0-9])?)\.zip")
_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")


class ArchiveRefusedError(RefusedInputError):
    """A job archive that is not unpacked."""


class Inbox:
    """Looks into the inbox. Job folders go to `inbox/` of the server's volume."""

    def __init__(self, store: BlobStore, jobs: Jobs):
        self._store = store
        self._jobs = jobs

    def step(self) -> None:
        """Take what has arrived. Raises TransientError when storage or server cannot be reached."""
        for entry in self._store.list(PREFIX):
            if match := _BLOB.fullmatch(entry.name):
                self._take(entry.name, match[1])

    def _take(self, blob: str, name: str) -> None:
        try:
            found = self._store.read(blob, limit=ARCHIVE_LIMIT)
            if not isinstance(found, Blob):
                return
            unpack(found.content, self._jobs.shared, f"inbox/{name}")
            answer = {"job_id": self._jobs.submit(name)}
        except (RefusedInputError, BlobTooLargeError, JobRefusedError, NvflareError) as error:
            answer = {"error": str(error)}
        say("inbox", job=name, **answer)
        self._store.write(f"{PREFIX}{name}.json", (json.dumps(answer) + "\n").encode())
        self._store.delete(blob)


def unpack(archive: bytes, shared: ForeignFolder, folder: str) -> None:
    """Replace a `folder` of the server's volume by the archive's files.

    Raises ArchiveRefusedError, or ForeignFileError where somebody put a link in its way; then nothing is
    written outside the folder.

    Allowed: plain files and folders with plain names, at most MOST_FILES and ARCHIVE_LIMIT bytes unpacked.
    A single folder around everything is taken off.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            files = _files(opened)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise ArchiveRefusedError(f"not a readable archive: {error}") from error
    shared.remove(folder)
    for path, content in files.items():
        shared.write(f"{folder}/{path}", content)


def _files(archive: zipfile.ZipFile) -> dict[PurePosixPath, bytes]:
    entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    if len(entries) > MOST_FILES:
        raise ArchiveRefusedError(f"{len(entries)} files, at most {MOST_FILES} are taken")
    if sum(entry.file_size for entry in entries) > ARCHIVE_LIMIT:
        raise ArchiveRefusedError(f"more than {ARCHIVE_LIMIT} bytes unpacked")
    files = {}
    for entry in entries:
        path = PurePosixPath(entry.filename)
        plain = 0 < len(path.parts) <= DEEPEST and all(_FILE.fullmatch(part) for part in path.parts)
        if path.is_absolute() or not plain or path in files:
            raise ArchiveRefusedError(f"the name {entry.filename[:100]!r} is not taken")
        if entry.external_attr >> 28 == 0xA:
            raise ArchiveRefusedError(f"{entry.filename[:100]!r} is a link")
        files[path] = archive.read(entry)
    if clash := next((path for path in files for parent in path.parents if parent in files), None):
        raise ArchiveRefusedError(f"{str(clash)[:100]!r} lies below a file")
    return _without_outer_folder(files)


def _without_outer_folder(files: dict[PurePosixPath, bytes]) -> dict[PurePosixPath, bytes]:
    outer = {path.parts[0] for path in files}
    if len(outer) == 1 and all(len(path.parts) > 1 for path in files):
        files = {PurePosixPath(*path.parts[1:]): content for path, content in files.items()}
    if PurePosixPath("job.yaml") not in files:
        raise ArchiveRefusedError("there is no job.yaml: see docs/jobs.md")
    return files
