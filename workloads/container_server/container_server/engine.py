"""The VM's container engine, as far as this service may use it: the managed containers, by their names."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

import docker
import docker.errors
import requests

from container_server.errors import ContainerServerError, TransientError

EXEC_OUTPUT_LIMIT = 64 * 1024
STOP_SECONDS = 10
SCRATCH = "/tmp"  # noqa: S108 in a container
MIB = 1024 * 1024


class EngineUnreachableError(TransientError):
    """The engine does not answer, or does not know the container yet."""


class Running(Enum):
    """What a container is doing."""

    ABSENT = "absent"
    STOPPED = "stopped"
    RUNNING = "running"
    RESTARTING = "restarting"


@dataclass(frozen=True)
class ContainerState:
    """A container as the engine sees it; `exit_code` is that of its last end, None while it never ended.

    `health` is what its own check says: starting, healthy, unhealthy, or nothing where it has none.
    """

    running: Running
    exit_code: int | None = None
    health: str = ""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a container may use: `cpus` None for as many as there are."""

    memory_mb: int
    cpus: float | None
    processes: int
    scratch_mb: int
    """In /tmp."""

    def of(self, host: Mapping[str, Any]) -> dict[str, Any]:
        """What Docker calls a container's HostConfig, with these limits in the place of its own."""
        options = [one for one in host["Tmpfs"][SCRATCH].split(",") if not one.startswith("size=")]
        memory = self.memory_mb * MIB
        return {
            **host,
            "Memory": memory,
            "MemorySwap": memory,
            "NanoCpus": round((self.cpus or 0) * 1e9),
            "PidsLimit": self.processes,
            "Tmpfs": {**host["Tmpfs"], SCRATCH: ",".join([f"size={self.scratch_mb}m", *options])},
        }


class Engine(Protocol):
    """May raise EngineUnreachableError."""

    def state(self, name: str) -> ContainerState:
        """What the container is doing."""

    def limit(self, name: str, limits: Limits) -> None:
        """Give it, which does not run, these limits; where they are others it is made again."""

    def start(self, name: str) -> None:
        """Start it; nothing happens when it runs."""

    def stop(self, name: str, seconds: int = STOP_SECONDS) -> None:
        """Stop it, by force after so many seconds, and keep it stopped; nothing when it does not run."""

    def restart(self, name: str) -> None:
        """Stop and start it."""

    def execute(self, name: str, command: list[str]) -> tuple[int, str]:
        """Run a command inside it: exit code and the end of stdout."""

    def logs(self, name: str, lines: int) -> str:
        """The last lines of what it said."""


class DockerEngine:
    """Engine by the Docker Engine API."""

    def __init__(self, address: str = "unix:///var/run/docker.sock", timeout: int = 120) -> None:
        self._address = address
        self._timeout = timeout
        self._connected: docker.DockerClient | None = None
        self._removed: dict[str, Any] = {}
        """What containers were that are still to be made again."""

    def state(self, name: str) -> ContainerState:
        """See Engine."""
        try:
            container = self._client().containers.get(name)
        except docker.errors.NotFound:
            return ContainerState(Running.ABSENT)
        except (docker.errors.DockerException, requests.RequestException) as error:
            raise EngineUnreachableError(f"container engine, {name}: {error}") from error
        state: dict[str, Any] = container.attrs["State"]
        if state.get("Status") == "restarting":
            return ContainerState(Running.RESTARTING, int(state.get("ExitCode", 0)))
        if state.get("Running"):
            health = str((state.get("Health") or {}).get("Status", ""))
            return ContainerState(Running.RUNNING, None, health)
        ended = state.get("Status") in ("exited", "dead")
        return ContainerState(Running.STOPPED, int(state.get("ExitCode", 0)) if ended else None)

    def limit(self, name: str, limits: Limits) -> None:
        """See Engine. Docker changes no tmpfs of a container that is there (`docker update`)."""
        try:
            api = self._client().api
            found = self._found(name)
            wanted = limits.of(found["HostConfig"])
            if wanted != found["HostConfig"] and name not in self._removed:
                self._removed[name] = found
                api.remove_container(name)
            if name in self._removed:
                config = {**found["Config"], "HostConfig": wanted}
                api.create_container_from_config(config, name)  # type: ignore[no-untyped-call]
                del self._removed[name]
        except (docker.errors.DockerException, requests.RequestException) as error:
            raise EngineUnreachableError(f"container engine, limits of {name}: {error}") from error

    def _found(self, name: str) -> dict[str, Any]:
        """A container as it is, or as it was before it was removed: nothing else makes it again."""
        try:
            found: dict[str, Any] = self._client().api.inspect_container(name)
        except docker.errors.NotFound:
            if name not in self._removed:
                raise
            return self._removed[name]  # type: ignore[no-any-return]
        self._removed.pop(name, None)
        return found

    def start(self, name: str) -> None:
        """See Engine."""
        self._do("start", name)

    def stop(self, name: str, seconds: int = STOP_SECONDS) -> None:
        """See Engine."""
        self._do("stop", name, timeout=seconds)

    def restart(self, name: str) -> None:
        """See Engine."""
        self._do("restart", name, timeout=STOP_SECONDS)

    def execute(self, name: str, command: list[str]) -> tuple[int, str]:
        """See Engine."""
        result = self._do("exec_run", name, cmd=command, stdout=True, stderr=True, demux=True)
        stdout, stderr = result.output
        if result.exit_code is None:
            raise ContainerServerError(
                f"exec in {name} ended without an exit code: {(stderr or b'')[-300:]!r}"
            )
        return int(result.exit_code), (stdout or b"").decode(errors="replace")[-EXEC_OUTPUT_LIMIT:]

    def logs(self, name: str, lines: int) -> str:
        """See Engine."""
        return bytes(self._do("logs", name, tail=lines)).decode(errors="replace")

    def _do(self, action: str, name: str, **arguments: Any) -> Any:
        try:
            return getattr(self._client().containers.get(name), action)(**arguments)
        except (docker.errors.DockerException, requests.RequestException) as error:
            raise EngineUnreachableError(f"container engine, {action} {name}: {error}") from error

    def _client(self) -> docker.DockerClient:
        if self._connected is None:  # the first call asks the engine for its API version
            self._connected = docker.DockerClient(
                base_url=self._address, timeout=self._timeout, version="auto"
            )
        return self._connected
