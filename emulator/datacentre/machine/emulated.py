"""An emulated machine and its container engine, as the datacentre drives machines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from emulator.datacentre.errors import DatacentreError, UnknownContainerError
from emulator.datacentre.machine.engine_api import EngineApi
from emulator.datacentre.machine.machine import Container, Machine
from emulator.datacentre.machine.powered import Json
from emulator.datacentre.machine.runtime import Result

_LOG_CHUNK = 256 * 1024
_LOG_PAUSE = 0.1


class EmulatedMachine:
    """A `Machine`, whose containers are processes in namespaces, with its engine's socket."""

    def __init__(self, machine: Machine, *, rootless: bool) -> None:
        self.name = machine.name
        self.news = machine.news
        self._machine = machine
        self._engine = EngineApi(machine)
        self._rootless = rootless

    @property
    def problem(self) -> str:
        """Why it does not run as it should."""
        return self._machine.problem

    @problem.setter
    def problem(self, words: str) -> None:
        self._machine.problem = words

    async def boot(self, custom_data: str, user_data: str) -> None:
        """Open the engine's socket and boot; raises as `Machine.boot`."""
        self._machine.place.volatile.mkdir(parents=True, exist_ok=True)
        await self._engine.serve(rootless=self._rootless)
        await self._machine.boot(custom_data, user_data)

    async def crashed(self) -> None:
        """Wait until its first process ends by itself."""
        await self._machine.crashed()

    async def off(self) -> None:
        """End the engine and everything in the machine."""
        await self._engine.close()
        await self._machine.off()

    def health(self) -> list[Json]:
        """Return how its containers are doing."""
        return [_health(container) for container in self._machine.containers.values()]

    async def shell(self, script: str, *, seconds: float) -> Result:
        """Run a script; raises as `Machine.shell`."""
        return await self._machine.shell(script, seconds=seconds)

    async def command(self, words: tuple[str, ...], container: str | None) -> list[str]:
        """Return the command that enters the machine, or a container of it that runs."""
        if container is None:
            return self._machine.command(words)
        process = self._container(container).process
        if process is None or not self._container(container).running:
            raise DatacentreError(f"container {container} of {self.name} is not running")
        environment = [f"{key}={value}" for key, value in process.spec.environment.items()]
        return [*await process.enter(), "env", "-i", *environment, *words]

    async def log(self, container: str, *, follow: bool) -> AsyncGenerator[bytes, None]:
        """Yield a container's log from its file, which is cut when it has grown too long."""
        file = self._machine.log_of(self._container(container))
        at = 0
        yield b""  # there is such a container, whatever it has said
        while True:
            size = file.stat().st_size if file.exists() else 0
            if size < at:  # it was rotated
                at = 0
            if size > at:
                with file.open("rb") as log:
                    log.seek(at)
                    chunk = log.read(_LOG_CHUNK)
                at += len(chunk)
                yield chunk
            elif follow:
                await asyncio.sleep(_LOG_PAUSE)
            else:
                return

    def _container(self, name: str) -> Container:
        known = self._machine.containers
        if name not in known:
            raise UnknownContainerError(
                f"{self.name} has no container {name}; it has {', '.join(known) or 'none'}"
            )
        return known[name]


def _health(container: Container) -> Json:
    return {
        "name": container.service.name,
        "image": container.service.image,
        "status": container.status,
        "health": container.health,
        "exitCode": container.exit_code,
        "restarts": container.restarts,
        "error": container.error,
    }
