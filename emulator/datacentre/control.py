"""Starts, finds, asks and ends a clone's datacentre: the one way into `emulator.datacentre` from outside."""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx

from emulator.datacentre import sandbox, tunnel
from emulator.datacentre.errors import UNKNOWN_CONTAINER, DatacentreError, UnknownContainerError
from emulator.datacentre.flows import Flow
from emulator.datacentre.probe import Probe, Target
from emulator.datacentre.settings import Settings, code_state
from emulator.record import start_time

if TYPE_CHECKING:
    from emulator.control import Emulator

START_SECONDS = 20.0
STOP_SECONDS = 15.0
_ANSWER_SECONDS = 60.0
_LOG_LINES = 15
_LOG_BYTES = 2_000_000


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command answered."""

    code: int
    stdout: str
    stderr: str


@dataclass(frozen=True, slots=True)
class Datacentre:
    """A datacentre that answered when this handle was made.

    `pid` is its sandbox's first process, `started` when that began (clock ticks since boot).
    """

    settings: Settings
    pid: int
    started: int

    @classmethod
    def ensure(cls, emulator: Emulator | None = None) -> Datacentre:
        """Return the running datacentre of an emulator (of this process's home without one), or start it.

        It then follows that emulator's control plane and builds what ARM's state asks for; `wait_ready` says
        when it has. One whose sources have changed since is replaced. Two callers at once get the same one.
        Raises DatacentreError with the end of its log when it does not come up in 20 s.
        """
        settings = Settings.of(emulator)
        settings.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _one_starter(settings):
            found = cls._find(settings)
            if found and found.status()["code"] != code_state():
                found.stop()
                found = None
            return found or cls._start(settings)

    @classmethod
    def running(cls, emulator: Emulator | None = None) -> Datacentre | None:
        """Return the datacentre of an emulator if it runs and answers, else None."""
        return cls._find(Settings.of(emulator))

    def stop(self) -> None:
        """End the datacentre and wait until nothing of it is left but its files (disks, blobs, logs)."""
        try:
            self._ask("POST", "/stop", seconds=STOP_SECONDS)
            deadline = time.monotonic() + STOP_SECONDS
            while start_time(self.pid) == self.started and time.monotonic() < deadline:
                time.sleep(0.01)
        except DatacentreError:
            pass  # it does not answer: what follows needs no answer
        if start_time(self.pid) == self.started:
            sandbox.kill(self.pid)
        _sweep(self.settings)

    @classmethod
    def destroy(cls, emulator: Emulator | None = None) -> None:
        """End the datacentre of an emulator if it runs, and remove its files: disks, blobs, logs, sockets."""
        settings = Settings.of(emulator)
        if found := cls._find(settings):
            found.stop()
        _sweep(settings)
        if settings.state.exists():
            shutil.rmtree(settings.state)

    def status(self) -> dict[str, Any]:
        """Return what the datacentre says of itself: ``code``, ``revision``, ``problems``, ``machines``.

        ``machines`` are the running ones by name: ``problem`` and ``containers``, each with ``name``,
        ``image``, ``status``, ``health``, ``exitCode``, ``restarts`` and ``error``.
        """
        return self._ask("GET", "/status")  # type: ignore[no-any-return]

    def wait_ready(self, revision: int = 0, seconds: float = _ANSWER_SECONDS) -> dict[str, Any]:
        """Wait until ARM's state up to a revision runs, and return `status`.

        Raises DatacentreError when that takes over `seconds`, or if something in ARM's state cannot run
        here; the message says what.
        """
        state: dict[str, Any] = self._ask(
            "GET", f"/ready?revision={revision}&seconds={seconds}", seconds=seconds + _ANSWER_SECONDS
        )
        if not state["ready"]:
            raise DatacentreError(f"the datacentre is not ready after {seconds:.0f} s: it says {state}")
        if state["problems"]:
            raise DatacentreError("not everything runs:\n  " + "\n  ".join(state["problems"]))
        return state

    def probe(
        self, sources: Sequence[str] = (), targets: Sequence[Target] = (), seconds: float = 1.0
    ) -> list[Probe]:
        """Open real connections from every source to every target, all at once.

        A source is a machine's name or id, or ``subnet:<id>`` for a machine that nobody ordered, placed in
        that subnet for the moment; without sources, every machine is one. Returns one `Probe` a pair.
        """
        order = {
            "sources": list(sources),
            "targets": [asdict(target) for target in targets],
            "seconds": seconds,
        }
        return [Probe(**found) for found in self._ask("POST", "/probe", order)]

    def run(self, machine: str, script: str, seconds: float = 60.0) -> Ran:
        """Run a shell script as root of a machine (by name or id) and return what it answered.

        Raises DatacentreError when the machine is off or the script takes longer than `seconds`.
        """
        order = {"script": script, "seconds": seconds}
        return Ran(**self._ask("POST", f"/machines/{quote(machine, safe='')}/run", order, seconds + 10))

    def exec(
        self,
        machine: str,
        argv: Sequence[str],
        *,
        container: str | None = None,
        environment: Mapping[str, str] | None = None,
        seconds: float = 60.0,
    ) -> Ran:
        """Run a command as root of a machine, or in one of its containers; see `run`."""
        named = [f"{name}={value}" for name, value in (environment or {}).items()]
        words = [*(["docker", "exec", container] if container else []), "env", *named, *argv]
        return self.run(machine, shlex.join(words), seconds)

    def command(
        self, machine: str, argv: Sequence[str] = ("bash", "-l"), container: str | None = None
    ) -> list[str]:
        """Return the command that runs `argv` as root of a machine, or in one of its containers.

        Execute it with whatever input, output and terminal it shall have.
        """
        order = {"argv": list(argv), "container": container}
        words = self._ask("POST", f"/machines/{quote(machine, safe='')}/command", order)
        return sandbox.enter(self.settings, self.pid, words)

    def inside(self, machine: str, argv: Sequence[str]) -> list[str]:
        """Return the command that runs `argv` in a machine's network, with its names, on your own files.

        For clients that are not installed in the machine; it works whether the machine is on or not.
        """
        place = self._ask("GET", f"/machines/{quote(machine, safe='')}/network")
        into = ["nsenter", f"--net={place['network']}", "--", "unshare", "--mount", "--", "sh", "-c"]
        script = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'
        return sandbox.enter(self.settings, self.pid, [*into, script, place["resolver"], *argv])

    def desk(self, subnet: str, group: str) -> str:
        """Put a machine of people's own into a subnet (its ARM id) and return its name, for `inside`.

        ARM knows nothing of it. Whoever works there is signed in as a member of an Entra group (its object
        id). The same subnet and group are the same desk. Raises DatacentreError when ARM has no such subnet.
        """
        return str(self._ask("POST", "/desks", {"subnet": subnet, "group": group})["name"])

    def office(self, address: str, group: str) -> str:
        """Put such a machine at a public address of the internet and return its name, for `inside`."""
        return str(self._ask("POST", "/desks", {"address": address, "group": group})["name"])

    @contextmanager
    def forward(self, machine: str, port: int, local_port: int = 0) -> Iterator[int]:
        """Lead a port of 127.0.0.1 (yielded) to a port of a machine's loopback while the block runs.

        Raises DatacentreError when nothing answers there.
        """
        with tunnel.forward(self.settings.tunnel, machine, port, local_port) as local:
            yield local

    def logs(self, machine: str, container: str, *, follow: bool = False) -> Iterator[bytes]:
        """Yield what a container has said, in pieces; with `follow`, what it goes on to say, forever."""
        path = f"/machines/{quote(machine, safe='')}/logs/{quote(container, safe='')}?follow={follow:d}"
        forever = httpx.Timeout(10, read=None)
        with self._client(10) as client, client.stream("GET", path, timeout=forever) as answer:
            if answer.is_error:
                answer.read()
                _checked(answer)
            yield from answer.iter_raw()

    def upload(self, container: str, blob: str, content: bytes) -> bool:
        """Write a blob as the owner of its account does by a way of their own, such as a hospital its data.

        `container` is the container's ARM id. Says whether the blob was written: one that has this content
        already keeps its ETag. Raises DatacentreError when ARM has no such container.
        """
        path = f"/blobs{quote(container)}?name={quote(blob, safe='')}"
        with self._client(_ANSWER_SECONDS) as client:
            answer = client.put(path, content=content)
        return bool(_checked(answer)["written"])

    def delete(self, container: str, blob: str) -> None:
        """Delete a blob as the owner of its account may, by a way of their own."""
        self._ask("DELETE", f"/blobs{quote(container)}?name={quote(blob, safe='')}")

    def blobs(self, container: str) -> dict[str, str]:
        """Return the blobs of a container (its ARM id), each with its MD5 in base64; empty without one."""
        return dict(self._ask("GET", f"/blobs{quote(container)}"))

    @classmethod
    def has_blobs(cls, emulator: Emulator) -> bool:
        """Say whether any container of an emulator was ever written to; no datacentre need run for that."""
        record = Settings.of(emulator).containers
        return record.exists() and bool(json.loads(record.read_text()))

    def flows(self) -> list[Flow]:
        """Return the flow log of the last day: what passed and was dropped, and by which rule."""
        return [Flow(**found) for found in self._ask("GET", "/flows")]

    def forget_flows(self) -> None:
        """Empty the flow log."""
        self._ask("DELETE", "/flows")

    @classmethod
    def _find(cls, settings: Settings) -> Datacentre | None:
        pid = sandbox.first_process(settings)
        started = start_time(pid) if pid else None
        if not pid or not started:
            return None
        found = cls(settings, pid, started)
        try:
            found.status()
        except DatacentreError:
            return None
        return found

    @classmethod
    def _start(cls, settings: Settings) -> Datacentre:
        if settings.log.exists() and settings.log.stat().st_size > _LOG_BYTES:
            settings.log.replace(settings.log.with_suffix(".log.1"))
        process = sandbox.start(settings)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if found := cls._find(settings):
                return found
            if process.poll() is not None:
                raise DatacentreError(_did_not_start(settings, f"ended with exit code {process.returncode}"))
            time.sleep(0.005)
        process.kill()
        raise DatacentreError(_did_not_start(settings, f"did not answer within {START_SECONDS:.0f} s"))

    def _client(self, seconds: float) -> httpx.Client:
        transport = httpx.HTTPTransport(uds=str(self.settings.socket))
        return httpx.Client(transport=transport, base_url="http://datacentre", timeout=seconds)

    def _ask(self, method: str, path: str, body: Any = None, seconds: float = _ANSWER_SECONDS) -> Any:
        try:
            with self._client(seconds) as client:
                return _checked(client.request(method, path, json=body))
        except httpx.TransportError as gone:
            raise DatacentreError(
                _told(self.settings, f"the datacentre does not answer any more ({gone!r})")
            ) from gone


def _checked(answer: httpx.Response) -> Any:
    """Return the JSON of an answer; raise DatacentreError when it was refused, UnknownContainerError where a
    machine has no such container.
    """
    if answer.status_code == UNKNOWN_CONTAINER:
        raise UnknownContainerError(answer.json()["error"])
    if answer.status_code == 400:
        raise DatacentreError(answer.json()["error"])
    answer.raise_for_status()
    return answer.json()


def _sweep(settings: Settings) -> None:
    """Remove what a datacentre leaves in the folder of sockets, also one that was killed."""
    for path in (settings.socket, settings.tunnel):
        path.unlink(missing_ok=True)
    if settings.volatile.exists():
        shutil.rmtree(settings.volatile)


@contextmanager
def _one_starter(settings: Settings) -> Iterator[None]:
    """Let one caller at a time look for the datacentre and start it."""
    descriptor = os.open(settings.state / "start.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _did_not_start(settings: Settings, what: str) -> str:
    return _told(settings, f"the datacentre {what}. `fed doctor` tries what it needs")


def _told(settings: Settings, what: str) -> str:
    lines = settings.log.read_text(errors="replace").splitlines()[-_LOG_LINES:]
    return f"{what}. The end of {settings.log}:\n  " + "\n  ".join(lines)
