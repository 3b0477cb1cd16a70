"""A VM whose data disk is new waits, if its party has a backup: nothing is started over what was lost.

A person says whether the archive is put back (`./fed restore`) or the VM goes on without it. The archive's
key stays with that person: this VM makes a key pair of its own for this one purpose and keeps it in memory,
and the person sends the archive's header, encrypted to that.
"""

import base64
import io
import os
import signal
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import IO, Any, Final, final

from container_server import age, archive, questions
from container_server.age import AgeError
from container_server.backups import NAME
from container_server.cadence import Cadence
from container_server.centre.curation import MLFLOW
from container_server.chore import Chore
from container_server.clock import Clock
from container_server.config import Config
from container_server.control import Handler
from container_server.engine import Engine, Running
from container_server.errors import RefusedInputError, TransientError
from container_server.files import read_json, write_json
from container_server.foreign import ForeignFolder
from container_server.hospital import ledgers
from container_server.log import say
from container_server.messages import REPORT, encode
from container_server.notices import Notice, Notices
from container_server.storage import BlobStore, Unread

MANAGED: Final[Mapping[str, str]] = {"centre": "fl-server", "hospital": "fl-client"}
ARCHIVE_LIMIT: Final = 1 << 40
HALF: Final = "half"
LOOK_SECONDS: Final = 0.5
REPORT_SECONDS: Final = 60.0


@final
@dataclass(frozen=True, kw_only=True)
class Order:
    """An archive to put back, and its header as this VM can open it."""

    name: str
    header: bytes


@final
class Recovery:
    """Stands before the service. `tick()` returns how long to wait, or None when the service may begin."""

    def __init__(
        self,
        *,
        config: Config,
        clock: Clock,
        store: BlobStore,
        engine: Engine,
        channel: BlobStore | None,
        leave: Callable[[], None] | None = None,
    ):
        self._config = config
        self._clock = clock
        self._store = store
        self._engine = engine
        self._leave = leave or _leave_soon
        """Ends this service, which is then started again."""
        self._parts = archive.parts_of(config)
        self._folder = config.agent / archive.OWN
        self._own, self._work = ForeignFolder(self._folder), ForeignFolder(config.work)
        self._asked = self._folder / "asked"
        """There while an archive is to replace what is here; says `HALF` once that has begun."""
        self._memory = self._folder / "restored.json"
        self._identity = age.new_identity()
        self._lock = threading.Lock()
        self._order: Order | None = None
        self._goes_on = False
        self._archives: list[str] | None = None
        self._failed = ""
        self._since = clock.now()
        self._looking = Chore("backups", Cadence(clock, REPORT_SECONDS), self._look)
        self._notices = Notices(clock)
        self._duties = [
            Chore("engine", Cadence(clock, REPORT_SECONDS), self._stop_managed),
            Chore("notices", Cadence(clock, REPORT_SECONDS), self._notice),
        ]
        if channel is not None:
            self._duties.append(
                Chore("report", Cadence(clock, REPORT_SECONDS), lambda: self._report(channel))
            )

    @property
    def needed(self) -> bool:
        """Whether this VM's disk is new, or an archive is to be put back."""
        agent = self._config.agent
        known = agent.is_dir() and any(entry.name != archive.OWN for entry in agent.iterdir())
        return self._asked.exists() or not (known or self._memory.exists())

    def tick(self) -> float | None:
        """One turn while `needed`."""
        self._looking.run()
        if self._archives is None:
            return LOOK_SECONDS
        if not self._archives and not self._asked.exists():
            return None
        for duty in self._duties:
            duty.run()
        with self._lock:
            order, self._order = self._order, None
            goes_on = self._goes_on
        if goes_on:
            self._asked.unlink(missing_ok=True)
            write_json(self._memory, {"without": self._clock.now()})
            say("goes on: no archive is put back")
            return None
        return None if order and self._restore(order) else LOOK_SECONDS

    def handlers(self) -> dict[str, Handler]:
        """What `fedctl` can ask while this VM waits."""
        return {"restore": self.command, "status": self._no_status}

    def command(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """How it stands; `header` shows an archive's, `take` orders one, `without` goes on with none."""
        asked = questions.Restore.read(arguments)
        if asked.without:
            if self._is_half:
                raise RefusedInputError("an archive was being put back when this service ended: put one back")
            with self._lock:
                self._goes_on = True
        elif name := asked.take:
            header = base64.b64decode(asked.opened or "")
            self._failed = ""
            with self._lock:
                self._order = Order(name=_named(name), header=header)
        return {
            **status(self._config, self._store, asked),
            "waits": True,
            "recipient": age.recipient_of(self._identity),
            "failed": self._failed,
        }

    def replace(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The same while the service runs; `replace` ends it, and this VM waits for an archive."""
        asked = questions.Restore.read(arguments)
        if asked.take or asked.without:
            raise RefusedInputError(
                f"{self._config.party} has its state and does not wait for an archive. Fix: --replace, which"
                " gives up what is there"
            )
        if asked.replace:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._asked.touch()
            say("an archive is to be put back: restarting, to wait for it")
            self._leave()
        return {**status(self._config, self._store, asked), "waits": self._asked.exists()}

    def _no_status(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        raise RefusedInputError(self.words)

    @property
    def words(self) -> str:
        """Why nothing runs here, and what to do."""
        party, newest = self._config.party, max(self._archives or ["none"])
        why = "an archive is to be put back" if self._asked.exists() else "its data disk is new"
        fix = f"./fed restore --party {party} --key FILE, or with --without to go on without it"
        said = f"; {self._failed}" if self._failed else ""
        return f"{party} waits: {why}, and there is a backup ({newest}){said}. Fix: {fix}"

    @property
    def _is_half(self) -> bool:
        return self._asked.exists() and self._asked.read_text() == HALF

    def _look(self) -> None:
        self._archives = names(self._store)

    def _stop_managed(self) -> None:
        name = MANAGED[self._config.role]
        if self._engine.state(name).running in (Running.RUNNING, Running.RESTARTING):
            self._engine.stop(name)

    def _notice(self) -> None:
        self._notices.tell([Notice(code="restore-waits", about=self._config.party, text=self.words)])

    def _report(self, channel: BlobStore) -> None:
        report = {
            "hospital": self._config.party,
            "state": "unenrolled",
            "since": self._since,
            "reason": self.words[:500],
            "written": self._clock.now(),
            "generation": 0,
            "client": {"running": "stopped", "restarts": 0, "heard": None},
            "data": {},
            "certificate": None,
            "versions": {"image": self._config.image, "revision": self._config.revision},
        }
        channel.write(REPORT, encode("report", report))

    def _restore(self, order: Order) -> bool:
        began, file = self._clock.now(), self._folder / "archive.age"
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            if self._store.download(order.name, file, ARCHIVE_LIMIT) is Unread.ABSENT:
                raise RefusedInputError(f"there is no archive {order.name}")
            with file.open("rb") as stream:
                self._open(stream, order, lambda plain: archive.read(plain, self._whose, _read_through))
                if not self._is_half:
                    ledgers.set_aside(self._work, self._own)
                self._asked.write_text(HALF)
                about = self._open(stream, order, self._put_back)
        except (AgeError, RefusedInputError, TransientError, OSError) as error:
            self._failed = f"{order.name} was not put back: {error}"
            say("restore failed", blob=order.name, reason=str(error))
            return False
        finally:
            file.unlink(missing_ok=True)
        content = archive.content(archive.restored(self._parts))
        ledgers.keep_what_holds_more(self._work, self._own)
        if self._config.role == "centre":
            self._engine.start(MLFLOW)
        done = {"name": order.name, "made": about["made"], "seconds": self._clock.now() - began}
        write_json(self._memory, {**done, **asdict(content)})
        self._asked.unlink()
        say("restored", blob=order.name, files=content.files, seconds=done["seconds"])
        return True

    def _put_back(self, plain: age.Reader) -> Any:
        if self._config.role == "centre":
            self._engine.stop(MLFLOW)
        return archive.put_back(self._parts, plain, self._whose)

    def _open(self, stream: IO[bytes], order: Order, use: Callable[[age.Reader], Any]) -> Any:
        stream.seek(0)
        age.header_of(stream)
        return use(age.Reader(stream, order.header, self._identity))

    @property
    def _whose(self) -> dict[str, str]:
        config = self._config
        return {"role": config.role, "party": config.party, "environment": config.environment}


def _leave_soon() -> None:
    """End this service once it has answered."""
    threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGTERM)).start()


def status(config: Config, store: BlobStore, asked: questions.Restore) -> dict[str, Any]:
    """The archives, newest first, what was put back last, and the header of the one in `header`."""
    answer: dict[str, Any] = {
        "party": config.party,
        "archives": sorted(names(store), reverse=True),
        "restored": read_json(config.agent / archive.OWN / "restored.json"),
    }
    if name := asked.header:
        answer["header"] = base64.b64encode(_header(store, _named(name))).decode()
    return answer


def names(store: BlobStore) -> list[str]:
    """The archives in a container."""
    return [entry.name for entry in store.list() if NAME.fullmatch(entry.name)]


def _header(store: BlobStore, name: str) -> bytes:
    beginning = store.beginning(name, age.HEADER_LIMIT)
    if beginning is None:
        raise RefusedInputError(f"there is no archive {name}")
    try:
        return age.header_of(io.BytesIO(beginning))
    except AgeError as error:
        raise RefusedInputError(f"{name}: {error}") from error


def _named(name: Any) -> str:
    if not NAME.fullmatch(str(name)):
        raise RefusedInputError(f"{str(name)[:40]!r} is no name of an archive, such as 20270131.age")
    return str(name)


def _read_through(name: str, source: IO[bytes], mode: int) -> None:
    while source.read(1 << 20):
        pass
