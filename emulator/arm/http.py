"""The control plane on the wire: HTTPS for the engine's machine, HTTP on a Unix socket for the datacentre.

Both hand every request to the front of the control plane (`faults.front`) and add nothing of their own, but
for one thing: who can open the socket owns the emulator, so that a request on it needs no token.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from emulator.arm import loose_json
from emulator.arm.control_plane import ControlPlane
from emulator.arm.faults import Handle, LostAnswerError
from emulator.arm.messages import Request, Response

WAITERS = 16
"""How many requests for changes may wait at a time."""
LARGEST_BODY = 4 * 1024 * 1024
"""Bytes of a request's body that Azure Resource Manager accepts.
https://learn.microsoft.com/azure/azure-resource-manager/management/request-limits-and-throttling"""


@dataclass(slots=True)
class Listeners:
    """Open listeners; `port` is the HTTPS one's."""

    port: int
    _runners: list[web.AppRunner]
    _workers: list[ThreadPoolExecutor]

    async def close(self) -> None:
        """Stop listening and finish what is being answered."""
        for runner in self._runners:
            await runner.cleanup()
        for workers in self._workers:
            workers.shutdown(wait=False, cancel_futures=True)


async def listen(
    plane: ControlPlane,
    *,
    certificate: Path,
    key: Path,
    socket: Path,
    host: str = "127.0.0.1",
    port: int = 0,
    handle: Handle | None = None,
) -> Listeners:
    """Open both listeners; a port of 0 takes a free one. A socket file left by a dead daemon is replaced.

    `handle` answers in place of the plane itself.
    """
    workers = ThreadPoolExecutor(4, thread_name_prefix="arm")
    waiters = ThreadPoolExecutor(WAITERS, thread_name_prefix="arm-wait")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    runners = []
    for trusted in (False, True):
        application = web.Application(client_max_size=LARGEST_BODY)
        handler = _Handler(plane, handle or plane.handle, workers, waiters, trusted)
        application.router.add_route("*", "/{path:.*}", handler.answer)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
        await runner.setup()
        runners.append(runner)
    site = web.TCPSite(runners[0], host, port, ssl_context=context)
    await site.start()
    socket.unlink(missing_ok=True)
    await web.UnixSite(runners[1], str(socket)).start()
    socket.chmod(0o600)
    return Listeners(port=runners[0].addresses[0][1], _runners=runners, _workers=[workers, waiters])


class _Handler:
    """Turns a request of aiohttp into one of the control plane, and its answer back."""

    def __init__(
        self,
        plane: ControlPlane,
        handle: Handle,
        workers: ThreadPoolExecutor,
        waiters: ThreadPoolExecutor,
        trusted: bool,
    ) -> None:
        self._plane = plane
        self._handle = handle
        self._workers = workers
        self._waiters = waiters
        self._trusted = trusted

    async def answer(self, request: web.Request) -> web.StreamResponse:
        try:
            body = _parse(await request.read())
        except ValueError as malformed:
            message = f"The request content was invalid and could not be deserialized: '{malformed}'."
            return _wire(
                Response(status=400, body={"error": {"code": "InvalidRequestContent", "message": message}})
            )
        headers = {name.lower(): value for name, value in request.headers.items()}
        if self._trusted and "authorization" not in headers:
            headers["authorization"] = f"Bearer {self._plane.issue_token()[0]}"
        asked = Request(
            method=request.method,
            path=request.path
            if not request.path.startswith("/emulator/")
            else request.raw_path.split("?")[0],
            query=dict(request.query),
            headers=headers,
            body=body,
        )
        pool = self._waiters if "wait" in request.query else self._workers
        try:
            return _wire(await asyncio.get_running_loop().run_in_executor(pool, self._handle, asked))
        except LostAnswerError:
            assert request.transport  # noqa: S101 the request came over it
            request.transport.abort()
            return web.Response()  # goes nowhere


def _parse(content: bytes) -> dict[str, Any] | None:
    if not content.strip():
        return None
    body = loose_json.loads(content.decode("utf-8-sig"))
    if not isinstance(body, dict):
        raise ValueError(f"a JSON object is expected, not {type(body).__name__}")
    return body


def _wire(answer: Response) -> web.Response:
    if answer.body is None:
        return web.Response(status=answer.status, headers=dict(answer.headers))
    return web.Response(
        status=answer.status,
        headers=dict(answer.headers),
        body=json.dumps(answer.body).encode(),
        content_type="application/json",
        charset="utf-8",
    )
