"""How a program in a box finds who listens for it, and says where the author's code failed. Pure."""

import os
import socket
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

BOX = Path(os.environ.get("FED_BOX", "/box"))
"""The folder that it shares with who listens."""
WAIT_SECONDS = 120.0
"""How long the other side may take to listen: it starts at the same time."""
NOBODY = 69
"""Exit code EX_UNAVAILABLE of sysexits.h."""
_PAUSE = 0.02


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
