"""The service's door for `fedctl`: a socket inside the container, one request and one answer a connection.

Whoever can run a command in this container may use it; on Azure that is ARM's run command, guarded by its
roles and kept in the activity log.
"""

import json
import socketserver
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from container_server.errors import ContainerServerError, TransientError
from container_server.log import say
from container_server.question import UnreadableQuestionError

SOCKET = Path("/tmp/fedctl.sock")  # noqa: S108 - the container's own /tmp, a tmpfs
REQUEST_LIMIT = 64 * 1024

DONE, NO, WRONG, BROKEN = 0, 1, 2, 3
"""Exit codes of fedctl: done; the answer is no; the question was wrong; something broke on the way."""

Handler = Callable[[Mapping[str, Any]], Any]


class WrongQuestionError(ContainerServerError):
    """A command or argument that does not exist here."""


def answer(handlers: Mapping[str, Handler], line: bytes) -> dict[str, Any]:
    """`{"exit": code, "answer": ...}` or `{"exit": code, "error": text}` for one request."""
    try:
        request = json.loads(line)
        command, arguments = str(request["command"]), request.get("arguments") or {}
    except Exception as error:  # whatever somebody wrote into the socket
        return {"exit": BROKEN, "error": f"{type(error).__name__}: {error}"}
    return reply(handlers, command, arguments)


def reply(handlers: Mapping[str, Handler], command: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What `answer` returns for a command and its arguments."""
    try:
        if command not in handlers:
            raise WrongQuestionError(f"no command {command!r} here; there are: {', '.join(sorted(handlers))}")
        return {"exit": DONE, "answer": handlers[command](arguments)}
    except TransientError as error:
        return {"exit": BROKEN, "error": str(error)}
    except (ContainerServerError, UnreadableQuestionError) as error:
        return {"exit": WRONG, "error": str(error)}
    except Exception as error:  # the caller must get an answer, and the log the cause
        say("control request failed", cause=f"{type(error).__name__}: {error}")
        return {"exit": BROKEN, "error": f"{type(error).__name__}: {error}"}


def serve(handlers: Mapping[str, Handler], path: Path = SOCKET) -> socketserver.BaseServer:
    """Listen on a thread of its own; the server, for tests to shut down."""

    class Connection(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            line = self.rfile.readline(REQUEST_LIMIT)
            self.wfile.write((json.dumps(answer(handlers, line)) + "\n").encode())

    path.unlink(missing_ok=True)
    server = socketserver.ThreadingUnixStreamServer(str(path), Connection)
    server.daemon_threads = True
    path.chmod(0o600)
    threading.Thread(target=server.serve_forever, name="control", daemon=True).start()
    return server
