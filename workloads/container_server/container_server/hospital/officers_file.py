"""A file that the hospital's officers keep in their container `policy`, which this VM may only read.

That there was one is remembered on the VM's own disk: a file that is gone is no word for the defaults, which
allow more. Else whoever can delete a blob could switch off a hospital's noise.
"""

from pathlib import Path
from typing import Any, Literal, final

from container_server.files import write_bytes
from container_server.messages import InvalidMessageError, decode
from container_server.storage import Blob, BlobStore, BlobTooLargeError, Unread


class PolicyError(Exception):
    """A file that is wrong or gone; the text completes "nothing leaves until "."""


@final
class OfficersFile:
    """One file, by its name; `kind` is its schema."""

    def __init__(self, store: BlobStore, name: str, kind: Literal["jobs", "airlock", "images"], memory: Path):
        self._store = store
        self._name = name
        self._kind = kind
        self._was_set = memory / f"was-set-{name}"
        self._etag: str | None = None
        """Of the content that was read and right; what is wrong is read again at each look."""

    def read(self) -> dict[str, Any] | Unread:
        """The content where it is new; ABSENT where there never was one.

        Raises PolicyError, TransientError.
        """
        try:
            found = self._store.read(self._name, self._etag)
        except BlobTooLargeError as error:
            self._remember()
            raise PolicyError(f"policy/{self._name} is right: {error}") from error
        if isinstance(found, Blob):
            return self._content(found)
        if found is Unread.ABSENT:
            self._etag = None
            if self._was_set.exists():
                raise PolicyError(
                    f"policy/{self._name} is back: this hospital had set one, and it is gone."
                    " Fix: upload it again, or one that says what is to hold now"
                )
        return found

    def _content(self, blob: Blob) -> dict[str, Any]:
        self._etag = None
        self._remember()
        try:
            content = decode(self._kind, blob.content)
        except InvalidMessageError as error:
            raise PolicyError(f"policy/{self._name} is right: {error}") from error
        self._etag = blob.etag
        return content

    def _remember(self) -> None:
        if not self._was_set.exists():
            write_bytes(self._was_set, b"")
