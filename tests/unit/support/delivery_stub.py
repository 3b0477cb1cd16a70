"""A small HTTP server for tests of delivery: answers from a function and keeps what was asked."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Asked:
    """One request; header names in small letters."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


@dataclass
class Answers:
    """One answer; `raw` is sent instead of `body`, as HTML."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None


@dataclass
class Stub:
    """A running server: where it is and what it was asked."""

    url: str
    asked: list[Asked]

    def calls(self, method: str) -> list[Asked]:
        return [one for one in self.asked if one.method == method]


@contextmanager
def serving(answer: Callable[[Asked], Answers]) -> Iterator[Stub]:
    """Serve `answer` on the loopback until the block ends."""
    asked: list[Asked] = []

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            parts = urlsplit(self.path)
            length = int(self.headers.get("content-length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            headers = {name.lower(): value for name, value in self.headers.items()}
            one = Asked(self.command, parts.path, dict(parse_qsl(parts.query)), headers, body)
            asked.append(one)
            found = answer(one)
            content = b"" if found.body is None else json.dumps(found.body).encode()
            kind = "application/json" if found.raw is None else "text/html"
            content = content if found.raw is None else found.raw
            self.send_response(found.status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(content)))
            for name, value in found.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = do_PUT = _serve  # noqa: N815 the base class's names

        def log_message(self, *_: object) -> None:
            """Keep test output quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield Stub(f"http://127.0.0.1:{server.server_address[1]}", asked)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
