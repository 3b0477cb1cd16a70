"""Brings the hospital's data from its own storage to the client's volume, and only when its shape is right.

The client reads the copy; it has no way to storage. A file that is wrong never replaces a good copy; a file
that the hospital removes is removed here as well. Files may be larger than memory: they go through in pieces.
What the check finds of patients goes to the hospital's record; the centre learns that it found something.
"""

import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from fed_data.catalogue import Catalogue, rows_of_any
from fed_data.check import Checked, check
from fed_data.schema import DataSet

from container_server.files import read_json, write_json
from container_server.hospital.box_input import UNFINISHED
from container_server.log import say
from container_server.model_package import SCORE
from container_server.storage import BlobEntry, BlobStore, BlobTooLargeError, Unread

MOST_FILES = 20
COPIES = 2
"""A file and what is made of it are on the disk at once, next to the copy of before."""
COARSE = 10
"""Rows to which the number of a file's is rounded where the centre sees it (docs/adr/0089)."""
SPARE_DISK = 1 << 30
"""Bytes that data leave free for logs and jobs."""
_WHY = "the hospital's record says why"
_NO_SCHEMA = (
    "was checked by a schema that is gone or wrong, so no other version is taken. Fix: put the schema back,"
    " or give the file another name"
)
"""Unchecked it would have another form, in which statistics that left before would be answered once more."""
_RECORDED = ("file", "sha256", "rows", "complaints", "found", "notes")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,60}(?:\.[a-z0-9]{1,10}){1,2}")


Note = dict[str, Any]
"""What is remembered of a blob: `etag`; `schema` that it was compared with; `file` in the client's folder
(none where it is not used); of the good copy, where there is one, `sha256`, `rows`; `complaints`, which
everybody may know; `found`, for which the check refuses it, and `notes`, which stay at the hospital.
"""
_COPY = ("sha256", "rows")


@dataclass(frozen=True)
class StagedFile:
    """A file that is ready for the client; the checksum is that of the copy that the client reads."""

    sha256: str
    rows: int | None

    def for_the_centre(self) -> dict[str, Any]:
        """The rows rounded up to the next COARSE, so that one patient does not show."""
        rows = None if self.rows is None else max(1, -(-self.rows // COARSE)) * COARSE
        return {"sha256": self.sha256, "rows": rows}


@final
class Staging:
    """Keeps the folder `data` the same as the hospital's container, in the form of the data sets' schemas."""

    def __init__(
        self,
        *,
        store: BlobStore,
        data: Path,
        seen: Path,
        memory: Path,
        catalogue: Callable[[], Catalogue],
        record: Callable[[str, Mapping[str, Any]], None],
    ):
        self._store = store
        self._data = data
        self._seen = seen
        """What the box of a job sees of the data (box_input.py)."""
        self._memory = memory
        """Private file that remembers which version of each blob was looked at."""
        self._incoming = memory.with_name("incoming")
        """Private place of what was not checked yet."""
        self._catalogue = catalogue
        self._record = record
        """Adds to the hospital's record (consent.py)."""
        self.faults: tuple[str, ...] = ()
        """Why data are not taken, as everybody may know it."""
        self.notes: tuple[str, ...] = ()
        """That there is something to know of files that were taken."""
        self.files: dict[str, StagedFile] = {}
        self.reading = ""
        """What is brought over at this moment."""

    @property
    def ready(self) -> bool:
        """Whether at least one good file is ready."""
        return bool(self.files)

    def refresh(self) -> None:
        """Look at the container and bring over what changed. Raises TransientError when it cannot be
        reached.
        """
        self._data.mkdir(parents=True, exist_ok=True)
        self._clear_unfinished()  # of a run that was killed: its file may have been removed since
        # Tables that a model is asked about are no data set (scoring.py).
        entries = [entry for entry in self._store.list() if not entry.name.startswith(SCORE)]
        catalogue = self._catalogue()
        remembered: dict[str, Note] = read_json(self._memory) or {}
        faults = _listing_faults(entries)
        seen: dict[str, Note] = {}
        for entry in entries[:MOST_FILES]:
            if _NAME.fullmatch(entry.name):
                known = remembered.get(entry.name)
                note = seen[entry.name] = self._look_at(entry, known, seen, catalogue)
                if note != known:
                    self._record("data", {"name": entry.name, **{key: note[key] for key in _RECORDED}})
        for name in set(self._present()) - {note["file"] for note in seen.values()}:
            (self._data / name).unlink()
            (self._seen / name).unlink(missing_ok=True)
            say("data file removed: the hospital removed it", file=name)
        write_json(self._memory, seen)
        self.files = {
            note["file"]: StagedFile(note["sha256"], note["rows"]) for note in seen.values() if note["sha256"]
        }
        found = faults + [fault for name, note in seen.items() for fault in self._faults_of(name, note)]
        if not entries:
            found = ["the hospital's container `data` is empty: nothing to train on has been uploaded"]
        self.faults = tuple(found)
        noted = (name for name, note in seen.items() if note["notes"])
        self.notes = tuple(f"{name} is taken with remarks: {_WHY}" for name in noted)

    def _clear_unfinished(self) -> None:
        self._incoming.unlink(missing_ok=True)
        for path in self._data.glob(f"*{UNFINISHED}"):
            path.unlink()

    def _present(self) -> list[str]:
        return [
            path.name
            for path in self._data.iterdir()
            if path.is_file() and not path.name.endswith(UNFINISHED)
        ]

    def _look_at(
        self, entry: BlobEntry, known: Note | None, seen: dict[str, Note], catalogue: Catalogue
    ) -> Note:
        data_set = catalogue.of(entry.name)
        if data_set is None and known and known.get("schema"):
            return {**known, "complaints": [f"{entry.name}: {_NO_SCHEMA}"]}
        file = data_set.file if data_set else entry.name
        other = [name for name, note in seen.items() if note["file"] == file]
        if other:
            said = f"{entry.name}: of the same data set as {other[0]}. Fix: remove one of them"
            return _note("", data_set, "", complaints=[said])
        here = self._data / file
        if known and _is_current(known, entry, data_set) and (here.is_file() or not known["sha256"]):
            return known
        good = known if known and known.get("file", entry.name) == file and here.is_file() else {}
        kept = {key: good[key] for key in _COPY if key in good}
        self.reading = f"{entry.name} ({entry.size / 1e6:.0f} MB) is being read"
        try:
            return self._bring(entry, file, data_set, kept, catalogue)
        finally:
            self.reading = ""
            self._clear_unfinished()

    def _bring(
        self, entry: BlobEntry, file: str, data_set: DataSet | None, kept: Note, catalogue: Catalogue
    ) -> Note:
        try:
            etag = self._store.download(entry.name, self._incoming, self._room())
        except BlobTooLargeError as error:
            said = f"{entry.name}: the VM's disk has no room for it: {error}. Fix: a larger one (dataDiskGib)"
            return _note(entry.etag, data_set, file, complaints=[said], copy=kept)
        if isinstance(etag, Unread):  # removed since it was listed
            return _note("", data_set, file, copy=kept)
        new = self._data / f"{file}{UNFINISHED}"
        checked = self._check(entry.name, new, data_set, catalogue)
        if checked.complaints:
            say("data file refused", file=entry.name, complaints=checked.complaints)
            return _note(etag, data_set, file, found=checked.complaints, copy=kept)
        digest = _sha256(new)
        new.replace(self._data / file)
        say("data file staged", file=file, rows=checked.rows, sha256=digest, notes=checked.notes)
        copy = {"sha256": digest, "rows": checked.rows}
        return _note(etag, data_set, file, notes=checked.notes, copy=copy)

    def _check(self, name: str, new: Path, data_set: DataSet | None, catalogue: Catalogue) -> Checked:
        """Write what the client is to get of what came in, for now where no box can read it."""
        new.unlink(missing_ok=True)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as stream:
            if data_set is not None:
                checked = check(self._incoming, name, data_set, stream, self._incoming.parent)
            else:
                with self._incoming.open("rb") as source:
                    shutil.copyfileobj(source, stream.buffer)
                notes = (catalogue.stranger(name, self._incoming),)
                checked = Checked(rows=rows_of_any(name, self._incoming), notes=notes)
            stream.flush()
            os.fsync(stream.fileno())
        return checked

    def _faults_of(self, name: str, note: Note) -> list[str]:
        """What is wrong with a blob and, where it is not used, which version is."""
        complaints = list(note["complaints"])
        if note["found"]:
            complaints.append(f"{name} is refused: {_WHY}")
        if complaints and note["sha256"]:
            since = time.gmtime((self._data / note["file"]).stat().st_mtime)
            complaints.append(
                f"{name}: the version of {time.strftime('%Y-%m-%d %H:%M UTC', since)} stays in use "
                f"(SHA-256 {note['sha256'][:12]}...)"
            )
        return complaints

    def _room(self) -> int:
        """Bytes that a blob may have."""
        self._incoming.parent.mkdir(parents=True, exist_ok=True)
        return max(0, (shutil.disk_usage(self._incoming.parent).free - SPARE_DISK) // COPIES)


def _note(
    etag: str,
    data_set: DataSet | None,
    file: str,
    *,
    complaints: Sequence[str] = (),
    found: Sequence[str] = (),
    notes: tuple[str, ...] = (),
    copy: Note | None = None,
) -> Note:
    schema = data_set.sha256 if data_set else ""
    said = {"complaints": list(complaints), "found": list(found), "notes": list(notes)}
    return {"etag": etag, "schema": schema, "file": file, **dict.fromkeys(_COPY), **(copy or {}), **said}


def _is_current(known: Note, entry: BlobEntry, data_set: DataSet | None) -> bool:
    """Whether this version of a blob was compared with this version of its schema."""
    return known["etag"] == entry.etag and known.get("schema") == (data_set.sha256 if data_set else "")


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _listing_faults(entries: list[BlobEntry]) -> list[str]:
    faults = []
    if unusable := sum(not _NAME.fullmatch(entry.name) for entry in entries):
        faults.append(
            f"{unusable} file name(s) in `data` not usable: lower case, digits, '-', '_', an ending"
        )
    if len(entries) > MOST_FILES:
        faults.append(f"the container `data` holds {len(entries)} files, at most {MOST_FILES} are staged")
    return faults
