"""How a program in a box begins, finds who listens for it, and says where the author's code failed."""

import os
import socket
import sys
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from fed_box.channel import SOCKET, ChannelError, Frame, send
from fed_box.confine import confine

BOX = Path(os.environ.get("FED_BOX", "/box"))
"""The folder that it shares with who listens."""
WAIT_SECONDS = 120.0
"""How long the other side may take to listen: it starts at the same time."""
NOBODY = 69
"""Exit code EX_UNAVAILABLE of sysexits.h."""
_PAUSE = 0.02


def begin(container: str) -> socket.socket:
    """The connection to who listens, once all is given up that no job needs: before any of the author's code,
    and for good. Ends the process where nobody listens.
    """
    confine()
    try:
        return connect(BOX / SOCKET)
    except OSError as error:
        print(f"{container}: nobody listens at {BOX / SOCKET} ({error})", file=sys.stderr)
        sys.exit(NOBODY)


def fail(connection: socket.socket, code: Path, error: BaseException, seconds: float) -> int:
    """Say where the author's code failed; the program's exit code."""
    traceback.print_exception(error)
    with suppress(ChannelError):  # who listens may have gone: nobody is left who could be told
        send(connection, Frame(kind="error", values=where(code, error)), seconds)
    return 1


def connect(path: Path, seconds: float = WAIT_SECONDS) -> socket.socket:
    """The connection to who listens. Raises OSError when nobody does in time."""
    until = time.monotonic() + seconds
    while True:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(str(path))
        except OSError:
            connection.close()
            if time.monotonic() > until:
                raise
            time.sleep(_PAUSE)
        else:
            return connection


def where(code: Path, error: BaseException) -> Mapping[str, Any]:
    """Class of an error, and the last line of the author's own code in its trace."""
    own = [
        (str(Path(frame.filename).relative_to(code)), frame.lineno)
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).is_relative_to(code)
    ]
    file, line = own[-1] if own else (None, None)
    return {"error": type(error).__name__, "file": file, "line": line}
