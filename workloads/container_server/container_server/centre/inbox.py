"""Jobs from outside: `<name>.zip` in the container `inbox` is unpacked and submitted with its defaults.

The answer is next to it: `<name>.json`, with the job's id or the reason why it was refused, and the
checksum of the archive that it answers: the answer to an earlier one may be there still. Researchers have
a role on that container, and none on `server`, where the centre's own state is.
"""

import hashlib
import io
import json
import re
import shutil
import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from container_server.cadence import Cadence
from container_server.centre.jobs import Jobs
from container_server.chore import Chore
from container_server.clock import Clock
from container_server.errors import ContainerServerError, RefusedInputError, TransientError
from container_server.files import empty, read_json, write_bytes, write_json
from container_server.log import say
from container_server.storage import Blob, BlobEntry, BlobStore

UPLOADER = "whoever uploaded it to the inbox"
"""Storage does not tell who wrote a blob."""
ARCHIVE_LIMIT = 10 * 1024 * 1024
MOST_FILES = 200
DEEPEST = 10
MOST_WAITING = 20
"""Jobs of the inbox that wait for hospitals at once: those are asked for 50 at a time, the oldest first."""
MOST_KEPT = 200
"""Names of jobs that came through the inbox: their folders are on the centre's disk."""
_BLOB = re.compile(r"([a-z](?:[a-z0-9-]{0,38}[a-z0-9])?)\.zip")
_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")


class ArchiveRefusedError(RefusedInputError):
    """A job archive that is not unpacked."""


class Inbox:
    """Looks into the inbox. Job folders go to the catalogue's.

    `memory` is the file that remembers answers not delivered yet: a job is submitted once, though its blob
    cannot be deleted (somebody holds a lease on it) or this service is killed meanwhile.
    """

    def __init__(self, store: BlobStore, jobs: Jobs, clock: Clock, memory: Path):
        self._store = store
        self._jobs = jobs
        self._clock = clock
        self._memory = memory
        self._answered: dict[str, dict[str, Any]] = read_json(memory) or {}
        self._chores: dict[str, Chore] = {}

    @property
    def chores(self) -> Iterable[Chore]:
        """One for each archive that is being taken."""
        return self._chores.values()

    def step(self) -> None:
        """Take what has arrived, each archive alone. Raises TransientError when storage cannot be reached."""
        arrived = [entry for entry in self._store.list("") if _BLOB.fullmatch(entry.name)]
        self._chores = {entry.name: self._chore(entry) for entry in arrived}
        for chore in self._chores.values():
            chore.run()

    def _chore(self, entry: BlobEntry) -> Chore:
        chore = self._chores.get(entry.name) or Chore(
            "inbox", Cadence(self._clock, interval=0.0), lambda: None, entry.name
        )
        chore.action = lambda: self._take(entry)
        return chore

    def _take(self, entry: BlobEntry) -> None:
        name = entry.name.removesuffix(".zip")
        answered = self._answered.get(entry.name)
        if not answered or answered["etag"] != entry.etag:
            answered = {"etag": entry.etag, "answer": self._submit(entry.name, name)}
            self._remember({**self._answered, entry.name: answered})
            say("inbox", job=name, **answered["answer"])
        self._store.write(f"{name}.json", (json.dumps(answered["answer"]) + "\n").encode())
        self._store.delete(entry.name)
        self._remember({blob: one for blob, one in self._answered.items() if blob != entry.name})

    def _submit(self, blob: str, name: str) -> dict[str, str]:
        try:
            found = self._store.read(blob, limit=ARCHIVE_LIMIT)
        except ContainerServerError as error:
            if isinstance(error, TransientError):
                raise
            return {"error": str(error)}
        if not isinstance(found, Blob):
            return {"error": "it was taken away before it was read"}
        archive = hashlib.sha256(found.content).hexdigest()
        return {"archive": archive, **self._answer(found, name)}

    def _answer(self, found: Blob, name: str) -> dict[str, str]:
        folder = self._jobs.catalogue.inbox / name
        is_new = not folder.exists()
        try:
            if self._jobs.catalogue.is_platforms(name):
                raise ArchiveRefusedError(
                    f"the platform has a job {name}, and would run that. Fix: give yours another name"
                )
            self._check_room(name)
            unpack(found.content, folder)
            return {"job_id": self._jobs.submit(name, author=UPLOADER)}
        except Exception as error:  # whatever this archive provokes is its own answer
            if is_new:  # what was refused takes no other's place
                shutil.rmtree(folder, ignore_errors=True)
            if isinstance(error, TransientError):
                raise
            known = isinstance(error, ContainerServerError)
            return {"error": str(error) if known else f"{type(error).__name__}: {str(error)[:300]}"}

    def _check_room(self, name: str) -> None:
        """Researchers fill neither the hospitals' lists nor the disk. Raises ArchiveRefusedError."""
        waiting = [job for job in self._jobs.all() if job.state == "waiting"]
        if sum(job.submission.get("author") == UPLOADER for job in waiting) >= MOST_WAITING:
            raise ArchiveRefusedError(
                f"{MOST_WAITING} jobs of the inbox wait for hospitals already. Fix: ./fed jobs abort ID"
            )
        kept = {path.name for path in self._jobs.catalogue.inbox.glob("*")}
        if name not in kept and len(kept) >= MOST_KEPT:
            raise ArchiveRefusedError(f"there are {MOST_KEPT} jobs of the inbox. Fix: use one of their names")

    def _remember(self, answered: dict[str, dict[str, Any]]) -> None:
        self._answered = answered
        write_json(self._memory, answered)


def unpack(archive: bytes, folder: Path) -> None:
    """Replace a `folder` by the archive's files. Raises ArchiveRefusedError.

    Allowed: plain files and folders with plain names, at most MOST_FILES and ARCHIVE_LIMIT bytes unpacked.
    A single folder around everything is taken off, and what macOS adds is left out.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            files = _files(opened)
    except ArchiveRefusedError:
        raise
    except Exception as error:  # each way of packing raises its own (zlib.error, LZMAError, ...)
        raise ArchiveRefusedError(f"not a readable archive: {type(error).__name__}: {error}") from error
    empty(folder)
    for path, content in files.items():
        write_bytes(folder / path, content)


def _files(archive: zipfile.ZipFile) -> dict[PurePosixPath, bytes]:
    entries = [entry for entry in archive.infolist() if not entry.is_dir() and not _of_macos(entry.filename)]
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
        raise ArchiveRefusedError(f"{str(clash)[:100]!r} is below a file")
    return _without_outer_folder(files)


def _of_macos(name: str) -> bool:
    """What macOS adds to an archive that it makes: how the files looked in a window there."""
    path = PurePosixPath(name)
    return "__MACOSX" in path.parts[:1] or path.name == ".DS_Store" or path.name.startswith("._")


def _without_outer_folder(files: dict[PurePosixPath, bytes]) -> dict[PurePosixPath, bytes]:
    outer = {path.parts[0] for path in files}
    if len(outer) == 1 and all(len(path.parts) > 1 for path in files):
        files = {PurePosixPath(*path.parts[1:]): content for path, content in files.items()}
    if PurePosixPath("job.yaml") not in files:
        raise ArchiveRefusedError("there is no job.yaml: see docs/jobs.md")
    return files
