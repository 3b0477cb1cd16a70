"""What the datacentre asks of a machine whose power is on, whatever it is made of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, Protocol

from emulator.datacentre.machine.runtime import Result

Json = dict[str, Any]


class PoweredMachine(Protocol):
    """A machine from `boot` until `off`. `news` is set whenever what `health` answers may have changed."""

    name: str
    problem: str
    news: asyncio.Event

    async def boot(self, custom_data: str, user_data: str) -> None:
        """Boot from customData, with userData (both base64); raise DatacentreError or OSError if not."""

    async def crashed(self) -> None:
        """Wait until it ends by itself and is to be booted again; forever for one that did not boot."""

    async def off(self) -> None:
        """Switch the power off: everything in the machine ends at once."""

    def health(self) -> list[Json]:
        """Return its containers.

        Each has ``name``, ``image``, ``status``, ``health``, ``exitCode``, ``restarts`` and ``error``.
        """

    async def shell(self, script: str, *, seconds: float) -> Result:
        """Run a shell script as root of the machine; raise TimeoutError when it takes longer."""

    async def command(self, words: tuple[str, ...], container: str | None) -> list[str]:
        """Return what a process of the sandbox executes to run a command as root, or in a container."""

    def log(self, container: str, *, follow: bool) -> AsyncGenerator[bytes, None]:
        """Yield what a container has said, and go on with what it says when `follow`.

        Raises UnknownContainerError for one that the machine does not have.
        """
