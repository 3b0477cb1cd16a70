"""Runs commands in a real machine through QEMU's guest agent, which stands for Azure's.

The protocol: https://www.qemu.org/docs/master/interop/qemu-ga-ref.html, a JSON object a line, on a port of
virtio-serial.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import secrets
from pathlib import Path
from typing import Any

from emulator.datacentre.errors import DatacentreError
from emulator.datacentre.machine.runtime import Result

PORT = "org.qemu.guest_agent.0"
_ENVIRONMENT = [
    "HOME=/root",
    "LANG=C.UTF-8",
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
]
_LARGEST_ANSWER = 64 * 1024 * 1024
_ANSWER_SECONDS = 60.0
_SYNC_SECONDS = 60.0
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0


class Agent:
    """The agent of one machine, behind the Unix socket of its port."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._turn = asyncio.Lock()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ready(self) -> None:
        """Wait until the agent answers."""
        while True:
            with contextlib.suppress(DatacentreError):
                async with self._turn:
                    await self._connected()
                return
            await asyncio.sleep(_LONGEST_PAUSE)

    async def run(self, script: str, *, seconds: float | None = None) -> Result:
        """Run a shell script as root.

        Raises TimeoutError when it takes longer, DatacentreError without an answer.
        """
        order = {"path": "/bin/sh", "arg": ["-c", script], "env": _ENVIRONMENT, "capture-output": True}
        pid = (await self._ask("guest-exec", order))["pid"]
        try:
            async with asyncio.timeout(seconds):
                status = await self._end_of(pid)
        except TimeoutError:
            await self._ask("guest-exec", {"path": "/bin/kill", "arg": ["-KILL", str(pid)]})
            raise
        return Result(
            int(status.get("exitcode", 128 + int(status.get("signal", 0)))),
            base64.b64decode(status.get("out-data", "")),
            base64.b64decode(status.get("err-data", "")),
        )

    def close(self) -> None:
        """Hang up."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def _end_of(self, pid: int) -> dict[str, Any]:
        """Ask until a command has ended: the agent tells nothing by itself."""
        for attempt in itertools.count():
            status: dict[str, Any] = await self._ask("guest-exec-status", {"pid": pid})
            if status["exited"]:
                return status
            await asyncio.sleep(min(_SHORTEST_PAUSE * 2 ** min(attempt, 8), _LONGEST_PAUSE))
        raise AssertionError("count() has no end")

    async def _ask(self, what: str, arguments: dict[str, Any]) -> Any:
        async with self._turn:
            reader, writer = await self._connected()
            try:
                async with asyncio.timeout(_ANSWER_SECONDS):
                    answer = await _exchange(reader, writer, what, arguments)
            except (TimeoutError, OSError, ValueError) as silent:
                self.close()
                raise DatacentreError(f"the machine's agent does not answer {what}: {silent!r}") from silent
            except asyncio.CancelledError:
                self.close()  # its answer, still to come, is nobody's
                raise
        if "error" in answer:
            raise DatacentreError(f"the machine's agent refuses {what}: {answer['error'].get('desc')}")
        return answer["return"]

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Return a connection on which the next answer is the next question's."""
        if self._streams is None:
            try:
                async with asyncio.timeout(_SYNC_SECONDS):
                    self._streams = await _opened(self._socket)
            except (TimeoutError, OSError, EOFError, ValueError) as silent:
                raise DatacentreError(f"the machine's agent does not answer yet: {silent!r}") from silent
        return self._streams


async def _opened(socket: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect; hang up again where nobody answers, for QEMU serves one connection at a time."""
    reader, writer = await asyncio.open_unix_connection(str(socket), limit=_LARGEST_ANSWER)
    try:
        await _synchronise(reader, writer)
    except BaseException:
        writer.close()
        raise
    return reader, writer


async def _synchronise(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read past the answers to questions of before: `guest-sync-delimited` marks its own with a byte 0xFF."""
    mark = secrets.randbelow(1 << 30)
    order = {"execute": "guest-sync-delimited", "arguments": {"id": mark}}
    writer.write(b"\xff" + json.dumps(order).encode() + b"\n")
    await writer.drain()
    while True:
        await reader.readuntil(b"\xff")
        if json.loads(await reader.readline()).get("return") == mark:
            return


async def _exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, what: str, arguments: dict[str, Any]
) -> dict[str, Any]:
    writer.write(json.dumps({"execute": what, "arguments": arguments}).encode() + b"\n")
    await writer.drain()
    line = await reader.readline()
    if not line:
        raise ConnectionResetError("it hung up")
    answer: dict[str, Any] = json.loads(line)
    return answer
