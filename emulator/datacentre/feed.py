"""Talks to the control plane on its Unix socket: follows changes, answers commands, reports machines."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp

Json = dict[str, Any]

WAIT_SECONDS = 30.0
_RETRY_SECONDS = 0.5

log = logging.getLogger(__name__)


class ControlPlane:
    """The control plane as the datacentre sees it. Who may open the socket needs no token."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._session = aiohttp.ClientSession(
            connector=aiohttp.UnixConnector(path=str(socket)),
            timeout=aiohttp.ClientTimeout(total=WAIT_SECONDS + 15),
        )

    async def changes(self) -> AsyncIterator[tuple[Json, bool]]:
        """Yield every answer with news, forever, and whether it is the whole state rather than a difference.

        A control plane that is away is waited for. One that is behind what it said before has lost its store,
        and is read from the start.
        """
        since, wait, away = 0, 0.0, False
        while True:
            try:
                answer = await self._get(since, wait)
            except (TimeoutError, aiohttp.ClientError, OSError) as gone:
                if not away:
                    log.warning("the control plane at %s does not answer (%r)", self._socket, gone)
                away = True
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            away = False
            if answer["revision"] < since:
                log.warning("the control plane started again; reading everything again")
                since, wait = 0, 0.0
                continue
            if not wait or answer["revision"] > since or answer["commands"]:
                yield answer, since == 0
            since, wait = answer["revision"], WAIT_SECONDS

    async def answer_command(self, operation: str, result: Json) -> None:
        """Tell the result of a runCommand."""
        await self._send("POST", f"/emulator/commands/{quote(operation, safe='')}", result)

    async def report_machine(self, identifier: str, health: Json) -> None:
        """Tell how a machine is doing."""
        await self._send("PUT", f"/emulator/vms/{quote(identifier, safe='')}", health)

    async def put(self, path: str, api_version: str, body: Json) -> tuple[int, Json]:
        """PUT a resource as ARM's clients do; return the status and the answer."""
        async with self._session.put(
            f"http://arm{path}", params={"api-version": api_version}, json=body
        ) as answer:
            return answer.status, await answer.json(content_type=None) or {}

    async def delete(self, path: str, api_version: str) -> tuple[int, Json]:
        """DELETE a resource; return the status and the answer."""
        async with self._session.delete(f"http://arm{path}", params={"api-version": api_version}) as answer:
            return answer.status, await answer.json(content_type=None) or {}

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def _get(self, since: int, wait: float) -> Json:
        url = f"http://arm/emulator/changes?since={since}&wait={wait:.0f}"
        async with self._session.get(url, raise_for_status=True) as answer:
            found: Json = await answer.json()
            return found

    async def _send(self, method: str, path: str, body: Json) -> None:
        async with self._session.request(
            method, "http://arm" + path, json=body, raise_for_status=True
        ) as answer:
            await answer.read()
