"""The fabric's own interface: HTTP on a Unix socket, for `control.Fabric`. Who opens it owns the fabric."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

from aiohttp import web

from emulator.fabric.core import Core
from emulator.fabric.errors import FabricError
from emulator.fabric.probe import Target
from emulator.fabric.settings import code_state

Json = dict[str, Any]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Api:
    """Answers the requests that `control.Fabric` makes."""

    def __init__(self, core: Core, ended: asyncio.Event) -> None:
        self._core = core
        self._ended = ended
        self._code = code_state()

    def application(self) -> web.Application:
        """Return the web application."""
        application = web.Application(middlewares=[_refusals], client_max_size=1 << 30)
        application.add_routes(
            [
                web.get("/status", self._status),
                web.get("/ready", self._ready),
                web.post("/stop", self._stop),
                web.post("/probe", self._probe),
                web.get("/flows", self._flows),
                web.delete("/flows", self._forget_flows),
            ]
        )
        return application

    async def _status(self, _: web.Request) -> web.Response:
        return web.json_response(self._state())

    async def _ready(self, request: web.Request) -> web.Response:
        revision, seconds = int(request.query["revision"]), float(request.query["seconds"])
        reached = await self._core.wait_for(revision, lambda: True, seconds)
        return web.json_response({"ready": reached, **self._state()})

    async def _stop(self, _: web.Request) -> web.Response:
        self._ended.set()
        return web.json_response({})

    async def _probe(self, request: web.Request) -> web.Response:
        order = await request.json()
        targets = [Target(**target) for target in order["targets"]]
        probes = await self._core.probe(order["sources"], targets, order["seconds"])
        return web.json_response([asdict(probe) for probe in probes])

    async def _flows(self, _: web.Request) -> web.Response:
        return web.json_response([asdict(flow) for flow in await self._core.flows()])

    async def _forget_flows(self, _: web.Request) -> web.Response:
        await self._core.forget_flows()
        return web.json_response({})

    def _state(self) -> Json:
        return {
            "code": self._code,
            "revision": self._core.revision,
            "problems": self._core.problems,
        }


@web.middleware
async def _refusals(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer a FabricError as a refusal with its words; anything else is a defect and stays a 500."""
    try:
        return await handler(request)
    except FabricError as refused:
        return web.json_response({"error": str(refused)}, status=400)
