"""Gives every launcher its own provider instance, and ends the instance when the launcher goes.

A launcher connects over TCP on the loopback and sends one line, four fields separated by tabs: the word of
the token file, the package, the engine's PULUMI_BACKEND_URL, its working directory. The answer is one line:
the port of a gRPC server of its own, or why it gets none. The package ``?`` asks for the daemon's state.

A launcher of any other backend is refused: an emulated provider must never answer for a stack whose state
belongs to Azure (docs/adr/0031-one-daemon-serves-every-provider.md).
"""

import hmac
import json
import logging
import socket
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
from pulumi.runtime.proto import provider_pb2_grpc

from emulator.plugins.package import Package
from emulator.plugins.service import Service

log = logging.getLogger(__name__)

THREADS = 128
"""Calls served at once, all instances together. An engine sends at most its --parallel (four per core)."""

_LINE_LIMIT = 16384
_HELLO_SECONDS = 5
_OPTIONS = [
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
]


class Listener:
    """The TCP listener and the provider instances that live through it; `port` is the one it would like."""

    def __init__(
        self, packages: Mapping[str, Callable[[Path], Package]], *, token: str, backend: str, port: int = 0
    ) -> None:
        self._packages, self._token, self._backend = packages, token, backend
        self._pool = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="provider")
        self._instances: dict[int, str] = {}
        self._lock = threading.Lock()
        self._socket = _server_socket(port)
        self.port: int = self._socket.getsockname()[1]

    def start(self) -> None:
        """Accept launchers in a thread of its own."""
        threading.Thread(target=self._accept, name="plugins", daemon=True).start()

    def stop(self) -> None:
        """Accept no more; the instances end with the process."""
        self._socket.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:  # closed by stop()
                return
            threading.Thread(target=self._serve, args=(connection,), name="launcher", daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                connection.settimeout(_HELLO_SECONDS)
                hello = _line(connection)
                connection.settimeout(None)
                self._answer(connection, hello)
            except OSError as gone:
                log.info("a launcher went away: %s", gone)

    def _answer(self, connection: socket.socket, hello: str) -> None:
        token, package, backend, directory = [*hello.split("\t", 3), "", "", ""][:4]
        if not hmac.compare_digest(token.encode(), self._token.encode()):
            _say(connection, 'the token is not this emulator\'s. Run: eval "$(./fed env)"')
        elif package == "?":
            with self._lock:
                _say(connection, json.dumps({"instances": sorted(self._instances.values())}))
        elif backend != self._backend:
            _say(connection, _wrong_backend(backend, self._backend))
        elif package not in self._packages:
            _say(connection, f"no such package; the emulator serves {', '.join(sorted(self._packages))}.")
        else:
            self._run(connection, self._packages[package](Path(directory)))

    def _run(self, connection: socket.socket, package: Package) -> None:
        server = grpc.server(self._pool, options=_OPTIONS)
        provider_pb2_grpc.add_ResourceProviderServicer_to_server(Service(package), server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        with self._lock:
            self._instances[port] = package.name
        try:
            _say(connection, str(port))
            while connection.recv(1):
                pass
        finally:
            with self._lock:
                del self._instances[port]
            package.cancel()
            server.stop(None)


def _server_socket(port: int) -> socket.socket:
    """Listen on the loopback: on this port if nobody else does, else on any."""
    try:
        return socket.create_server(("127.0.0.1", port), backlog=512)
    except OSError:
        return socket.create_server(("127.0.0.1", 0), backlog=512)


def _wrong_backend(theirs: str, ours: str) -> str:
    return (
        f"refused to serve the backend {theirs or '(PULUMI_BACKEND_URL is not set)'}: this emulator serves "
        f"only {ours}, so that a stack on Azure can never be mixed up with an emulated one. For the emulated "
        'stack run: eval "$(./fed env)". For Azure use a new shell, without the emulator on its PATH.'
    )


def _line(connection: socket.socket) -> str:
    received = b""
    while not received.endswith(b"\n"):
        chunk = connection.recv(4096)
        if not chunk or len(received) > _LINE_LIMIT:
            raise ConnectionError("no complete first line")
        received += chunk
    return received.decode(errors="replace").rstrip("\n")


def _say(connection: socket.socket, line: str) -> None:
    connection.sendall(line.encode() + b"\n")
