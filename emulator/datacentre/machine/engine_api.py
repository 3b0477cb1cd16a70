"""The part of the Docker Engine API that a machine's containers and its `docker` command use, on its socket.

Real wire format (https://docs.docker.com/reference/api/engine/version/v1.44/): the PyPI package
`docker` works unchanged. Containers come from the compose file at boot; one can be made
again with other limits.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import signal
import sys
import termios
import uuid
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from aiohttp import web

from emulator.datacentre.errors import DatacentreError
from emulator.datacentre.machine.compose import SHARED_MEMORY, Service
from emulator.datacentre.machine.machine import SOCKET_GROUP, STOP_SECONDS, Container, Machine
from emulator.datacentre.machine.runtime import Process

API_VERSION = "1.44"
STDOUT, STDERR = 1, 2
_FOLLOW_SECONDS = 0.2
_TAKEN_SECONDS = 10.0
_TAKEN_PAUSE = 0.002

Json = dict[str, Any]


@dataclass(slots=True)
class _Exec:
    container: Container
    command: list[str]
    running: bool = False
    code: int | None = None


class EngineApi:
    """Serves one machine's engine on its socket."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._execs: dict[str, _Exec] = {}
        self._removed: dict[str, Container] = {}
        self._runner: web.AppRunner | None = None

    async def serve(self, *, rootless: bool) -> None:
        """Open the socket, for root and the socket's group."""
        application = web.Application(middlewares=[_refusals])
        for prefix in ("", "/v{version:[0-9.]+}"):
            application.add_routes(
                [
                    web.get(f"{prefix}/_ping", self._ping),
                    web.get(f"{prefix}/version", self._version),
                    web.get(f"{prefix}/info", self._info),
                    web.get(f"{prefix}/containers/json", self._list),
                    web.post(f"{prefix}/containers/create", self._create),
                    web.delete(f"{prefix}/containers/{{name}}", self._remove),
                    web.get(f"{prefix}/containers/{{name}}/json", self._inspect),
                    web.get(f"{prefix}/containers/{{name}}/logs", self._logs),
                    web.post(f"{prefix}/containers/{{name}}/exec", self._make_exec),
                    web.post(f"{prefix}/containers/{{name}}/{{action:start|stop|restart|kill}}", self._act),
                    web.post(f"{prefix}/exec/{{id}}/start", self._start_exec),
                    web.get(f"{prefix}/exec/{{id}}/json", self._inspect_exec),
                ]
            )
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        socket = self._machine.engine_socket
        socket.parent.mkdir(parents=True, exist_ok=True)
        socket.unlink(missing_ok=True)
        # Through the folder's descriptor: a socket's own path may be 107 bytes long at most.
        folder = os.open(socket.parent, os.O_PATH)
        try:
            await web.UnixSite(self._runner, f"/proc/self/fd/{folder}/{socket.name}").start()
        finally:
            os.close(folder)
        socket.chmod(0o660)
        if not rootless:
            os.chown(socket, 0, SOCKET_GROUP)

    async def close(self) -> None:
        """Close the socket."""
        if self._runner is not None:
            await self._runner.cleanup()

    # The engine

    async def _ping(self, _: web.Request) -> web.Response:
        return web.Response(text="OK", headers={"Api-Version": API_VERSION, "Ostype": "linux"})

    async def _version(self, _: web.Request) -> web.Response:
        return web.json_response(
            {
                "Version": "emulated",
                "ApiVersion": API_VERSION,
                "MinAPIVersion": "1.24",
                "Os": "linux",
                "Arch": "amd64",
            }
        )

    async def _info(self, _: web.Request) -> web.Response:
        containers = self._machine.containers.values()
        running = sum(container.running for container in containers)
        return web.json_response(
            {
                "Name": self._machine.name,
                "Containers": len(containers),
                "ContainersRunning": running,
                "ServerVersion": "emulated",
            }
        )

    # Containers

    def _container(self, request: web.Request) -> Container:
        name = request.match_info["name"]
        for container in self._machine.containers.values():
            if name == container.service.name or (len(name) >= 4 and container.id.startswith(name)):
                return container
        raise web.HTTPNotFound(**_message(f"No such container: {name}"))

    async def _list(self, request: web.Request) -> web.Response:
        everything = request.query.get("all", "0").lower() in {"1", "true"}
        wanted = json.loads(request.query.get("filters", "{}")).get("name")
        names = list(wanted) if wanted else None  # a list, or (older clients) a mapping to true
        return web.json_response(
            [
                {
                    "Id": container.id,
                    "Names": [f"/{container.service.name}"],
                    "Image": container.service.image,
                    "ImageID": _image_id(container),
                    "State": container.status,
                    "Status": _words(container),
                    "Labels": {"com.docker.compose.service": container.service.name},
                    "Created": 0,
                    "Ports": [],
                    "Mounts": [],
                    "NetworkSettings": {"Networks": {}},
                }
                for container in self._machine.containers.values()
                if (everything or container.running)
                and (names is None or any(name.strip("/^$") in container.service.name for name in names))
            ]
        )

    async def _inspect(self, request: web.Request) -> web.Response:
        container = self._container(request)
        service = container.service
        state: Json = {
            "Status": container.status,
            "Running": container.running,
            "Restarting": container.status == "restarting",
            "Paused": False,
            "Dead": False,
            "ExitCode": container.exit_code,
            "Error": container.error,
        }
        if container.health is not None:
            state["Health"] = {"Status": container.health, "FailingStreak": 0, "Log": []}
        return web.json_response(
            {
                "Id": container.id,
                "Name": f"/{service.name}",
                "Image": _image_id(container),
                "RestartCount": container.restarts,
                "State": state,
                "Config": {
                    "Image": service.image,
                    "Hostname": self._machine.name,
                    "Env": [f"{name}={value}" for name, value in service.environment.items()],
                    "Labels": {"com.docker.compose.service": service.name},
                    "Tty": False,
                },
                "HostConfig": _host_config(service),
                "Mounts": [
                    {"Type": "bind", "Source": one.source, "Destination": one.target, "RW": not one.read_only}
                    for one in service.volumes
                ],
            }
        )

    async def _remove(self, request: web.Request) -> web.Response:
        container = self._container(request)
        if container.started:
            raise web.HTTPConflict(**_message(f"container {container.id[:12]} is running: stop it first"))
        self._removed[container.service.name] = self._machine.containers.pop(container.service.name)
        return web.Response(status=204)

    async def _create(self, request: web.Request) -> web.Response:
        """Make a container that was removed again, with the limits that are given."""
        name, body = request.query.get("name", ""), await request.json()
        if name in self._machine.containers:
            raise web.HTTPConflict(**_message(f'The container name "/{name}" is already in use'))
        before = self._removed.pop(name, None)
        if before is None:
            raise web.HTTPBadRequest(**_message(f"the emulated engine knows no container {name}"))
        host = body["HostConfig"]
        kept = tuple(place for place in before.service.tmpfs if place[0] == SHARED_MEMORY)
        service = replace(
            before.service,
            memory=host["Memory"],
            nano_cpus=host["NanoCpus"],
            processes=host["PidsLimit"],
            tmpfs=(*host["Tmpfs"].items(), *kept),
        )
        mark = uuid.uuid4().hex * 2
        self._machine.containers[name] = Container(service, mark)
        return web.json_response({"Id": mark, "Warnings": []}, status=201)

    async def _act(self, request: web.Request) -> web.Response:
        container, action = self._container(request), request.match_info["action"]
        seconds = float(request.query.get("t", STOP_SECONDS))
        match action:
            case "start":
                if container.started:
                    return web.Response(status=304)
                await self._machine.start(container)
            case "stop":
                if not container.wanted and not container.running:
                    return web.Response(status=304)
                await self._machine.stop(container, seconds)
            case "restart":
                await self._machine.restart(container, seconds)
            case _:
                if container.process is None or not container.running:
                    raise web.HTTPConflict(**_message(f"container {container.id[:12]} is not running"))
                await container.process.signal(_signal(request.query.get("signal", "SIGKILL")))
        return web.Response(status=204)

    # Logs

    async def _logs(self, request: web.Request) -> web.StreamResponse:
        container = self._container(request)
        file = self._machine.log_of(container)
        follow = request.query.get("follow", "0").lower() in {"1", "true"}
        content = file.read_bytes() if file.exists() else b""
        tail = request.query.get("tail", "all")
        shown = content if tail == "all" else b"".join(content.splitlines(keepends=True)[-int(tail) :])
        response = web.StreamResponse(headers={"Content-Type": "application/vnd.docker.multiplexed-stream"})
        await response.prepare(request)
        await response.write(_frame(STDOUT, shown))
        at = len(content)
        while follow:
            await asyncio.sleep(_FOLLOW_SECONDS)
            new, at = _read_from(file, at)
            await response.write(_frame(STDOUT, new))
        await response.write_eof()
        return response

    # Commands in containers

    async def _make_exec(self, request: web.Request) -> web.Response:
        container, body = self._container(request), await request.json()
        if not container.running:
            raise web.HTTPConflict(**_message(f"container {container.id} is not running"))
        if body.get("Tty") or body.get("AttachStdin"):
            raise web.HTTPBadRequest(
                **_message("the emulated engine runs commands without terminal or input")
            )
        mark = uuid.uuid4().hex * 2
        self._execs[mark] = _Exec(container, [str(word) for word in body.get("Cmd") or []])
        return web.json_response({"Id": mark}, status=201)

    def _exec(self, request: web.Request) -> _Exec:
        found = self._execs.get(request.match_info["id"])
        if found is None:
            raise web.HTTPNotFound(**_message(f"No such exec instance: {request.match_info['id']}"))
        return found

    async def _inspect_exec(self, request: web.Request) -> web.Response:
        found = self._exec(request)
        return web.json_response(
            {"ID": request.match_info["id"], "Running": found.running, "ExitCode": found.code}
        )

    async def _start_exec(self, request: web.Request) -> web.StreamResponse:
        """Answer as Docker does: the connection becomes the command's output, in frames."""
        found, body = self._exec(request), await request.json()
        process = found.container.process
        if process is None or not found.container.running:
            raise web.HTTPConflict(**_message(f"container {found.container.id} is not running"))
        if not body.get("Detach"):
            return _Hijacked(self._run(found, process))
        await self._run(found, process)
        return web.Response(status=200)

    async def _run(self, found: _Exec, process: Process) -> bytes:
        """Run a command to its end; return its output in frames."""
        found.running = True
        try:
            result = await process.run(found.command)
        finally:
            found.running = False
        found.code = result.code
        return _frame(STDOUT, result.stdout) + _frame(STDERR, result.stderr)


def _host_config(service: Service) -> Json:
    return {
        "RestartPolicy": {"Name": service.restart},
        "Memory": service.memory,
        "MemorySwap": service.memory,
        "NanoCpus": service.nano_cpus,
        "PidsLimit": service.processes,
        "Tmpfs": {place: options for place, options in service.tmpfs if place != SHARED_MEMORY},
    }


class _Hijacked(web.StreamResponse):
    """An answer after which the connection is no longer HTTP.

    The head goes out before the command runs, as from Docker: clients read what follows past their HTTP
    parser, and would miss what arrived together with the head.
    """

    def __init__(self, output: Coroutine[Any, Any, bytes]) -> None:
        super().__init__()
        self._output = output

    async def prepare(self, request: web.BaseRequest) -> None:
        """Write the switch of protocols, then all that follows, then close."""
        transport = request.transport
        if transport is None:
            self._output.close()
            return
        upgrade = "upgrade" in request.headers.get("Connection", "").lower()
        start = (
            b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
            if upgrade
            else b"HTTP/1.1 200 OK\r\nConnection: close\r\n"
        )
        transport.write(start + b"Content-Type: application/vnd.docker.raw-stream\r\n\r\n")
        try:
            output = await self._output
            await _taken(transport)
            transport.write(output)
        finally:
            transport.close()

    async def write_eof(self, data: bytes = b"") -> None:
        """Everything has been written."""
        del data


async def _taken(transport: asyncio.Transport) -> None:
    """Wait until the peer of a Unix socket has read all that was written to it, or is gone."""
    connection = transport.get_extra_info("socket")
    end = asyncio.get_running_loop().time() + _TAKEN_SECONDS
    while not transport.is_closing() and asyncio.get_running_loop().time() < end:
        queued = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, bytes(4))
        if not transport.get_write_buffer_size() and not int.from_bytes(queued, sys.byteorder):
            return
        await asyncio.sleep(_TAKEN_PAUSE)


def _frame(stream: int, content: bytes) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(content).to_bytes(4, "big") + content if content else b""


def _read_from(file: Path, at: int) -> tuple[bytes, int]:
    """Return what a log has gained since a position, and the new position; it may have been cut."""
    with contextlib.suppress(FileNotFoundError), file.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        stream.seek(at if size >= at else 0)
        new = stream.read()
        return new, stream.tell()
    return b"", at


def _image_id(container: Container) -> str:
    return container.service.image.rpartition("@")[2]


def _words(container: Container) -> str:
    if container.running:
        return "Up" + (f" ({container.health})" if container.health else "")
    if container.status == "created":
        return f"Created{f': {container.error}' if container.error else ''}"
    return f"{container.status.capitalize()} ({container.exit_code})"


def _signal(text: str) -> signal.Signals:
    try:
        return (
            signal.Signals(int(text)) if text.isdigit() else signal.Signals[f"SIG{text.removeprefix('SIG')}"]
        )
    except (KeyError, ValueError):
        raise web.HTTPBadRequest(**_message(f"Invalid signal: {text}")) from None


def _message(text: str) -> Json:
    return {"text": json.dumps({"message": text}), "content_type": "application/json"}


@web.middleware
async def _refusals(request: web.Request, handler: Any) -> web.StreamResponse:
    """Answer what the datacentre refuses as an engine's error."""
    try:
        answer: web.StreamResponse = await handler(request)
        return answer
    except DatacentreError as refused:
        return web.json_response({"message": str(refused)}, status=500)
