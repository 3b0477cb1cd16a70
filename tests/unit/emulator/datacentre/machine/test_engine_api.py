"""The emulated container engine gives a command's output to every client, however late it reads."""

import asyncio
import socket
import time
from pathlib import Path

from aiohttp import web

from emulator.datacentre.machine.engine_api import _Hijacked

REQUEST = (
    b"POST /exec HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n"
)
LATE_SECONDS = 0.2


async def test_output_never_arrives_together_with_the_head(tmp_path: Path) -> None:
    """Clients read the output past their HTTP parser, which keeps whatever came along with the head."""

    async def output() -> bytes:
        return b"OUTPUT"

    async def answer(_: web.Request) -> web.StreamResponse:
        return _Hijacked(output())

    def late_client() -> tuple[bytes, bytes]:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(tmp_path / "docker.sock"))
            connection.sendall(REQUEST)
            time.sleep(LATE_SECONDS)
            connection.settimeout(10)
            return connection.recv(1 << 16), connection.recv(1 << 16)

    application = web.Application()
    application.add_routes([web.post("/exec", answer)])
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        await web.UnixSite(runner, str(tmp_path / "docker.sock")).start()
        head, after = await asyncio.to_thread(late_client)
    finally:
        await runner.cleanup()
    assert head.startswith(b"HTTP/1.1 101") and b"OUTPUT" not in head
    assert after == b"OUTPUT"
