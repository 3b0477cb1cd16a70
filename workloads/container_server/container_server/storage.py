"""One blob container, as narrow as this service needs it. Azure's client is in azure_storage.py."""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import IO, Protocol

from container_server.errors import RefusedInputError, TransientError

MESSAGE_LIMIT = 256 * 1024
"""Bytes: larger than any message, kit or answer of this service."""


class StorageUnreachableError(TransientError):
    """The account could not be reached, or answered with a server error."""


class StorageForbiddenError(TransientError):
    """The account said 403: the role assignment is missing or has not spread yet (minutes, on Azure)."""


class BlobTooLargeError(RefusedInputError):
    """A blob is larger than what is expected of it; it was not read."""


@dataclass(frozen=True)
class Blob:
    """A blob's content and version."""

    content: bytes
    etag: str


@dataclass(frozen=True)
class BlobEntry:
    """A blob in a listing; `size` in bytes."""

    name: str
    etag: str
    size: int


class Unread(Enum):
    """Why there is no content."""

    ABSENT = "absent"
    UNCHANGED = "unchanged"


class BlobStore(Protocol):
    """One container. Every method may raise StorageUnreachableError or StorageForbiddenError."""

    def read(self, name: str, known_etag: str | None = None, limit: int = MESSAGE_LIMIT) -> Blob | Unread:
        """The blob; UNCHANGED when it still has `known_etag`. Raises BlobTooLargeError above `limit`."""

    def download(self, name: str, target: Path, limit: int) -> str | Unread:
        """Write the blob into a file, in pieces; its ETag. Raises BlobTooLargeError above `limit`."""

    def write(self, name: str, content: bytes) -> None:
        """Create or replace a blob."""

    def upload(self, name: str, source: IO[bytes]) -> None:
        """Create or replace a blob of any size."""

    def beginning(self, name: str, length: int) -> bytes | None:
        """A blob's first bytes; None where there is none."""

    def delete(self, name: str) -> None:
        """Delete a blob; nothing happens where there is none."""

    def list(self, prefix: str = "") -> list[BlobEntry]:
        """Blobs whose names begin with `prefix`."""
