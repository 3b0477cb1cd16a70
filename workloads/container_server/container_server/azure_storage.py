"""BlobStore on Azure, signed in by the VM's managed identity: no key, no connection string."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from azure.core import MatchConditions
from azure.core.credentials import TokenCredential
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ResourceNotFoundError,
)
from azure.core.pipeline.transport import RequestsTransport
from azure.storage.blob import ContainerClient

from container_server.storage import (
    MESSAGE_LIMIT,
    Blob,
    BlobEntry,
    BlobTooLargeError,
    StorageForbiddenError,
    StorageUnreachableError,
    Unread,
)

TIMEOUT_SECONDS = 20
BLOCK = 4 * 1024 * 1024
"""Bytes of one request: what is larger goes in several, so that none takes longer than the time-out."""
_NETWORK = "AuthorizationFailure"
_LEASED = "LeaseIdMissing"
"""What Azure answers to a write without the lease
(https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes)."""


def open_account(url: str, credential: TokenCredential) -> Callable[[str], "AzureContainer"]:
    """A function from container name to container of one account.

    The SDK's own retries are off: this service has its own, slower and visible in its report.
    """

    def open_container(name: str) -> AzureContainer:
        line = RequestsTransport(connection_timeout=TIMEOUT_SECONDS, read_timeout=TIMEOUT_SECONDS)
        client = ContainerClient(
            url,
            name,
            credential=credential,
            retry_total=0,
            transport=line,
            max_single_put_size=BLOCK,
            max_single_get_size=BLOCK,
        )
        return AzureContainer(client, f"{url}/{name}", line)

    return open_container


class AzureContainer:
    """One container of an account; implements BlobStore."""

    def __init__(self, client: ContainerClient, address: str, line: RequestsTransport):
        self._client = client
        self._address = address
        self._line = line

    def read(self, name: str, known_etag: str | None = None, limit: int = MESSAGE_LIMIT) -> Blob | Unread:
        """See BlobStore."""
        try:
            with self._errors(name):
                # Not etag=None: the client takes the two only together, and hands a lone one to the
                # transport.
                unless: dict[str, Any] = {"etag": known_etag, "match_condition": MatchConditions.IfModified}
                stream = self._client.download_blob(name, **(unless if known_etag else {}))
                self._bound(name, stream.size, limit)
                return Blob(stream.readall(), str(stream.properties.etag))
        except ResourceNotFoundError:
            return Unread.ABSENT
        except _NotModified:
            return Unread.UNCHANGED

    def download(self, name: str, target: Path, limit: int) -> str | Unread:
        """See BlobStore."""
        try:
            with self._errors(name):
                stream = self._client.download_blob(name)
                self._bound(name, stream.size, limit)
                with target.open("wb") as file:
                    for piece in stream.chunks():  # each asks for the version that the first one had
                        file.write(piece)
                return str(stream.properties.etag)
        except ResourceNotFoundError:
            return Unread.ABSENT

    def _bound(self, name: str, size: int, limit: int) -> None:
        if size > limit:
            raise BlobTooLargeError(f"{self._address}/{name}: {size} bytes, at most {limit} expected")

    def write(self, name: str, content: bytes) -> None:
        """See BlobStore."""
        with self._errors(name):
            self._client.upload_blob(name, content, overwrite=True)

    def upload(self, name: str, source: IO[bytes]) -> None:
        """See BlobStore."""
        with self._errors(name):
            self._client.upload_blob(name, source, overwrite=True)

    def beginning(self, name: str, length: int) -> bytes | None:
        """See BlobStore."""
        try:
            with self._errors(name):
                return bytes(self._client.download_blob(name, offset=0, length=length).readall())
        except ResourceNotFoundError:
            return None

    def delete(self, name: str) -> None:
        """See BlobStore."""
        try:
            with self._errors(name):
                self._client.delete_blob(name)
        except ResourceNotFoundError:
            return

    def list(self, prefix: str = "") -> list[BlobEntry]:
        """See BlobStore."""
        with self._errors(prefix or "*"):
            found = self._client.list_blobs(name_starts_with=prefix)
            # A listing names an ETag without the quotation marks that it has everywhere else.
            return [BlobEntry(str(blob.name), f'"{blob.etag}"', int(blob.size)) for blob in found]

    @contextmanager
    def _errors(self, name: str) -> Iterator[None]:
        where = f"{self._address}/{name}"
        try:
            yield
        except ResourceNotFoundError as error:
            if getattr(error, "error_code", "") == "ContainerNotFound":
                raise StorageUnreachableError(f"{where}: the container does not exist (yet)") from error
            raise
        except ClientAuthenticationError as error:
            raise StorageForbiddenError(
                f"{where}: no token for the VM's identity: {_first_line(error)}"
            ) from error
        except HttpResponseError as error:
            if error.status_code == 304:
                raise _NotModified from error
            if error.status_code in (401, 403):
                self._hang_up()
                code = getattr(error, "error_code", None) or error.status_code
                code = getattr(code, "value", code)  # the SDK has an enum of those that it knows
                raise StorageForbiddenError(f"{where}: refused ({code}): {_reason(code)}") from error
            if getattr(error, "error_code", "") == _LEASED:
                raise StorageUnreachableError(
                    f"{where}: somebody holds a lease on it, so it cannot be written. It is tried again. "
                    "Fix: az storage blob lease break"
                ) from error
            raise StorageUnreachableError(f"{where}: {error.status_code} {_first_line(error)}") from error
        except AzureError as error:
            raise StorageUnreachableError(f"{where}: {_first_line(error)}") from error

    def _hang_up(self) -> None:
        """Close the connections that wait for the next request, which then asks for the address again.

        A name that got its private zone since leads elsewhere; a connection that was kept open never would.
        """
        if self._line.session is not None:
            self._line.session.close()


class _NotModified(Exception):  # noqa: N818 - an answer, not an error
    pass


def _reason(code: object) -> str:
    """What a refusal means: an account says AuthorizationFailure to networks that it does not let in.

    https://learn.microsoft.com/troubleshoot/azure/azure-storage/blobs/authentication/storage-troubleshoot-403-errors
    """
    if code == _NETWORK:
        return (
            "the account does not let this network in: its name leads to the public front, where no private "
            "DNS zone is linked to this network (yet)"
        )
    return "the identity's role on this container is missing or has not spread yet"


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
