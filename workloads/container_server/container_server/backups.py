"""Keeps an archive of what cannot be made again in the party's own account, encrypted to its organisation.

The key that opens it is nowhere in Azure (age.py). `backup/<day>.age` is written again when something has
changed, on order, and at least daily; what was written before that day is kept for `KEEP_DAYS`.
"""

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any, Final, final

from container_server import age, archive, questions
from container_server.age import AgeError
from container_server.archive import Content, Part
from container_server.centre.curation import MLFLOW
from container_server.clock import Clock
from container_server.config import Config
from container_server.control import Handler
from container_server.engine import Engine, Running
from container_server.errors import RefusedInputError, TransientError
from container_server.files import read_json, write_json
from container_server.log import say
from container_server.notices import Notice
from container_server.storage import BlobStore

EVERY_SECONDS: Final = 900.0
"""At least, between two archives that nobody ordered."""
COMPARE_SECONDS: Final = 60.0
"""Between two looks at whether something changed: each asks for the status of every file."""
SHARE: Final = 100.0
"""An archive that took a second is not made again for so many."""
DAY: Final = 86_400.0
LATE_SECONDS: Final = 1.5 * DAY
KEEP_DAYS: Final = 30
TRIES: Final = 3
NAME: Final = re.compile(r"\d{8}\.age")
NO_KEY: Final = (
    "no key: nothing is backed up. Fix: ./fed backup key, then its public half into the stack file"
)


class UnsettledError(TransientError):
    """What is to be kept changes as fast as it is read."""


@final
class Backups:
    """Makes archives. `step()` does so when it is time; `recipient` is the stack's, None for nobody."""

    def __init__(
        self,
        *,
        config: Config,
        clock: Clock,
        store: BlobStore,
        engine: Engine,
        recipient: Callable[[], str | None],
    ):
        self._config = config
        self._clock = clock
        self._store = store
        self._engine = engine
        self._recipient = recipient
        self._parts = archive.parts_of(config)
        self._memory = config.agent / archive.OWN / "made.json"
        self._made: dict[str, Any] = read_json(self._memory) or {}
        self._began = clock.now()
        self._unchanged = 0.0
        """When nothing had changed, the last time it was looked."""
        self._looked = False
        self._key: str | None = None
        """The recipient, once it was read."""
        self._order: str | None = None
        """To whom an archive was ordered at once; empty for the stack's own."""
        self._lock = threading.Lock()

    def step(self) -> None:
        """Make an archive if it is time. Raises TransientError or RefusedInputError."""
        self._key, self._looked = self._recipient(), True
        with self._lock:
            order, self._order = self._order, None
        recipient = order or self._key
        try:
            if recipient and (order is not None or self._is_due()):
                self._make(recipient)
        except Exception:
            self._let_stand(order)
            raise

    def soon(self) -> None:
        """Have an archive made at once: an older one would bring back what was taken away just now."""
        if self._key:
            with self._lock:
                self._order = self._order or ""

    def handlers(self) -> dict[str, Handler]:
        """What `fedctl` can ask."""
        return {"backup": self.command}

    def command(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """What was made last, and for whom; with `now` an archive is ordered. Raises RefusedInputError."""
        asked = questions.Backup.read(arguments)
        to = asked.to or ""
        if asked.now:
            if not to and not self._key:
                raise RefusedInputError(f"{self._config.party} has {NO_KEY}")
            if to:
                _check(to)
            with self._lock:
                self._order = to
        return {"party": self._config.party, "recipient": self._key, "last": self._made or None}

    def notices(self) -> list[Notice]:
        """What a person is to know: nothing protects this party, or has not for long."""
        if self._key is None:
            return [self._notice(NO_KEY)] if self._looked and self._config.environment == "prod" else []
        late = self._clock.now() - float(self._made.get("made", self._began)) > LATE_SECONDS
        text = "no backup for more than a day. Fix: ./fed status says why, then ./fed backup"
        return [self._notice(text)] if late else []

    def _let_stand(self, order: str | None) -> None:
        """An order stands until its archive is made, unless another came meanwhile."""
        with self._lock:
            self._order = order if self._order is None else self._order

    def _notice(self, text: str) -> Notice:
        return Notice(code="backup-missing", about=self._config.party, text=text)

    def _is_due(self) -> bool:
        ago = self._clock.now() - float(self._made.get("made", 0.0))
        if ago < max(EVERY_SECONDS, SHARE * float(self._made.get("seconds", 0.0))):
            return False
        if ago >= DAY or self._made.get("recipient") != self._key:
            return True
        if self._clock.now() - self._unchanged < COMPARE_SECONDS:
            return False
        if self._made.get("trace") != archive.trace(self._parts):
            return True
        self._unchanged = self._clock.now()
        return False

    def _make(self, recipient: str) -> None:
        _check(recipient)
        began = self._clock.now()
        if self._config.role == "centre":
            self._copy_mlflow()
        file = self._config.agent / archive.OWN / "archive.age"
        file.parent.mkdir(parents=True, exist_ok=True)
        trace = archive.trace(self._parts)
        about = {
            "role": self._config.role,
            "party": self._config.party,
            "environment": self._config.environment,
            "made": began,
        }
        try:
            with file.open("w+b") as stream:
                content = self._settled(lambda: _write(self._parts, about, recipient, stream))
                size = stream.tell()
                stream.seek(0)
                name = f"{datetime.fromtimestamp(began, UTC):%Y%m%d}.age"
                self._store.upload(name, stream)
        finally:
            file.unlink(missing_ok=True)
        self._made = {
            "name": name,
            "made": began,
            "seconds": self._clock.now() - began,
            "size": size,
            "recipient": recipient,
            "trace": trace,
            **asdict(content),
        }
        write_json(self._memory, self._made)
        say("backup made", blob=name, size=size, files=content.files)
        self._forget_old(began)

    def _settled(self, write: Callable[[], Content]) -> Content:
        """An archive in which no file is older than another: what changed while it was read is read again."""
        own = tuple(part for part in self._parts if part.name in ("agent", "kit"))
        for _ in range(TRIES):
            before = archive.trace(own)
            content = write()
            if archive.trace(own) == before:
                return content
        raise UnsettledError("what is to be backed up changed each time while it was read")

    def _copy_mlflow(self) -> None:
        if self._engine.state(MLFLOW).running is not Running.RUNNING:
            raise TransientError("MLflow's container, which copies its database, does not run")
        copy = archive.mlflow_copy(self._config)
        code, output = self._engine.execute(MLFLOW, ["python3", "-m", "tracking.start", "copy", str(copy)])
        if code != 0:
            raise TransientError(f"MLflow's database could not be copied: {output.strip()[-200:]}")

    def _forget_old(self, now: float) -> None:
        oldest = f"{datetime.fromtimestamp(now, UTC) - timedelta(days=KEEP_DAYS):%Y%m%d}.age"
        for entry in self._store.list():
            if NAME.fullmatch(entry.name) and entry.name < oldest:
                self._store.delete(entry.name)


def _write(parts: tuple[Part, ...], about: Mapping[str, Any], recipient: str, stream: Any) -> Content:
    stream.seek(0)
    stream.truncate()
    writer = age.Writer(stream, recipient)
    content = archive.pack(parts, about, writer)  # type: ignore[arg-type]
    writer.close()
    return content


def _check(recipient: str) -> None:
    try:
        age.check_recipient(recipient)
    except AgeError as error:
        raise RefusedInputError(f"the key to which backups are encrypted: {error}") from error
