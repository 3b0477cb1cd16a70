"""`python -m fed_box.run`: the box's only program. Waits for the client, then becomes a job's script.

What it says of an error in the script (class, file, line) is as hostile as everything else from the box: the
client checks it.
"""

import os
import runpy
import socket
import sys
import tempfile
import traceback
from contextlib import suppress
from pathlib import Path

from fed_box.api import BoxApi
from fed_box.channel import CODE, SOCKET, ChannelError, Frame, receive, send
from fed_box.confine import confine
from fed_box.meeting import BOX, NOBODY, WAIT_SECONDS, connect, where

DATA = "/data"
"""Where the columns of the job's manifest are; scripts find it as FED_DATA."""


def run(code: Path, connection: socket.socket) -> int:
    """Run the script that the first frame names, with its arguments; its exit code."""
    start = receive(connection, WAIT_SECONDS).values
    BoxApi(connection, start).install()
    script = code / str(start["script"])
    sys.argv = [str(script), *map(str, start["arguments"])]
    # As `python script.py` has it; and the folder from which the job's own packages are imported.
    sys.path[:0] = [str(script.parent), str(code)]
    os.environ.setdefault("FED_DATA", DATA)
    os.chdir(tempfile.gettempdir())  # scripts write checkpoints where they are, and the rest is read-only
    try:
        runpy.run_path(str(script), run_name="__main__")
    except SystemExit as end:
        return _ended(connection, code, end) if end.code else 0
    except BaseException as error:  # whatever a script raises, its author is to know where
        return _ended(connection, code, error)
    return 0


def _ended(connection: socket.socket, code: Path, error: BaseException) -> int:
    traceback.print_exception(error)
    with suppress(ChannelError):  # the client may have gone: nobody is left who could be told
        send(connection, Frame(kind="error", values=where(code, error)), seconds=5.0)
    return 1


def main() -> None:
    """See the module."""
    confine()  # before any of the job's code, and for good
    try:
        connection = connect(BOX / SOCKET)
    except OSError as error:
        print(f"fl-box: nobody listens at {BOX / SOCKET} ({error})", file=sys.stderr)
        sys.exit(NOBODY)
    sys.exit(run(BOX / CODE, connection))


if __name__ == "__main__":
    main()
