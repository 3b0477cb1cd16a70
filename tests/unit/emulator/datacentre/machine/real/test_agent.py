"""QEMU's guest agent, asked over its socket as the protocol says."""

import asyncio
import base64
import json
from collections.abc import Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from emulator.datacentre.errors import DatacentreError
from emulator.datacentre.machine.real import agent as agents
from emulator.datacentre.machine.real.agent import Agent

Answer = Callable[[str, dict[str, Any]], dict[str, Any]]


@asynccontextmanager
async def guest(socket: Path, answer: Answer, before: bytes = b"") -> Any:
    """An agent's end that has `before` still to say from an earlier conversation."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(before)
        while line := await reader.readline():
            order = json.loads(line.lstrip(b"\xff"))
            if order["execute"] == "guest-sync-delimited":
                writer.write(b"\xff" + json.dumps({"return": order["arguments"]["id"]}).encode() + b"\n")
            else:
                writer.write(json.dumps(answer(order["execute"], order["arguments"])).encode() + b"\n")
            await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(serve, str(socket))
    try:
        yield
    finally:
        server.close()


def ran(code: int, out: str, looks: int = 1) -> tuple[Answer, list[dict[str, Any]]]:
    """An agent in which a command ends at the nth look at it, and what it was asked."""
    asked: list[dict[str, Any]] = []

    def answer(what: str, arguments: dict[str, Any]) -> dict[str, Any]:
        asked.append({"what": what, **arguments})
        if what == "guest-exec":
            return {"return": {"pid": 7}}
        if sum(one["what"] == "guest-exec-status" for one in asked) < looks:
            return {"return": {"exited": False}}
        text = base64.b64encode(out.encode()).decode()
        return {"return": {"exited": True, "exitcode": code, "out-data": text}}

    return answer, asked


async def test_a_command_is_waited_for_and_its_answer_returned(tmp_path: Path) -> None:
    answer, asked = ran(3, "hello\n", looks=3)
    async with guest(tmp_path / "s", answer):
        result = await Agent(tmp_path / "s").run("echo hello; exit 3", seconds=10)
    assert (result.code, result.stdout, result.stderr) == (3, b"hello\n", b"")
    assert asked[0]["arg"] == ["-c", "echo hello; exit 3"]
    assert [one["what"] for one in asked] == ["guest-exec", *["guest-exec-status"] * 3]


async def test_an_answer_of_an_earlier_conversation_is_read_past(tmp_path: Path) -> None:
    answer, _ = ran(0, "mine")
    async with guest(tmp_path / "s", answer, before=b'{"return": {"pid": 99}}\n\xff{"return": 1}\n'):
        assert (await Agent(tmp_path / "s").run("true")).stdout == b"mine"


async def test_a_command_that_takes_too_long_is_killed(tmp_path: Path) -> None:
    answer, asked = ran(0, "", looks=1000)
    async with guest(tmp_path / "s", answer):
        with pytest.raises(TimeoutError):
            await Agent(tmp_path / "s").run("sleep 1000", seconds=0.2)
    assert {"path": "/bin/kill", "arg": ["-KILL", "7"]}.items() <= asked[-1].items()


async def test_a_refusal_is_told_in_the_agents_words(tmp_path: Path) -> None:
    async with guest(tmp_path / "s", lambda *_: {"error": {"desc": "Command guest-exec has been disabled"}}):
        with pytest.raises(DatacentreError, match="has been disabled"):
            await Agent(tmp_path / "s").run("true")


async def test_without_a_machine_there_is_no_answer(tmp_path: Path) -> None:
    with pytest.raises(DatacentreError, match="does not answer yet"):
        await Agent(tmp_path / "s").run("true")


async def test_a_machine_that_ends_before_it_answers_is_said(tmp_path: Path) -> None:
    async def end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.close()

    async with await asyncio.start_unix_server(end, str(tmp_path / "s")):
        with pytest.raises(DatacentreError, match="does not answer yet"):
            await Agent(tmp_path / "s").run("true")


async def test_a_silent_agent_is_left_before_it_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agents, "_SYNC_SECONDS", 0.1)
    left = asyncio.Event()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        left.set()
        writer.close()

    async with await asyncio.start_unix_server(listen, str(tmp_path / "s")):
        with pytest.raises(DatacentreError, match="does not answer yet") as silent:
            await Agent(tmp_path / "s").run("true")
        # While the error is held, nothing of the connection is thrown away by itself.
        await asyncio.wait_for(left.wait(), 5)
    assert silent.value
