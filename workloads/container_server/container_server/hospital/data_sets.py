"""The data sets that a hospital knows: those of the release, and those whose schemas its officers have put
into their container `policy`, below `datasets/`. To put one there is to approve it (docs/adr/0097).
"""

from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import Any, Final, final

from fed_data import schema
from fed_data.catalogue import Catalogue
from fed_data.schema import DataSet, SchemaError

from container_server.log import say
from container_server.storage import Blob, BlobEntry, BlobStore, BlobTooLargeError

FOLDER: Final = "datasets/"
MOST: Final = 20


@final
class DataSets:
    """Looks at the officers' schemas. One that is wrong adds nothing, and is named."""

    def __init__(self, policy: BlobStore, note: Callable[[str, Mapping[str, Any]], None]):
        self._policy = policy
        self._note = note
        self._released = Catalogue.released()
        self._read: dict[str, tuple[str, DataSet | None, str]] = {}
        """Blob -> its ETag, what is in it, what is wrong with it."""
        self._count = 0
        self.known: Catalogue | None = None
        """None until the officers' container was looked at: a file would seem to be of no data set."""

    @property
    def fault(self) -> str:
        """What is wrong with the officers' files."""
        said = [f"policy/{name}: {wrong}" for name, (_, _, wrong) in self._read.items() if wrong]
        if self._count > MOST:
            said.append(f"policy/{FOLDER} holds {self._count} files, and the first {MOST} are read")
        return "; ".join(said)

    def step(self) -> bool:
        """Look; whether anything changed. May raise TransientError."""
        entries = self._policy.list(FOLDER)
        self._count = len(entries)
        read = {entry.name: self._look_at(entry) for entry in entries[:MOST]}
        changed = self.known is None or read != self._read
        if changed:
            self._read = read
            own = [data_set for _, data_set, _ in read.values() if data_set]
            self.known = Catalogue([*self._released, *own])
        return changed

    def _look_at(self, entry: BlobEntry) -> tuple[str, DataSet | None, str]:
        if (known := self._read.get(entry.name)) and known[0] == entry.etag:
            return known
        try:
            found = self._policy.read(entry.name, limit=schema.LARGEST)
            data_set = self._checked(entry.name, found.content) if isinstance(found, Blob) else None
        except (SchemaError, BlobTooLargeError) as error:
            return entry.etag, None, str(error)
        if data_set:
            said = {"name": data_set.name, "version": data_set.version, "sha256": data_set.sha256}
            self._note("dataset", said)
            say("data set approved", **said)
        return entry.etag, data_set, ""

    def _checked(self, blob: str, content: bytes) -> DataSet:
        data_set = schema.read(content)
        if PurePosixPath(blob).name != f"{data_set.name}.json":
            raise SchemaError(f"it is of the data set {data_set.name}. Fix: {FOLDER}{data_set.name}.json")
        if self._released.named(data_set.name):
            raise SchemaError(f"the release has a data set {data_set.name}. Fix: give yours another name")
        return data_set
