"""Scores for the hospital itself: its people put `score/<model>.csv` into their container `data`, and find
the answer in their container `scores`. Nothing of it leaves.

The model runs in a container of its own (fed_box/score.py): no network, no key, no data on a disk. This
service gives it the columns that it reads and takes numbers back.
"""

import re
import socket
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from fed_box.channel import CODE, MODEL, SOCKET, ChannelError, Frame, receive, send
from fed_data.catalogue import Catalogue

from container_server.cadence import Cadence
from container_server.chore import Chore
from container_server.clock import Clock
from container_server.engine import Engine, Limits, Running
from container_server.errors import RefusedInputError, TransientError
from container_server.files import empty, read_json, write_bytes, write_json
from container_server.hospital.models import HeldModel
from container_server.hospital.score_table import ScoreTable, ScoreTableError
from container_server.log import say
from container_server.model_package import SCORE
from container_server.storage import BlobEntry, BlobStore, BlobTooLargeError, Unread

if TYPE_CHECKING:
    from numpy.typing import NDArray

CONTAINER = "fl-score"
LOOK_SECONDS = 30.0
START_SECONDS = 60.0
SEND_SECONDS = 60.0
MOST_BYTES = 64 * 1024 * 1024
"""Of a table."""
WHY = ".txt"
"""Ends, in the place of `.csv`, the name of what says why there is no answer yet."""
_NAME = re.compile(rf"{SCORE}([a-z](?:[a-z0-9-]{{0,38}}[a-z0-9])?)((?:\.[A-Za-z0-9_-]{{1,60}})?)\.csv")
_FOLDER, _FILE, _SOCKET = 0o750, 0o640, 0o660
"""The container's user is in this service's group: it reads, and connects."""


class NoScoresError(TransientError):
    """There are no scores yet; the text says why, for the hospital's people."""


class ModelFailedError(RefusedInputError):
    """The model's code fails, or answers with something else than numbers: so it would again."""


@final
class Scoring:
    """Answers each version of each table once. `turn()` is one look; its own loop calls it."""

    def __init__(
        self,
        *,
        data: BlobStore,
        scores: BlobStore,
        engine: Engine,
        clock: Clock,
        folder: Path,
        memory: Path,
        models: Callable[[], Mapping[str, HeldModel]],
        catalogue: Callable[[], Catalogue],
        note: Callable[[str, Mapping[str, Any]], None],
        limits: Callable[[], tuple[Limits, float]],
    ):
        self._data = data
        self._scores = scores
        self._engine = engine
        self._folder = folder
        self._memory = memory
        self._models = models
        self._catalogue = catalogue
        self._note = note
        self._limits = limits
        """What the container may use, and seconds for an answer."""
        self._done: dict[str, dict[str, str]] = read_json(memory) or {}
        """Blob -> `etag` of the table, `code` of the model that looked at it, `why` there is no answer."""
        self._look = Chore("scores", Cadence(clock, LOOK_SECONDS), self._step)

    def turn(self) -> float:
        """Look, where it is time; seconds until the next time."""
        self._look.run()
        return 1.0

    @property
    def trouble(self) -> str:
        """Why the last look failed."""
        return self._look.trouble

    def _step(self) -> None:
        """Look at every table. One that cannot be answered now holds up no other: its error comes last."""
        entries = {entry.name: entry for entry in self._data.list(SCORE)}
        for name in self._done.keys() - entries.keys():
            del self._done[name]  # what was answered stays in `scores` until somebody deletes it
        errors: list[TransientError] = []
        for name, entry in entries.items():
            try:
                self._look_at(name, entry)
            except NoScoresError as error:
                self._say_why(name, entry, str(error))
                errors.append(error)
        if errors:
            raise errors[0]

    def _look_at(self, name: str, entry: BlobEntry) -> None:
        if (found := _NAME.fullmatch(name)) is None:
            self._say_why(name, entry, "its name is not <model>.csv, or <model>.<anything>.csv")
            return
        model = self._models().get(found[1])
        if model is None:
            self._say_why(name, entry, f"no model {found[1]} has come from the centre")
        elif model.objection:
            who = f"the model {found[1]}, version {model.package.version} ({model.code[:12]})"
            self._say_why(name, entry, f"{who}, may not be used here: {model.objection}")
        elif not self._is_over(name, entry, model):
            try:
                self._answer(name, model)
            except (ScoreTableError, ModelFailedError, BlobTooLargeError) as error:
                self._say_why(name, entry, str(error), model.code)
            else:
                self._remember(name, {"etag": entry.etag, "code": model.code})

    def _is_over(self, name: str, entry: BlobEntry, model: HeldModel) -> bool:
        """Whether this model has looked at this version of a table: it would say the same."""
        known = self._done.get(name, {})
        return (known.get("etag"), known.get("code")) == (entry.etag, model.code)

    def _answer(self, name: str, model: HeldModel) -> None:
        table = self._read(name, model)
        package = model.package
        scores = self._ask(model, table) if table.good else []
        content, answered = table.answered(package.output, [float(score) for score in scores])
        target = name.removeprefix(SCORE)
        self._scores.write(target, content)
        self._scores.delete(_why(target))
        said = {
            "table": name,
            "model": package.name,
            "version": package.version,
            "code": model.code,
            "rows": len(table.rows),
            "without_score": len(table.rows) - answered,
        }
        self._note("scored", said)
        say("a model predicted for its hospital", **said)

    def _read(self, name: str, model: HeldModel) -> ScoreTable:
        incoming = self._memory.with_name("score-incoming.csv")
        try:
            if isinstance(self._data.download(name, incoming, MOST_BYTES), Unread):
                raise NoScoresError(f"{name} was removed while it was looked at")
            known = [found for file in model.package.trained_on if (found := self._catalogue().of(file))]
            package = model.package
            return ScoreTable.read(incoming, package.inputs, package.output, known[0] if known else None)
        finally:
            incoming.unlink(missing_ok=True)

    def _ask(self, model: HeldModel, table: ScoreTable) -> "NDArray[Any]":
        """What the model says of the good rows.

        Raises ModelFailedError, NoScoresError, EngineUnreachableError.
        """
        limits, seconds = self._limits()
        try:
            self._end()
            self._put(model)
            with _listening(self._folder / SOCKET) as listener:
                self._engine.limit(CONTAINER, limits)
                self._engine.start(CONTAINER)
                with closing(_met(listener)) as connection:
                    asked = {"predictor": model.package.predictor}
                    send(connection, Frame(kind="score", values=asked, arrays=table.arrays()), SEND_SECONDS)
                    return _scores(receive(connection, seconds), len(table.good))
        except ChannelError as error:
            raise NoScoresError(f"{model.package.name} gave no scores: {error}") from error
        finally:
            self._end()

    def _put(self, model: HeldModel) -> None:
        """The model's code and numbers, where its container reads them."""
        for folder, files in ((CODE, model.package.code), (MODEL, model.package.model)):
            for name, content in files.items():
                write_bytes(self._folder / folder / name, content, _FILE)
        for path in self._folder.rglob("*"):
            if path.is_dir():
                path.chmod(_FOLDER)

    def _end(self) -> None:
        if self._engine.state(CONTAINER).running in (Running.RUNNING, Running.RESTARTING):
            self._engine.stop(CONTAINER, seconds=0)
        empty(self._folder)

    def _say_why(self, name: str, entry: BlobEntry, why: str, code: str = "") -> None:
        """Tell the hospital's people, where that is new; `code` is the model that has said its last word."""
        said = {"etag": entry.etag, "code": code, "why": why}
        if self._done.get(name) == said:
            return
        self._scores.write(_why(name.removeprefix(SCORE)), f"{name}: no scores: {why}\n".encode())
        self._remember(name, said)

    def _remember(self, name: str, said: dict[str, str]) -> None:
        self._done[name] = said
        write_json(self._memory, self._done)


def _why(target: str) -> str:
    return target.removesuffix(".csv") + WHY


def _listening(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    path.chmod(_SOCKET)
    listener.listen(1)
    listener.settimeout(START_SECONDS)
    return listener


def _met(listener: socket.socket) -> socket.socket:
    try:
        return listener.accept()[0]
    except TimeoutError as error:
        raise NoScoresError(f"{CONTAINER} did not start within {START_SECONDS:.0f} s: see its log") from error


def _scores(answer: Frame, rows: int) -> "NDArray[Any]":
    """The numbers of an answer, which is hostile until looked at. Raises ModelFailedError."""
    if answer.kind == "error":
        said = ", ".join(f"{key} {str(answer.values.get(key))[:80]!r}" for key in ("error", "file", "line"))
        raise ModelFailedError(f"the model's code failed: {said}; the log of {CONTAINER} has more")
    scores = answer.arrays.get("scores")
    if answer.kind != "scores" or scores is None or scores.shape != (rows,) or scores.dtype.kind != "f":
        raise ModelFailedError(f"the model gave something else than {rows} numbers")
    return scores
