"""Scores for the hospital itself: its people put `score/<model>.csv` into their container `data`, and find
the answer in their container `scores`. Nothing of it leaves.

The model runs in a container of its own (fed_box/score.py): no network, no key, no data on a disk. This
service gives it the columns that it reads and takes numbers back.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, final

from fed_data.catalogue import Catalogue

from container_server.cadence import Cadence
from container_server.chore import Chore
from container_server.clock import Clock
from container_server.engine import Engine, Limits
from container_server.errors import TransientError
from container_server.files import read_json, write_json
from container_server.hospital.models import HeldModel
from container_server.hospital.score_table import (
    ModelFailedError,
    NoScoresError,
    ScoreTable,
    ScoreTableError,
)
from container_server.log import say
from container_server.model_package import SCORE, ModelPackage
from container_server.storage import BlobEntry, BlobStore, BlobTooLargeError, Unread

LOOK_SECONDS = 30.0
MOST_BYTES = 64 * 1024 * 1024
"""Of a table."""
WHY = ".txt"
"""Ends, in the place of `.csv`, the name of what says why there is no answer yet."""
_NAME = re.compile(rf"{SCORE}([a-z](?:[a-z0-9-]{{0,38}}[a-z0-9])?)((?:\.[A-Za-z0-9_-]{{1,60}})?)\.csv")


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
        content, answered = table.answered(package.output, self._ask(package, table))
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

    def _ask(self, package: ModelPackage, table: ScoreTable) -> list[float]:
        if not table.good:
            return []
        from container_server.hospital.score_box import ScoreBox  # noqa: PLC0415 - it loads numpy

        limits, seconds = self._limits()
        return [
            float(one) for one in ScoreBox(self._engine, self._folder, limits, seconds).ask(package, table)
        ]

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

    def _say_why(self, name: str, entry: BlobEntry, why: str, code: str = "") -> None:
        """Tell the hospital's people, where that is new; `code` is the model that has said its last word."""
        said = {"etag": entry.etag, "code": code, "why": why}
        if (before := self._done.get(name, {})) == said:
            return
        target = name.removeprefix(SCORE)
        if before.get("etag") != entry.etag:
            self._scores.delete(target)  # scores of the table before would be read as those of this one
        self._scores.write(_why(target), f"{name}: no scores: {why}\n".encode())
        self._remember(name, said)

    def _remember(self, name: str, said: dict[str, str]) -> None:
        self._done[name] = said
        write_json(self._memory, self._done)


def _why(target: str) -> str:
    return target.removesuffix(".csv") + WHY
