"""`python -m fed_box.run`: the box's only program. Waits for the client, then becomes a job's script.

What it says of an error in the script (class, file, line) is as hostile as everything else from the box: the
client checks it.
"""

import os
import runpy
import socket
import sys
import tempfile
from pathlib import Path

from fed_box.api import BoxApi
from fed_box.channel import CODE, receive
from fed_box.meeting import BOX, WAIT_SECONDS, begin, fail

DATA = "/data"
"""Where the columns of the job's manifest are; scripts find it as FED_DATA."""
SEND_SECONDS = 5.0


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
        return fail(connection, code, end, SEND_SECONDS) if end.code else 0
    except BaseException as error:  # whatever a script raises, its author is to know where
        return fail(connection, code, error, SEND_SECONDS)
    return 0


def main() -> None:
    """See the module."""
    connection = begin("fl-box")
    sys.exit(run(BOX / CODE, connection))


if __name__ == "__main__":
    main()
