"""A way from this machine's loopback to a port of an emulated machine, for an operator's browser.

Azure has no such way in; there, Bastion or run command is used. The datacentre's end is a Unix socket: one
JSON line ``{"machine", "port"}``, answered by an empty line or by what is wrong, then plain bytes both ways.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from emulator.datacentre.errors import DatacentreError
from emulator.datacentre.kernel import Namespace

_CONNECT_SECONDS = 5.0
_CHUNK = 64 * 1024


class TunnelEnd:
    """The datacentre's end."""

    def __init__(self, namespace: Callable[[str], Namespace]) -> None:
        self._namespace = namespace
        self._server: asyncio.Server | None = None

    async def serve(self, path: Path) -> None:
        """Listen on a Unix socket."""
        path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._connect, str(path))

    def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            order = json.loads(await reader.readline())
            inner = self._namespace(order["machine"]).socket(socket.SOCK_STREAM)
            loop = asyncio.get_running_loop()
            async with asyncio.timeout(_CONNECT_SECONDS):
                await loop.sock_connect(inner, ("127.0.0.1", int(order["port"])))
            inner_reader, inner_writer = await asyncio.open_connection(sock=inner)
        except (TimeoutError, DatacentreError, OSError, ValueError) as failed:
            writer.write(f"{failed or 'timed out'}\n".encode())
            writer.close()
            return
        writer.write(b"\n")
        await asyncio.gather(_relay(reader, inner_writer), _relay(inner_reader, writer))


async def _relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while chunk := await reader.read(_CHUNK):
            writer.write(chunk)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.close()


@contextlib.contextmanager
def forward(path: Path, machine: str, port: int, local_port: int = 0) -> Iterator[int]:
    """Listen on 127.0.0.1 while the block runs, and lead each connection to a machine's port.

    Yields the local port. Raises DatacentreError when nothing answers there now.
    """
    _open(path, machine, port).close()

    class Handler(socketserver.BaseRequestHandler):
        """One connection."""

        def handle(self) -> None:
            """Relay until either side ends."""
            with contextlib.suppress(DatacentreError, OSError), _open(path, machine, port) as far:
                back = threading.Thread(target=_copy, args=(far, self.request), daemon=True)
                back.start()
                _copy(self.request, far)
                back.join()

    class Server(socketserver.ThreadingTCPServer):
        """A listener that does not wait for open connections at its end."""

        daemon_threads = True
        allow_reuse_address = True

    with Server(("127.0.0.1", local_port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield int(server.server_address[1])
        finally:
            server.shutdown()


def _open(path: Path, machine: str, port: int) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.connect(str(path))
    connection.sendall(json.dumps({"machine": machine, "port": port}).encode() + b"\n")
    answer = b""
    while not answer.endswith(b"\n") and (byte := connection.recv(1)):
        answer += byte
    if answer != b"\n":
        connection.close()
        raise DatacentreError(
            f"port {port} of {machine} does not answer: {answer.decode().strip() or 'it hung up'}"
        )
    return connection


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while chunk := source.recv(_CHUNK):
            target.sendall(chunk)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
