"""BlobStore on Azure's own client, against a server that speaks just enough of the blob protocol."""

import hashlib
import threading
import urllib.parse
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from azure.core.pipeline.transport import RequestsTransport
from azure.storage.blob import ContainerClient
from container_server.azure_storage import AzureContainer
from container_server.storage import (
    Blob,
    BlobTooLargeError,
    StorageForbiddenError,
    StorageUnreachableError,
    Unread,
)


class BlobService(BaseHTTPRequestHandler):
    """One container in memory; `refusal` answers everything with (status, Azure's code)."""

    blobs: ClassVar[dict[str, bytes]] = {}
    refusal: ClassVar[tuple[int, str] | None] = None
    headers_seen: ClassVar[list[dict[str, str]]] = []
    callers: ClassVar[list[tuple[str, int]]] = []

    def do_GET(self) -> None:
        url = urllib.parse.urlsplit(self.path)
        query = urllib.parse.parse_qs(url.query)
        self.headers_seen.append(dict(self.headers))
        self.callers.append(self.client_address)
        if query.get("comp") == ["list"]:
            self._list(query.get("prefix", [""])[0])
            return
        content = self.blobs.get(self._name(url.path))
        if self.refusal or content is None:
            self._error(*(self.refusal or (404, "BlobNotFound")))
            return
        etag = f'"{hashlib.sha256(content).hexdigest()}"'
        if self.headers.get("If-None-Match") == etag:
            self._error(304, "ConditionNotMet")
            return
        start, _, end = self.headers.get("x-ms-range", "bytes=0-").removeprefix("bytes=").partition("-")
        part = content[int(start) : int(end or len(content)) + 1]
        total = f"bytes {start}-{int(start) + len(part) - 1}/{len(content)}"
        self._answer(206, part, {"ETag": etag, "Content-Range": total})

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        if self.refusal:
            self._error(*self.refusal)
            return
        self.blobs[self._name(self.path.partition("?")[0])] = content
        self._answer(201, b"", {"ETag": '"x"'})

    def do_DELETE(self) -> None:
        name = self._name(self.path.partition("?")[0])
        if self.refusal or name not in self.blobs:
            self._error(*(self.refusal or (404, "BlobNotFound")))
            return
        del self.blobs[name]
        self._answer(202, b"", {})

    def _list(self, prefix: str) -> None:
        if self.refusal:
            self._error(*self.refusal)
            return
        entries = "".join(
            f"<Blob><Name>{name}</Name><Properties><Content-Length>{len(content)}</Content-Length>"
            f"<Etag>{hashlib.sha256(content).hexdigest()}</Etag>"
            "<BlobType>BlockBlob</BlobType></Properties></Blob>"
            for name, content in sorted(self.blobs.items())
            if name.startswith(prefix)
        )
        body = f"<?xml version='1.0'?><EnumerationResults><Blobs>{entries}</Blobs></EnumerationResults>"
        self._answer(200, body.encode(), {"Content-Type": "application/xml"})

    def _name(self, path: str) -> str:
        return urllib.parse.unquote(path).removeprefix("/client-x/")

    def _error(self, status: int, code: str) -> None:
        self._answer(status, b"", {"x-ms-error-code": code})

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.send_header("Last-Modified", "Wed, 25 Nov 2026 00:00:00 GMT")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        pass


@pytest.fixture
def service() -> Iterator[type[BlobService]]:
    class Fresh(BlobService):
        blobs: ClassVar[dict[str, bytes]] = {}
        headers_seen: ClassVar[list[dict[str, str]]] = []
        callers: ClassVar[list[tuple[str, int]]] = []

    yield Fresh


@pytest.fixture
def container(service: type[BlobService]) -> Iterator[AzureContainer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), service)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    try:
        line = RequestsTransport(connection_timeout=2, read_timeout=2)
        client = ContainerClient(url, "client-x", retry_total=0, transport=line)
        yield AzureContainer(client, f"{url}/client-x", line)
    finally:
        server.shutdown()
        server.server_close()


class TestReading:
    def test_what_is_written_is_read(self, container: AzureContainer) -> None:
        container.write("enrol/request.zip", b"content")
        found = container.read("enrol/request.zip")
        assert isinstance(found, Blob)
        assert found.content == b"content"

    def test_a_blob_goes_into_a_file_in_pieces_and_not_beyond_a_limit(
        self, container: AzureContainer, tmp_path: Path
    ) -> None:
        container.write("heart.csv", b"age\n" * 25)
        target = tmp_path / "incoming"
        found = container.read("heart.csv")
        assert isinstance(found, Blob)
        assert container.download("heart.csv", target, 100) == found.etag
        assert target.read_bytes() == found.content
        assert container.download("none.csv", target, 100) is Unread.ABSENT
        with pytest.raises(BlobTooLargeError, match="100 bytes, at most 99"):
            container.download("heart.csv", target, 99)

    def test_a_known_version_is_not_sent_again(self, container: AzureContainer) -> None:
        container.write("desired.json", b"one")
        first = container.read("desired.json")
        assert isinstance(first, Blob)
        assert container.read("desired.json", first.etag) is Unread.UNCHANGED
        container.write("desired.json", b"two")
        second = container.read("desired.json", first.etag)
        assert isinstance(second, Blob)
        assert second.content == b"two"

    def test_a_listing_tells_the_version_that_reading_tells(self, container: AzureContainer) -> None:
        container.write("heart.csv", b"age")
        found = container.read("heart.csv")
        assert isinstance(found, Blob)
        assert [(entry.name, entry.etag) for entry in container.list()] == [("heart.csv", found.etag)]

    def test_a_first_look_asks_without_condition(
        self, container: AzureContainer, service: type[BlobService]
    ) -> None:
        container.read("desired.json")
        assert "If-None-Match" not in service.headers_seen[-1]

    def test_nothing_there_is_an_answer(self, container: AzureContainer) -> None:
        assert container.read("none") is Unread.ABSENT
        assert container.read("none", "etag") is Unread.ABSENT

    def test_a_blob_above_the_limit_is_refused(self, container: AzureContainer) -> None:
        container.write("large", b"x" * 101)
        with pytest.raises(BlobTooLargeError, match="101 bytes, at most 100"):
            container.read("large", limit=100)

    def test_an_empty_blob_is_content(self, container: AzureContainer) -> None:
        container.write("empty", b"")
        found = container.read("empty")
        assert isinstance(found, Blob)
        assert found.content == b""


class TestListing:
    def test_names_versions_and_sizes_by_prefix(self, container: AzureContainer) -> None:
        container.write("inbox/a.zip", b"12345")
        container.write("other", b"")
        assert [(entry.name, entry.size) for entry in container.list("inbox/")] == [("inbox/a.zip", 5)]
        assert len(container.list()) == 2

    def test_deleting_what_is_not_there_is_no_error(self, container: AzureContainer) -> None:
        container.write("a", b"x")
        container.delete("a")
        container.delete("a")
        assert container.list() == []


class TestTrouble:
    @pytest.mark.parametrize(
        ("refusal", "expected", "said"),
        [
            (
                (403, "AuthorizationPermissionMismatch"),
                StorageForbiddenError,
                "AuthorizationPermissionMismatch",
            ),
            ((403, "AuthorizationFailure"), StorageForbiddenError, "no private DNS zone is linked"),
            ((403, "InsufficientAccountPermissions"), StorageForbiddenError, "role on this container"),
            ((404, "ContainerNotFound"), StorageUnreachableError, "does not exist"),
            ((503, "ServerBusy"), StorageUnreachableError, "503"),
            ((500, "InternalError"), StorageUnreachableError, "500"),
            ((412, "LeaseIdMissing"), StorageUnreachableError, "somebody holds a lease on it"),
        ],
    )
    def test_every_operation_tells_what_may_pass_by_waiting(
        self,
        container: AzureContainer,
        service: type[BlobService],
        refusal: tuple[int, str],
        expected: type[Exception],
        said: str,
    ) -> None:
        service.refusal = refusal
        for operation in (
            lambda: container.read("a"),
            lambda: container.read("a", "etag"),
            lambda: container.write("a", b"x"),
            container.list,
            lambda: container.delete("a"),
        ):
            with pytest.raises(expected, match=said):
                operation()

    def test_nobody_listening_is_unreachable(self) -> None:
        line = RequestsTransport(connection_timeout=1)
        client = ContainerClient("http://127.0.0.1:9", "client-x", retry_total=0, transport=line)
        with pytest.raises(StorageUnreachableError):
            AzureContainer(client, "nowhere", line).read("a")

    def test_a_refusal_ends_the_connection_and_an_answer_keeps_it(
        self, container: AzureContainer, service: type[BlobService]
    ) -> None:
        """A kept connection leads to the public front for as long as it lasts, whatever the name means."""
        service.protocol_version = "HTTP/1.1"
        container.list()
        container.list()
        service.refusal = (403, "AuthorizationFailure")
        with pytest.raises(StorageForbiddenError):
            container.list()
        service.refusal = None
        container.list()
        first, second, refused, last = service.callers
        assert first == second == refused != last
