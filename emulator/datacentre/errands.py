"""Asks the keeper to run commands in the machine's own network (see `keeper`)."""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from emulator.datacentre.errors import DatacentreError

_LOG_LINES = 20


class Errands:
    """Runs commands outside the datacentre's network; several at a time."""

    def __init__(self, keeper: socket.socket) -> None:
        self._keeper = keeper
        self._numbers = itertools.count()
        self._waiting: dict[int, asyncio.Future[int]] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._listener: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to listen for answers."""
        reader, self._writer = await asyncio.open_connection(sock=self._keeper)
        self._listener = asyncio.create_task(self._listen(reader))

    async def run(
        self, argv: Sequence[str], log: Path, what: str, env: Mapping[str, str] | None = None
    ) -> None:
        """Run a command, output appended to `log`; raise DatacentreError with the log's end when it fails.

        `what` completes the sentence "could not ...".
        """
        if self._writer is None:
            raise RuntimeError("start() comes first")
        number = next(self._numbers)
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        order = {"id": number, "argv": list(argv), "env": dict(env or {}), "log": str(log)}
        self._writer.write(json.dumps(order).encode() + b"\n")
        await self._writer.drain()
        if code := await answer:
            end = "\n  ".join(log.read_text(errors="replace").splitlines()[-_LOG_LINES:])
            raise DatacentreError(
                f"could not {what} ({argv[0]} ended with {code}). The end of {log}:\n  {end}"
            )

    def into(self, log: Path) -> Callable[[Sequence[str], str], Awaitable[None]]:
        """Return `run` for one log."""
        return lambda argv, what: self.run(argv, log, what)

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            answer = json.loads(line)
            self._waiting.pop(answer["id"]).set_result(answer["code"])
