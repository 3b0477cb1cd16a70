"""The VM's container engine, as far as this service may use it: the managed containers, by their names."""

from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

import docker
import docker.errors
import requests

from container_server.errors import ContainerServerError, TransientError

EXEC_OUTPUT_LIMIT = 64 * 1024
STOP_SECONDS = 10


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


class Engine(Protocol):
    """May raise EngineUnreachableError."""

    def state(self, name: str) -> ContainerState:
        """What the container is doing."""

    def start(self, name: str) -> None:
        """Start it; nothing happens when it runs."""

    def stop(self, name: str, seconds: int = STOP_SECONDS) -> None:
        """Stop it, by force after so many seconds, and keep it stopped; nothing when it does not run."""

    def restart(self, name: str) -> None:
        """Stop and start it."""

    def execute(self, name: str, command: list[str]) -> tuple[int, str]:
        """Run a command inside it: exit code and the end of stdout."""


class DockerEngine:
    """Engine by the Docker Engine API."""

    def __init__(self, address: str = "unix:///var/run/docker.sock", timeout: int = 120) -> None:
        self._address = address
        self._timeout = timeout
        self._connected: docker.DockerClient | None = None

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
