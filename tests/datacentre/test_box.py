"""What a hostile job can do in its box: the container of the product's own compose file, run as on a machine.

The job speaks to nobody but this test, which has the client's end of the socket.
"""

import asyncio
import base64
import contextlib
import os
import shutil
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from fed_box.channel import Frame, receive, send

from components.boot import cloud_config as boot_text
from emulator.datacentre.machine import cloud_config, compose
from emulator.datacentre.machine.dockerfile import read as read_dockerfile
from emulator.datacentre.machine.image import Image
from emulator.datacentre.machine.machine import Container, Machine, Place
from emulator.datacentre.machine.runtime import MachineInit
from tests.unit.support.boot_text import HOSPITAL, compose_text

ROOT = Path(__file__).resolve().parents[2]
CONTEXT = ROOT / "workloads/fl_client"
BOX_USER = 10003
SECONDS = 60.0
REPORT = """
import contextlib, ctypes, os, pathlib, signal, socket, stat, subprocess, sys
import nvflare.client as flare
flare.init()
flare.receive()
told = {}

def tell(name, do):
    try:
        told[name] = float(do() or 0)
    except Exception as error:
        print(name, type(error).__name__, error, flush=True)
        told[name] = -1.0

def done():
    flare.send(flare.FLModel(metrics=told))
    flare.receive()
"""
"""-1 is "refused", everything else what was got."""


class OwnMachine:
    """A machine with a data disk, on which the box alone is started."""

    def __init__(self, folder: Path) -> None:
        self.disk = folder / "disk"
        self.disk.mkdir()
        folder.chmod(0o755)
        network: Any = SimpleNamespace(path="/proc/self/ns/net")
        place = Place(
            files=folder / "files", disk=self.disk, logs=folder / "logs", volatile=folder / "volatile"
        )
        authority = folder / "authority.pem"
        authority.write_text("")
        self.machine = Machine(
            "one", place=place, network=network, pull=self._pull, authority=authority, rootless=False
        )
        self.box: Container
        self._listener = socket.socket(socket.AF_UNIX)

    async def _pull(self, reference: str) -> Image:
        config = read_dockerfile(CONTEXT / "Dockerfile", CONTEXT)
        files = tuple((CONTEXT / copy.source, copy.target) for copy in config.copies)
        return Image(reference=reference, config=config, files=files, venv=Path(sys.prefix))

    async def boot(self) -> None:
        text = base64.b64encode(boot_text(HOSPITAL).encode()).decode()
        self.machine._config = cloud_config.read(text)
        services = compose.read(compose_text(HOSPITAL))
        self.box = Container(next(one for one in services if one.name == "fl-box"), "b" * 64)
        self.machine.containers["fl-box"] = self.box
        self.machine._write_files()
        self.machine._init = await MachineInit.start("one", "/proc/self/ns/net")
        (self.disk / "input/heart.csv").write_text("age,sex\n63,1\n")
        (self.disk / "data/heart.csv").write_text("age,sex,name\n63,1,Ada\n")
        (self.disk / "kit/client.key").write_text("key")
        for path, mode in (("input/heart.csv", 0o640), ("data/heart.csv", 0o600), ("kit/client.key", 0o600)):
            os.chown(self.disk / path, 10001, 10001)
            (self.disk / path).chmod(mode)

    def give(self, script: str) -> None:
        """Put a job's code there and listen, as the client does."""
        code = self.disk / "box/code"
        code.mkdir()
        (code / "train.py").write_text(REPORT + script)
        self._listener.bind(str(self.disk / "box/socket"))
        self._listener.listen(1)
        for path in (code, code / "train.py", self.disk / "box/socket"):
            os.chown(path, 10001, 10001)
            path.chmod(0o750 if path.is_dir() else 0o660)

    def ask(self) -> dict[str, float]:
        """Give the box its task; what its job tells."""
        self._listener.settimeout(SECONDS)
        self.connection, _ = self._listener.accept()
        start = {"job": "1", "site": "basel", "script": "train.py", "arguments": [], "settings": {}}
        send(self.connection, Frame(kind="start", values=start), SECONDS)
        task = {"task": "train", "round": 0, "rounds": 1}
        send(self.connection, Frame(kind="task", values=task, arrays={"w": np.ones(1)}), SECONDS)
        answer = receive(self.connection, SECONDS)
        assert answer.kind == "answer", (answer, self.log())
        told: dict[str, float] = answer.values["metrics"]
        return told

    async def run(self) -> dict[str, float]:
        await self.machine.start(self.box)
        return await asyncio.to_thread(self.ask)

    def log(self) -> str:
        return self.machine.log_of(self.box).read_text()

    def files(self) -> set[str]:
        return {str(path.relative_to(self.disk)) for path in self.disk.rglob("*")}


@contextlib.asynccontextmanager
async def machine(folder: Path, script: str) -> AsyncIterator[OwnMachine]:
    made = OwnMachine(folder)
    await made.boot()
    made.give(script)
    try:
        yield made
    finally:
        await made.machine.off()
        made._listener.close()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """One below /tmp that every user may enter: pytest's own is its owner's alone."""
    short = Path(f"/tmp/fed-box-{os.getpid()}-{tmp_path.name[-1]}")  # noqa: S108 a socket's path is short
    shutil.rmtree(short, ignore_errors=True)
    short.mkdir()
    yield short
    shutil.rmtree(short)


def of_the_box() -> list[int]:
    """Processes of the box's user below this one: other federations of this machine have boxes, too."""
    found = [int(path.name) for path in Path("/proc").glob("[0-9]*") if _user(path) == BOX_USER]
    return [process for process in found if _is_below(process, os.getpid())]


def _is_below(process: int, ancestor: int) -> bool:
    """Whether it descends from another; what has ended meanwhile does not."""
    while process > 1:
        if process == ancestor:
            return True
        try:
            process = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            return False
    return False


def _user(process: Path) -> int | None:
    try:
        return process.stat().st_uid
    except FileNotFoundError:
        return None


REACHES = """
def connect(family, *address):
    with socket.socket(family, socket.SOCK_STREAM) as one:
        one.settimeout(1)
        one.connect(*address)
        return 1

def write(path):
    pathlib.Path(path).write_text("left")
    return 1

def root():
    pathlib.Path("/proc/1/root/etc/shadow").read_bytes()

tell("data", lambda: len(pathlib.Path("/data/heart.csv").read_text()))
tell("uid", os.getuid)
tell("capabilities", lambda: int(next(
    line.split()[1] for line in open("/proc/self/status") if line.startswith("CapEff")), 16))
tell("interfaces", lambda: len(socket.if_nameindex()))
for name, address in (("metadata", "169.254.169.254"), ("centre", "10.0.0.4"), ("loopback", "127.0.0.1")):
    tell(name, lambda: connect(socket.AF_INET, (address, 80)))
tell("name", lambda: len(socket.getaddrinfo("fl.federation.internal", 8002)))
tell("engine", lambda: connect(socket.AF_UNIX, "/var/run/docker.sock"))
for path in ("/kit", "/answers", "/var/lib/fl", "/var/lib/fed", "/opt/fed", "/kit/client.key"):
    tell(path, lambda: len(os.listdir(path)) if os.path.isdir(path) else open(path).read() and 1)
for path in ("/data/x", "/box/x", "/box/code/x.py", "/app/x", "/usr/x", "/etc/x", "/x", "/dev/x", "/run/x"):
    tell("write " + path, lambda: write(path))
tell("replace the socket", lambda: os.unlink("/box/socket") or 1)
tell("scratch", lambda: write("/tmp/scratch"))
tell("become root", lambda: os.setuid(0) or 1)
tell("mount", lambda: ctypes.CDLL(None).mount(b"x", b"/tmp", b"tmpfs", 0, None))
tell("namespace", lambda: ctypes.CDLL(None).unshare(0x10000000))
tell("ptrace", lambda: ctypes.CDLL(None).ptrace(0, 0, 0, 0))
tell("filters", lambda: int(next(
    line.split()[1] for line in open("/proc/self/status") if line.startswith("Seccomp:"))))
tell("trace", root)
tell("another process", lambda: len([one for one in os.listdir("/proc") if one.isdigit()]))

def program():
    pathlib.Path("/tmp/run").write_text("#!/bin/sh\\nexit 0\\n")
    os.chmod("/tmp/run", 0o755)
    return subprocess.run(["/tmp/run"]).returncode == 0
tell("program in scratch", program)
done()
"""


async def test_it_reaches_its_data_its_scratch_and_nothing_else(folder: Path) -> None:
    async with machine(folder, REACHES) as made:
        before = made.files()
        told = await made.run()
        after = made.files()
    assert (told.pop("data"), told.pop("uid"), told.pop("scratch")) == (13.0, float(BOX_USER), 1.0)
    assert told.pop("capabilities") == 0.0
    assert told.pop("another process") <= 3  # its init, its program, itself
    assert (told.pop("mount"), told.pop("namespace"), told.pop("ptrace")) == (-1, -1, -1)
    assert told.pop("filters") == 2  # SECCOMP_MODE_FILTER
    assert {name: got for name, got in told.items() if got != -1} == {}
    assert after == before


STAYS = """
tell("left by an earlier run", lambda: sum(len(os.listdir(path)) for path in ("/tmp", "/dev/shm", "/var/tmp")
                                           if os.access(path, os.R_OK)))
for path in ("/tmp/left", "/dev/shm/left"):
    tell("write " + path, lambda: pathlib.Path(path).write_text("63,1,1,145"))

def fill(path):
    with open(path, "wb") as stream:
        while True:
            stream.write(bytes(1 << 20))
            stream.flush()
            told["megabytes in " + path] = stream.tell() / (1 << 20)

for path in ("/tmp/full", "/dev/shm/full"):
    with contextlib.suppress(OSError):
        fill(path)

if os.fork() == 0:
    os.setsid()
    for number in range(1, 65):
        with contextlib.suppress(OSError):
            signal.signal(number, signal.SIG_IGN)
    if os.fork() == 0:
        signal.pause()
    os._exit(0)
done()
signal.pause()
"""


async def test_nothing_of_it_stays_when_it_is_stopped(folder: Path) -> None:
    """Neither scratch, which is bounded, nor a process that ignores every signal and has left its group."""
    async with machine(folder, STAYS) as made:
        for _ in range(2):
            told = await made.run()
            assert told["left by an earlier run"] == 0
            assert told["write /tmp/left"] == told["write /dev/shm/left"] == 10
            assert 200 < told["megabytes in /tmp/full"] <= 256
            assert 40 < told["megabytes in /dev/shm/full"] <= 64
            assert len(of_the_box()) >= 2
            await made.machine.stop(made.box, seconds=0)
            assert of_the_box() == []


BOMB = """
children = []
with contextlib.suppress(BlockingIOError):
    while len(children) < 5000:
        pid = os.fork()
        if pid == 0:
            signal.pause()
        children.append(pid)
told["children"] = float(len(children))
done()
"""


async def test_a_fork_bomb_is_bounded_and_ends_with_the_box(folder: Path) -> None:
    async with machine(folder, BOMB) as made:
        told = await made.run()
        assert 1 <= told["children"] <= 256
        await made.machine.stop(made.box, seconds=0)
        assert of_the_box() == []
