"""One real machine: its power, its containers as its own Docker tells them, commands, logs, a terminal."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import shlex
import shutil
import signal
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

from emulator.datacentre.errors import DatacentreError, UnknownContainerError
from emulator.datacentre.kernel import Namespace
from emulator.datacentre.machine.powered import Json
from emulator.datacentre.machine.real import tap
from emulator.datacentre.machine.real.agent import Agent
from emulator.datacentre.machine.real.hardware import Hardware
from emulator.datacentre.machine.runtime import Result

log = logging.getLogger(__name__)

_LOOK_SECONDS = 5.0
"""Between two looks at the containers: nothing in the machine tells of a change."""
_LOOKS_SHARE = 5
"""Of a machine's time at most one part in so many is spent on looks: a translated one is slow."""
_LOOK_LIMIT = 120.0
_LOG_PAUSE = 1.0
_TERMINAL = Path(__file__).with_name("terminal.py")
_INSPECT = (
    "systemctl is-active --quiet docker.service || exit 0\n"  # to ask it would start it
    "ids=$(docker ps --all --quiet --no-trunc) || exit\n"
    "[ -z \"$ids\" ] || docker inspect --format '{{json .}}' $ids"
)
_FAILED = (
    "cat /run/cloud-init/result.json 2>/dev/null; systemctl --failed --plain --no-legend | cut -d ' ' -f 1"
)


class RealMachine:
    """A QEMU process with the power on, from `boot` until `off`."""

    def __init__(
        self, hardware: Hardware, *, identifier: str, network: Namespace, authority: Path, logs: Path
    ) -> None:
        self.name = hardware.name
        self.problem = ""
        self.news = asyncio.Event()
        self._hardware = hardware
        self._identifier = identifier
        self._network = network
        self._authority = authority
        self._logs = logs
        self._agent = Agent(hardware.agent)
        self._process: asyncio.subprocess.Process | None = None
        self._watching: list[asyncio.Task[None]] = []
        self._containers: list[Json] = []
        self._plugged = False

    # Power

    async def boot(self, custom_data: str, user_data: str) -> None:
        """Plug the card in and switch on; `health` sees what comes after. Raises DatacentreError, OSError.

        The machine reads its user data itself, from the metadata service.
        """
        self._logs.mkdir(parents=True, exist_ok=True)
        self._hardware.volatile.mkdir(parents=True, exist_ok=True)
        authority = self._authority.read_text()
        await asyncio.to_thread(self._hardware.prepare, self._identifier, custom_data, authority)
        tap.attach(self._network, self._hardware.card.address.ip)
        self._plugged = True
        with (self._logs / "qemu.log").open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *self._hardware.command(self._network.path),
                stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip
        self._watching = [asyncio.create_task(self._look()), asyncio.create_task(self._end(self._process))]

    async def crashed(self) -> None:
        """Wait until QEMU dies; a machine that somebody shuts down from inside stays off, as on Azure."""
        if self._process is None or not await self._process.wait():
            await asyncio.Event().wait()

    async def off(self) -> None:
        """Cut the power."""
        for task in self._watching:
            task.cancel()
        await asyncio.gather(*self._watching, return_exceptions=True)
        self._agent.close()
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGKILL)
            await self._process.wait()
        if self._plugged:
            tap.detach(self._network, self._hardware.card.address.ip)
        shutil.rmtree(self._hardware.volatile, ignore_errors=True)

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        """Say when the machine ends by itself: on Azure it would be "VM stopped"."""
        code = await process.wait()
        said = (self._logs / "qemu.log").read_text(errors="replace").strip()[-500:]
        self._tell([], f"QEMU ended with {code}: {said}" if code else "it was shut down from inside")

    # What it says of itself

    def health(self) -> list[Json]:
        """Return the containers as its Docker told them last."""
        return self._containers

    async def _look(self) -> None:
        await self._agent.ready()
        log.info("%s: its agent answers", self.name)
        clock = asyncio.get_running_loop().time
        while True:
            began = clock()
            try:
                self._tell(await self._inspected(), await self._trouble())
            except (DatacentreError, TimeoutError, ValueError) as silent:
                log.info("%s: %s", self.name, silent)
            await asyncio.sleep(max(_LOOK_SECONDS, (_LOOKS_SHARE - 1) * (clock() - began)))

    async def _inspected(self) -> list[Json]:
        said = await self._agent.run(_INSPECT, seconds=_LOOK_LIMIT)
        if said.code:  # it may be starting, or one of them has just gone: that is not "there are none"
            raise DatacentreError(
                f"{self.name}'s Docker does not answer: {said.stderr.decode(errors='replace')}"
            )
        return [container(json.loads(line)) for line in said.stdout.splitlines()]

    async def _trouble(self) -> str:
        return trouble((await self._agent.run(_FAILED, seconds=_LOOK_LIMIT)).stdout.decode())

    def _tell(self, containers: list[Json], problem: str) -> None:
        if (containers, problem) != (self._containers, self.problem):
            self._containers, self.problem = containers, problem
            self.news.set()

    # Commands

    async def shell(self, script: str, *, seconds: float) -> Result:
        """Run a script as root through the agent; raises TimeoutError and DatacentreError."""
        return await self._agent.run(script, seconds=seconds)

    async def command(self, words: tuple[str, ...], container: str | None) -> list[str]:
        """Return the command that leads the caller's terminal to the machine's, where `words` then run."""
        if container is not None:
            await self._known(container)
            words = ("docker", "exec", "--interactive", "--tty", container, *words)
        return [sys.executable, "-I", "-S", str(_TERMINAL), str(self._hardware.terminal), shlex.join(words)]

    async def log(self, container: str, *, follow: bool) -> AsyncGenerator[bytes, None]:
        """Yield what the machine's journal has of a container, where its Docker writes."""
        await self._known(container)
        mark = f"/run/fed-log-{os.urandom(8).hex()}"  # where journalctl notes how far it has read
        read = f"journalctl --quiet --output=cat --cursor-file={mark} CONTAINER_NAME={shlex.quote(container)}"
        try:
            while True:
                said = await self._agent.run(read, seconds=_LOOK_LIMIT)
                if said.code:
                    raise DatacentreError(f"{self.name}: {said.stderr.decode(errors='replace').strip()}")
                yield said.stdout
                if not follow:
                    return
                await asyncio.sleep(_LOG_PAUSE)
        finally:
            await self._agent.run(f"rm -f {mark}", seconds=_LOOK_LIMIT)

    async def _known(self, name: str) -> None:
        names = [str(found["name"]) for found in await self._inspected()]
        if name not in names:
            raise UnknownContainerError(
                f"{self.name} has no container {name}; it has {', '.join(names) or 'none'}"
            )


def container(inspected: Json) -> Json:
    """Return what the control plane is told of a container, from Docker's words for it."""
    state = inspected["State"]
    return {
        "name": inspected["Name"].removeprefix("/"),
        "image": inspected["Config"]["Image"],
        "status": state["Status"],
        "health": (state.get("Health") or {}).get("Status"),
        "exitCode": state["ExitCode"],
        "restarts": inspected.get("RestartCount", 0),
        "error": state.get("Error", ""),
    }


def trouble(said: str) -> str:
    """Return what is wrong with a boot, from the words of cloud-init and systemd: nothing if all is well."""
    document, _, units = said.rpartition("}")
    result = json.loads(document + "}") if document else {}
    errors = [str(error) for error in result.get("v1", {}).get("errors") or []]
    failed = [unit for unit in units.split() if unit.startswith(("fed-", "docker"))]
    parts = [*(f"cloud-init: {error}" for error in errors), *(f"{unit} failed" for unit in failed)]
    return "; ".join(parts)
