"""Its own interface: HTTP on a Unix socket, for `control.Datacentre`. Who opens it owns the datacentre."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

from aiohttp import web

from emulator.datacentre.core import Core
from emulator.datacentre.errors import UNKNOWN_CONTAINER, DatacentreError, UnknownContainerError
from emulator.datacentre.probe import Target
from emulator.datacentre.settings import code_state

Json = dict[str, Any]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Api:
    """Answers the requests that `control.Datacentre` makes."""

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
                web.put("/blobs/{container:.+}", self._upload),
                web.get("/blobs/{container:.+}", self._blobs),
                web.delete("/blobs/{container:.+}", self._delete),
                web.post("/desks", self._desk),
                web.get("/machines/{machine}/network", self._network),
                web.post("/machines/{machine}/run", self._run),
                web.post("/machines/{machine}/command", self._command),
                web.get("/machines/{machine}/logs/{container}", self._logs),
            ]
        )
        return application

    async def _status(self, _: web.Request) -> web.Response:
        return web.json_response(self._state())

    async def _ready(self, request: web.Request) -> web.Response:
        revision, seconds = int(request.query["revision"]), float(request.query["seconds"])
        reached = await self._core.ready(revision, seconds)
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

    async def _upload(self, request: web.Request) -> web.Response:
        """Write a blob as its account's owner."""
        container, name = "/" + request.match_info["container"], request.query["name"]
        written = await self._core.services.storage.upload(container, name, await request.read())
        return web.json_response({"written": written})

    async def _blobs(self, request: web.Request) -> web.Response:
        """List a container as its account's owner."""
        container = "/" + request.match_info["container"]
        return web.json_response(await self._core.services.storage.blobs(container))

    async def _delete(self, request: web.Request) -> web.Response:
        """Delete a blob as its account's owner."""
        container = "/" + request.match_info["container"]
        await self._core.services.storage.delete(container, request.query["name"])
        return web.json_response({})

    async def _desk(self, request: web.Request) -> web.Response:
        """Put a desk into a subnet, or at an address of the internet."""
        order = await request.json()
        put = self._core.desk if "subnet" in order else self._core.office
        return web.json_response({"name": await put(order.get("subnet") or order["address"], order["group"])})

    async def _network(self, request: web.Request) -> web.Response:
        """Answer how a process of the sandbox gets into a machine's network."""
        namespace = self._core.namespace(request.match_info["machine"])
        return web.json_response({"network": namespace.path, "resolver": str(self._core.resolver_file)})

    async def _run(self, request: web.Request) -> web.Response:
        """Run a shell script as root of a machine."""
        order = await request.json()
        machine = self._core.fleet.machine(request.match_info["machine"])
        try:
            result = await machine.shell(order["script"], seconds=order["seconds"])
        except TimeoutError:
            raise DatacentreError(
                f"the script did not end within {order['seconds']} s on {machine.name}; it was killed"
            ) from None
        return web.json_response(
            {
                "code": result.code,
                "stdout": result.stdout.decode(errors="replace"),
                "stderr": result.stderr.decode(errors="replace"),
            }
        )

    async def _command(self, request: web.Request) -> web.Response:
        """Answer what a process of the sandbox executes to run a command in a machine, or in a container."""
        order = await request.json()
        machine = self._core.fleet.machine(request.match_info["machine"])
        return web.json_response(await machine.command(tuple(order["argv"]), order["container"]))

    async def _logs(self, request: web.Request) -> web.StreamResponse:
        """Answer a container's log, and with ``follow=1`` what is added to it, until the caller leaves."""
        machine = self._core.fleet.machine(request.match_info["machine"])
        log = machine.log(request.match_info["container"], follow=request.query.get("follow") == "1")
        async with contextlib.aclosing(log) as chunks:
            first = await anext(chunks, b"")  # refused, if at all, before an answer begins
            answer = web.StreamResponse()
            await answer.prepare(request)
            await answer.write(first)
            async for chunk in chunks:
                await answer.write(chunk)
            await answer.write_eof()
        return answer

    def _state(self) -> Json:
        return {
            "code": self._code,
            "revision": self._core.revision,
            "problems": self._core.problems,
            "machines": self._core.fleet.health(),
        }


@web.middleware
async def _refusals(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer a DatacentreError as a refusal with its words; anything else is a defect and stays a 500."""
    try:
        return await handler(request)
    except DatacentreError as refused:
        status = UNKNOWN_CONTAINER if isinstance(refused, UnknownContainerError) else 400
        return web.json_response({"error": str(refused)}, status=status)
