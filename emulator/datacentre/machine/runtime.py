"""Starts, enters and ends containers: processes in namespaces of their own, inside a machine's namespaces."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from emulator.datacentre.errors import DatacentreError

_PROGRAM = Path(__file__).with_name("container.py")
_APPEARS_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What `container.py` makes a container from. `mounts` are (path on the machine, in it, read-only).

    `capabilities` are the numbers of those kept, `ready` is a descriptor to write to when the program runs,
    `processes` the most that its user may have on this machine.
    """

    command: tuple[str, ...]
    environment: Mapping[str, str]
    working_dir: str
    mounts: tuple[tuple[str, str, bool], ...]
    tmpfs: tuple[tuple[str, str], ...]
    etc: Mapping[str, str]
    read_only: bool
    user: tuple[int, int] | None
    groups: tuple[int, ...]
    capabilities: tuple[int, ...] = ()
    ready: int | None = None
    processes: int | None = None
    python: str = sys.base_prefix


@dataclass(frozen=True, slots=True)
class Result:
    """What a command answered."""

    code: int
    stdout: bytes
    stderr: bytes


class Process:
    """One running container."""

    def __init__(self, spec: Spec, process: asyncio.subprocess.Process) -> None:
        self.spec = spec
        self._process = process
        self._init = 0

    @classmethod
    async def start(cls, spec: Spec, *, file: Path, machine: int, network: str | None, log: Path) -> Process:
        """Start a container of a machine whose output is appended to `log`, and wait until its program runs.

        See `launch`. A start that is cancelled leaves no process behind.
        """
        read, write = os.pipe()

        async def launched() -> asyncio.subprocess.Process:
            try:
                with log.open("ab") as output:
                    ready = replace(spec, ready=write)
                    return await launch(ready, file, machine, network, output=output.fileno())
            finally:
                os.close(write)

        launching = asyncio.create_task(launched())
        try:
            process = await asyncio.shield(launching)
            await _first_byte(read)
        except asyncio.CancelledError:
            process = await launching
            _kill_group(process.pid)
            await process.wait()
            raise
        finally:
            os.close(read)
        return cls(spec, process)

    async def wait(self) -> int:
        """Wait for the end; return the exit code."""
        code = await self._process.wait()
        return code if code >= 0 else 128 - code

    async def init(self) -> int:
        """Return the pid of the container's init as seen here; raise DatacentreError when it is gone."""
        if not self._init:
            # nsenter forks into the pid namespace, unshare into the container's own.
            self._init = await _descendant(self._process.pid, 2)
        return self._init

    async def signal(self, number: signal.Signals) -> None:
        """Send a signal to the container's init, which passes it on; SIGKILL ends everything in it."""
        try:
            os.kill(await self.init(), number)
        except (ProcessLookupError, DatacentreError):
            return

    async def run(self, command: Sequence[str], *, seconds: float | None = None) -> Result:
        """Run a command inside and return what it answered; raise TimeoutError when it takes longer."""
        process = await asyncio.create_subprocess_exec(
            *await self.enter(), *command,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env=dict(self.spec.environment), start_new_session=True,
        )  # fmt: skip
        try:
            async with asyncio.timeout(seconds):
                stdout, stderr = await process.communicate()
        except TimeoutError:
            _kill_group(process.pid)
            await process.wait()
            raise
        return Result(process.returncode or 0, stdout, stderr)

    async def enter(self) -> list[str]:
        """Return the command that runs what follows it inside, as the container's user."""
        spec, target = self.spec, str(await self.init())
        who = ["--reuid", str(spec.user[0]), "--regid", str(spec.user[1]), _groups(spec)] if spec.user else []
        return [
            "nsenter", "--target", target, "--mount", "--pid", "--ipc", "--net", "--uts",
            "--root", "--wd", "--",
            "setpriv", *who, "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs", "--",
            "env", f"--chdir={spec.working_dir}",
        ]  # fmt: skip


def launch_command(spec: Spec, file: Path, machine: int, network: str | None) -> list[str]:
    """Return the command that starts a container; `file` hands the specification over and is then removed.

    Without a network it gets one of its own with nothing in it, as Docker's `none`.
    """
    file.write_text(json.dumps(asdict(spec)))
    shared, own = ([f"--net={network}"], []) if network else ([], ["--net"])
    return [
        "nsenter", *shared, "--target", str(machine), "--pid", "--uts", "--",
        "unshare", "--mount", "--pid", "--ipc", *own, "--fork", "--kill-child", "--",
        sys.executable, "-I", "-S", str(_PROGRAM), str(file),
    ]  # fmt: skip


async def launch(
    spec: Spec, file: Path, machine: int, network: str | None, *, output: int | None
) -> asyncio.subprocess.Process:
    """Start a container in a machine (pid of its init) and a network namespace (a path; None: its own)."""
    return await asyncio.create_subprocess_exec(
        *launch_command(spec, file, machine, network),
        stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output,
        pass_fds=() if spec.ready is None else (spec.ready,),
        start_new_session=True, env={"PATH": os.environ.get("PATH", os.defpath)},
    )  # fmt: skip


async def _first_byte(descriptor: int) -> None:
    """Wait until something is written to a pipe, or nobody can any more."""
    loop = asyncio.get_running_loop()
    readable = loop.create_future()
    loop.add_reader(descriptor, readable.set_result, None)
    try:
        await readable
    finally:
        loop.remove_reader(descriptor)


def _groups(spec: Spec) -> str:
    return "--groups=" + ",".join(map(str, spec.groups)) if spec.groups else "--clear-groups"


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


async def _descendant(pid: int, generations: int) -> int:
    """Return the only child of the only child ... of a process, as soon as it is there."""
    deadline = asyncio.get_running_loop().time() + _APPEARS_SECONDS
    while True:
        found = pid
        for _ in range(generations):
            children = _children(found)
            if not children:
                break
            found = children[0]
        else:
            return found
        if not Path(f"/proc/{pid}").exists() or asyncio.get_running_loop().time() > deadline:
            raise DatacentreError("the container is not running")
        await asyncio.sleep(0.005)


def _children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


class MachineInit:
    """The first process of a machine: holds its namespaces; its end is the end of everything in them."""

    def __init__(self, process: asyncio.subprocess.Process, pid: int) -> None:
        self._process = process
        self.pid = pid

    @classmethod
    async def start(cls, hostname: str, network: str) -> MachineInit:
        """Start a machine in a network namespace (a path)."""
        # In a user namespace only the system call may set the name, not the file in /proc.
        reap = 'hostname "$0" || echo "$0" > /proc/sys/kernel/hostname; while :; do sleep 3600 & wait; done'
        process = await asyncio.create_subprocess_exec(
            "nsenter", f"--net={network}", "--",
            "unshare", "--pid", "--uts", "--fork", "--kill-child", "--", "sh", "-c", reap, hostname,
            stdin=asyncio.subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        return cls(process, await _descendant(process.pid, 1))

    async def ended(self) -> None:
        """Wait until it has ended, by whatever."""
        await self._process.wait()

    async def kill(self) -> None:
        """Switch the power off."""
        if self._process.returncode is None:  # else its number may be another process's by now
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        await self._process.wait()
