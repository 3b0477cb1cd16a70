"""The container in which a model predicts: filled, asked once, emptied. It needs numpy and is loaded late."""

import socket
from contextlib import closing
from pathlib import Path
from typing import Any, final

from fed_box.channel import CODE, MODEL, SOCKET, ChannelError, Frame, listening, receive, send
from numpy.typing import NDArray

from container_server.engine import Engine, Limits, Running
from container_server.files import empty, write_bytes
from container_server.hospital.score_table import ModelFailedError, NoScoresError, ScoreTable
from container_server.model_package import ModelPackage

CONTAINER = "fl-score"
START_SECONDS = 60.0
SEND_SECONDS = 60.0
SPARE_BYTES = 1 << 20
_FOLDER, _FILE = 0o750, 0o640
"""The container's user is in this service's group: it reads."""


@final
class ScoreBox:
    """`folder` is what the container mounts; it may use `limits` and has `seconds` for its answer."""

    def __init__(self, engine: Engine, folder: Path, limits: Limits, seconds: float):
        self._engine = engine
        self._folder = folder
        self._limits = limits
        self._seconds = seconds

    def ask(self, package: ModelPackage, table: ScoreTable) -> NDArray[Any]:
        """What the model says of the good rows.

        Raises ModelFailedError, NoScoresError, EngineUnreachableError.
        """
        try:
            self._end()
            self._put(package)
            with listening(self._folder / SOCKET, START_SECONDS) as listener:
                self._engine.limit(CONTAINER, self._limits)
                self._engine.start(CONTAINER)
                with closing(_met(listener)) as connection:
                    asked = {"predictor": package.predictor}
                    send(connection, Frame(kind="score", values=asked, arrays=table.arrays()), SEND_SECONDS)
                    answer = receive(connection, self._seconds, largest=_most_bytes(len(table.good)))
                    return _scores(answer, len(table.good))
        except ChannelError as error:
            raise NoScoresError(f"{package.name} gave no scores: {error}") from error
        finally:
            self._end()

    def _put(self, package: ModelPackage) -> None:
        """The model's code and numbers, where its container reads them."""
        for folder, files in ((CODE, package.code), (MODEL, package.model)):
            for name, content in files.items():
                write_bytes(self._folder / folder / name, content, _FILE)
        for path in self._folder.rglob("*"):
            if path.is_dir():
                path.chmod(_FOLDER)

    def _end(self) -> None:
        if self._engine.state(CONTAINER).running in (Running.RUNNING, Running.RESTARTING):
            self._engine.stop(CONTAINER, seconds=0)
        empty(self._folder)


def _met(listener: socket.socket) -> socket.socket:
    try:
        return listener.accept()[0]
    except TimeoutError as error:
        raise NoScoresError(f"{CONTAINER} did not start within {START_SECONDS:.0f} s: see its log") from error


def _most_bytes(rows: int) -> int:
    """What an answer may have: as many numbers, and some more, so that a wrong number of them is named."""
    return 8 * rows + SPARE_BYTES


def _scores(answer: Frame, rows: int) -> NDArray[Any]:
    """The numbers of an answer, which is hostile until looked at. Raises ModelFailedError."""
    if answer.kind == "error":
        said = ", ".join(f"{key} {str(answer.values.get(key))[:80]!r}" for key in ("error", "file", "line"))
        raise ModelFailedError(f"the model's code failed: {said}; the log of {CONTAINER} has more")
    scores = answer.arrays.get("scores")
    if answer.kind != "scores" or scores is None or scores.shape != (rows,) or scores.dtype.kind != "f":
        raise ModelFailedError(f"the model gave something else than {rows} numbers")
    return scores
