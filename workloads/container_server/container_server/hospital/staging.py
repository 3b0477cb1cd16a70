"""Brings the hospital's data from its own storage to the client's volume, and only when its shape is right.

The client reads the copy; it has no way to storage. A file that is wrong never replaces a good copy; a file
that the hospital removes is removed here as well.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from container_server.files import read_json, write_bytes, write_json
from container_server.hospital.dataset_check import check
from container_server.log import say
from container_server.storage import Blob, BlobEntry, BlobStore, BlobTooLargeError

MOST_FILES = 20
FILE_LIMIT = 200 * 1024 * 1024
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,60}(?:\.[a-z0-9]{1,10}){1,2}")


Note = dict[str, Any]
"""What is remembered of a blob: etag, sha256, bytes, rows (of the good copy, or None), complaints, notes."""


@dataclass(frozen=True)
class StagedFile:
    """A file that is ready for the client; checksum and size are those of the copy that the client reads."""

    sha256: str
    bytes: int
    rows: int | None


class Staging:
    """Keeps the folder `data` the same as the hospital's container."""

    def __init__(self, store: BlobStore, data: Path, seen: Path, memory: Path):
        self._store = store
        self._data = data
        self._seen = seen
        """What the box of a job sees of the data (box_input.py)."""
        self._memory = memory
        """Private file that remembers which version of each blob was looked at."""
        self.faults: tuple[str, ...] = ()
        self.notes: tuple[str, ...] = ()
        """What a person should know of files that were taken."""
        self.files: dict[str, StagedFile] = {}

    @property
    def ready(self) -> bool:
        """Whether at least one good file is ready."""
        return bool(self.files)

    def refresh(self) -> None:
        """Look at the container and bring over what changed. Raises TransientError when it cannot be
        reached.
        """
        self._data.mkdir(parents=True, exist_ok=True)
        entries = self._store.list()
        remembered: dict[str, Note] = read_json(self._memory) or {}
        faults = _listing_faults(entries)
        seen: dict[str, Note] = {}
        for entry in entries[:MOST_FILES]:
            if _NAME.fullmatch(entry.name):
                seen[entry.name] = self._bring(entry, remembered.get(entry.name))
        for name in set(self._present()) - set(seen):
            (self._data / name).unlink()
            (self._seen / name).unlink(missing_ok=True)
            say("data file removed: the hospital removed it", file=name)
        write_json(self._memory, seen)
        self.files = {
            name: StagedFile(note["sha256"], note["bytes"], note["rows"])
            for name, note in seen.items()
            if note["sha256"]
        }
        found = faults + [complaint for note in seen.values() for complaint in note["complaints"]]
        if not entries:
            found = ["the hospital's container `data` is empty: nothing to train on has been uploaded"]
        self.faults = tuple(found)
        self.notes = tuple(text for note in seen.values() for text in note.get("notes", ()))

    def _present(self) -> list[str]:
        return [
            path.name for path in self._data.iterdir() if path.is_file() and not path.name.endswith(".new")
        ]

    def _bring(self, entry: BlobEntry, known: Note | None) -> Note:
        here = self._data / entry.name
        if known and known["etag"] == entry.etag and (here.is_file() or not known["sha256"]):
            return known
        good = known if known and here.is_file() else None
        kept = {key: good[key] if good else None for key in ("sha256", "bytes", "rows")}
        try:
            blob = self._store.read(entry.name, limit=FILE_LIMIT)
        except BlobTooLargeError as error:
            return {"etag": entry.etag, **kept, "complaints": [str(error)]}
        if not isinstance(blob, Blob):  # removed since it was listed
            return {"etag": "", **kept, "complaints": []}
        checked = check(entry.name, blob.content)
        if checked.complaints:
            say("data file refused", file=entry.name, complaints=checked.complaints)
            return {"etag": blob.etag, **kept, "complaints": checked.complaints}
        write_bytes(here, checked.content)
        digest = hashlib.sha256(checked.content).hexdigest()
        say("data file staged", file=entry.name, rows=checked.rows, sha256=digest, notes=checked.notes)
        return {
            "etag": blob.etag,
            "sha256": digest,
            "bytes": len(checked.content),
            "rows": checked.rows,
            "complaints": [],
            "notes": checked.notes,
        }


def _listing_faults(entries: list[BlobEntry]) -> list[str]:
    faults = []
    if unusable := sum(not _NAME.fullmatch(entry.name) for entry in entries):
        faults.append(
            f"{unusable} file name(s) in `data` not usable: lower case, digits, '-', '_', an ending"
        )
    if len(entries) > MOST_FILES:
        faults.append(f"the container `data` holds {len(entries)} files, at most {MOST_FILES} are staged")
    return faults
