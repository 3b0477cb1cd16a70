"""The box of a job: asked for at the container server, given the job's code, spoken to over a socket.

The box mounts one folder of ours, read-only: in it are the job's code and the socket at which the client
listens. So nothing that a job writes gets out of its box, and nothing of it is left when the box has ended.
"""

import json
import os
import shutil
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, final

from fed_box.channel import CODE, LOOK_SECONDS, SOCKET, Frame, listening, receive, send

from fed_site.job_code import SIGNATURES
from fed_site.manifest import BASE
from fed_site.start import ORDER_FILE, WORK

BOX: Final = Path(os.environ.get("FED_BOX", "/box"))
ORDER: Final = WORK / ORDER_FILE
"""What the container server is asked for: `{"number": N, "job": id or null, "box": name, "data": {file:
[columns]}}`, the last two as the job's manifest has them; no file asks for no box.
"""
DONE: Final = Path(os.environ.get("FED_ANSWERS", "/answers")) / "box.json"
"""What it says of the newest order, after an older box has ended: `{"number": N, "problem": text}`."""
HERE: Final = (BASE, *os.environ.get("FED_BOXES", "").split())
"""The boxes of this VM, as a manifest names them."""
START_SECONDS: Final = 180.0
"""The container server writes the job's columns first: a second for 16 MB."""
_PAUSE = 0.02
_FOLDER, _FILE = 0o750, 0o640
"""The box's user is in the client's group: it reads."""


class NoBoxError(RuntimeError):
    """There is no box to speak to: why."""


def order(job: str | None, data: Mapping[str, Sequence[str]] | None = None, box: str = BASE) -> int:
    """Ask for the box that a job's manifest names, which sees these columns of these files, or for none at
    all; the order's number.
    """
    number = time.time_ns()
    new = ORDER.with_name(ORDER.name + ".new")
    new.write_text(json.dumps({"number": number, "job": job, "box": box, "data": dict(data or {})}))
    new.replace(ORDER)
    return number


def missing(box: str) -> str | None:
    """Why a job's box is not to be had here, in words that go on after the hospital's name."""
    if box in HERE:
        return None
    return f"has no box {box[:40]} on its machine, it has {', '.join(one[:40] for one in HERE)}"


def release(job: str) -> None:
    """The box of a job is needed no longer; that of a later one stays."""
    if ORDER.exists() and json.loads(ORDER.read_text())["job"] == job:
        order(None)


def put_code(code: Path) -> bool:
    """Put a job's code where its box reads it; whether it has any. Links are left out: this process
    reads more than a box may; and so are NVFlare's signatures, which are no part of what was approved.
    """
    if (BOX / CODE).exists():
        shutil.rmtree(BOX / CODE)
    if not code.is_dir():
        return False
    shutil.copytree(code, BOX / CODE, symlinks=True, copy_function=shutil.copyfile)
    for path in (BOX / CODE, *(BOX / CODE).rglob("*")):
        if path.is_symlink() or path.name in SIGNATURES:
            path.unlink()
        else:
            path.chmod(_FOLDER if path.is_dir() else _FILE)
    return True


@final
class Box:
    """The connection to the box of one job's run."""

    def __init__(self, connection: socket.socket):
        self._connection = connection

    @classmethod
    def meet(cls, stop: Callable[[], bool]) -> "Box":
        """Wait until the box that was asked for last has connected. Raises NoBoxError.

        It is listened for only after the container server has ended the box before: that one could connect.
        """
        until = time.monotonic() + START_SECONDS
        number = json.loads(ORDER.read_text())["number"]
        while (problem := _problem(number)) is None:
            _check(until, stop)
            time.sleep(_PAUSE)
        if problem:
            raise NoBoxError(problem)
        with listening(BOX / SOCKET, LOOK_SECONDS) as listener:
            while True:
                _check(until, stop)
                try:
                    return cls(listener.accept()[0])
                except TimeoutError:
                    continue

    def send(self, frame: Frame, seconds: float) -> None:
        """See channel.send."""
        send(self._connection, frame, seconds)

    def receive(self, seconds: float, stop: Callable[[], bool], largest: int) -> Frame:
        """See channel.receive."""
        return receive(self._connection, seconds, stop, largest)

    def close(self) -> None:
        """No more is said: an honest script ends."""
        self._connection.close()


def _problem(number: int) -> str | None:
    """Why there is no box; empty where there is one, None while nothing is known."""
    try:
        said: Any = json.loads(DONE.read_text())
    except (OSError, ValueError):
        return None
    return str(said["problem"]) if said["number"] == number else None


def _check(until: float, stop: Callable[[], bool]) -> None:
    if stop():
        raise NoBoxError("the job was stopped before its box had started")
    if time.monotonic() > until:
        raise NoBoxError("the box did not start in time: see container-server's log")
