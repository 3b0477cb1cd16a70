"""Stand-ins for what a container server meets: time, blob storage, a container engine."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from container_server.engine import ContainerState, EngineUnreachableError, Limits, Running
from container_server.storage import MESSAGE_LIMIT, Blob, BlobEntry, BlobTooLargeError, Unread


@dataclass
class FakeClock:
    """Time that passes only by sleeping."""

    time: float = 1_800_000_000.0

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


@dataclass
class SkewedClock:
    """A clock that is `ahead` seconds off another one."""

    clock: FakeClock
    ahead: float

    def now(self) -> float:
        return self.clock.now() + self.ahead

    def sleep(self, seconds: float) -> None:
        self.clock.sleep(seconds)


@dataclass
class FolderStore:
    """A blob container kept in a folder. `failure` is raised by every call while it is set; calls are
    counted.
    """

    folder: Path
    failure: Exception | None = None
    calls: list[str] = field(default_factory=list)

    def read(self, name: str, known_etag: str | None = None, limit: int = MESSAGE_LIMIT) -> Blob | Unread:
        self._called(f"read {name}")
        path = self.folder / name
        if not path.is_file():
            return Unread.ABSENT
        content = path.read_bytes()
        etag = hashlib.sha256(content).hexdigest()
        if etag == known_etag:
            return Unread.UNCHANGED
        if len(content) > limit:
            raise BlobTooLargeError(f"{name}: {len(content)} bytes, at most {limit} expected")
        return Blob(content, etag)

    def download(self, name: str, target: Path, limit: int) -> str | Unread:
        found = self.read(name, limit=limit)
        if not isinstance(found, Blob):
            return found
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(found.content)
        return found.etag

    def write(self, name: str, content: bytes) -> None:
        self._called(f"write {name}")
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(path.name + ".part")
        new.write_bytes(content)
        new.replace(path)

    def upload(self, name: str, source: IO[bytes]) -> None:
        self.write(name, source.read())

    def beginning(self, name: str, length: int) -> bytes | None:
        self._called(f"read {name}")
        path = self.folder / name
        return path.read_bytes()[:length] if path.is_file() else None

    def delete(self, name: str) -> None:
        self._called(f"delete {name}")
        (self.folder / name).unlink(missing_ok=True)

    def list(self, prefix: str = "") -> list[BlobEntry]:
        self._called(f"list {prefix}")
        return [
            BlobEntry(name, hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size)
            for path in sorted(self.folder.rglob("*"))
            if path.is_file() and (name := str(path.relative_to(self.folder))).startswith(prefix)
        ]

    def _called(self, call: str) -> None:
        self.calls.append(call)
        if self.failure:
            raise self.failure


@dataclass
class FakeEngine:
    """Containers that only change state."""

    containers: dict[str, ContainerState] = field(default_factory=dict)
    actions: list[str] = field(default_factory=list)
    limits: dict[str, Limits] = field(default_factory=dict)
    said: dict[str, list[str]] = field(default_factory=dict)
    """What a container wrote into its log."""
    reachable: bool = True
    on_start: Callable[[str], None] = lambda name: None
    execution: Callable[[str, list[str]], tuple[int, str]] = lambda name, command: (0, "")

    def state(self, name: str) -> ContainerState:
        self._reach()
        return self.containers.get(name, ContainerState(Running.ABSENT))

    def limit(self, name: str, limits: Limits) -> None:
        self._reach()
        self.limits[name] = limits

    def start(self, name: str) -> None:
        self._reach()
        self.actions.append(f"start {name}")
        self.containers[name] = ContainerState(Running.RUNNING)
        self.on_start(name)

    def crash(self, name: str, exit_code: int = 1) -> None:
        """It ends by itself, as nobody asked it to."""
        self.containers[name] = ContainerState(Running.STOPPED, exit_code)

    def stop(self, name: str, seconds: int = 10) -> None:
        self._reach()
        self.actions.append(f"stop {name}")
        self.containers[name] = ContainerState(Running.STOPPED, 0)

    def restart(self, name: str) -> None:
        self._reach()
        self.actions.append(f"restart {name}")
        self.containers[name] = ContainerState(Running.RUNNING)
        self.on_start(name)

    def execute(self, name: str, command: list[str]) -> tuple[int, str]:
        self._reach()
        return self.execution(name, command)

    def logs(self, name: str, lines: int) -> str:
        self._reach()
        return "".join(f"{line}\n" for line in self.said.get(name, [])[-lines:])

    def _reach(self) -> None:
        if not self.reachable:
            raise EngineUnreachableError("container engine: connection refused")
