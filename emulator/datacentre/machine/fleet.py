"""All machines of the emulated cloud: on and off as the control plane says, reported as they are."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import shutil
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from emulator.datacentre.errands import Errands
from emulator.datacentre.errors import DatacentreError
from emulator.datacentre.feed import ControlPlane
from emulator.datacentre.inventory import VM, Document, Inventory
from emulator.datacentre.kernel import Namespace
from emulator.datacentre.machine.emulated import EmulatedMachine
from emulator.datacentre.machine.image import Image, Images
from emulator.datacentre.machine.machine import Machine, Place, Pull
from emulator.datacentre.machine.powered import PoweredMachine
from emulator.datacentre.machine.real.rack import Rack
from emulator.datacentre.settings import Settings

Json = dict[str, Any]

DISK = "microsoft.compute/disks"
COMMAND_SECONDS = 5400.0
"""Azure ends a run command after 90 minutes."""
OUTPUT_BYTES = 4096
"""Azure answers the last 4 KB of each stream."""
_CRASH_PAUSE = 1.0
_REPORT_PAUSE = 0.2
_REPORT_AGAIN = 2.0

log = logging.getLogger(__name__)


_Boot = tuple[str, int, bool]
"""Which VM, the number of its boot, and whether it is real."""


@dataclass(slots=True)
class _Running:
    """A machine with the power on: what it was booted as, who reports it and sees it crash."""

    boot: _Boot
    machine: PoweredMachine
    network: Namespace
    reporter: asyncio.Task[None] | None = None
    watch: asyncio.Task[None] | None = None


class Fleet:
    """The machines that run."""

    def __init__(
        self,
        settings: Settings,
        control_plane: ControlPlane,
        errands: Errands,
        ask_registry: Callable[[str, str], Awaitable[None]],
    ) -> None:
        """`ask_registry(machine's key, image)` raises DatacentreError if the machine may not pull it."""
        self._settings = settings
        self._ask_registry = ask_registry
        self._control_plane = control_plane
        self._rack = Rack(settings)
        self._images = Images(settings.images, settings.cache, errands, settings.state / "images.log")
        self._running: dict[str, _Running] = {}
        self._changing = asyncio.Lock()
        self._namespaces: Mapping[str, Namespace] = {}
        self._inventory = Inventory()
        self._commands: dict[str, asyncio.Task[None]] = {}
        self._closed = False

    async def apply(self, inventory: Inventory, namespaces: Mapping[str, Namespace]) -> list[str]:
        """Bring the machines in step; return what keeps one from booting. `namespaces` are those of ports."""
        async with self._changing:
            return [] if self._closed else await self._apply(inventory, namespaces)

    async def _apply(self, inventory: Inventory, namespaces: Mapping[str, Namespace]) -> list[str]:
        self._inventory, self._namespaces = inventory, namespaces
        wanted = {
            document.key: document
            for document in inventory.of_type(VM)
            if document.hidden.get("power") == "running"
        }
        stale = [
            key
            for key, running in self._running.items()
            if key not in wanted
            or running.boot != self._boot_of(wanted[key])
            or running.network not in namespaces.values()  # its interface moved
        ]
        await asyncio.gather(*(self._off(key) for key in stale))
        self._forget_disks()
        new = [document for key, document in wanted.items() if key not in self._running]
        await asyncio.gather(*(self._on(document, namespaces) for document in new))
        return [
            f"{running.machine.name}: {running.machine.problem}"
            for running in self._running.values()
            if running.machine.problem
        ]

    async def close(self) -> None:
        """Switch everything off, for good; raise what one machine's end raised when all have ended."""
        self._closed = True
        commands = list(self._commands.values())
        for task in commands:
            task.cancel()
        await asyncio.gather(*commands, return_exceptions=True)
        async with self._changing:
            ends = await asyncio.gather(
                *(self._off(key) for key in list(self._running)), return_exceptions=True
            )
        for failed in ends:
            if failed is not None:
                raise failed

    def machine(self, name: str) -> PoweredMachine:
        """Return a running machine by its name or id; raise DatacentreError when there is none."""
        for key, running in self._running.items():
            if name.lower() in {key, running.machine.name.lower()}:
                return running.machine
        known = ", ".join(sorted(running.machine.name for running in self._running.values()))
        raise DatacentreError(f"no machine {name} is running; there are {known or 'none'}")

    def health(self) -> dict[str, Json]:
        """Return how the running machines are doing, by name, as the control plane is told."""
        return {running.machine.name: _health_of(running.machine) for running in self._running.values()}

    # Power

    async def _on(self, document: Document, namespaces: Mapping[str, Namespace]) -> None:
        nics = document.properties["networkProfile"]["networkInterfaces"]
        network = next(
            (namespaces[nic["id"].lower()] for nic in nics if nic["id"].lower() in namespaces), None
        )
        if network is None:
            log.warning("%s has no interface in any network yet", document.name)
            return
        machine = self._made(document, network)
        running = _Running(self._boot_of(document), machine, network)
        self._running[document.key] = running
        try:
            hidden = document.hidden
            await machine.boot(str(hidden.get("customData") or ""), str(hidden.get("userData") or ""))
        except (DatacentreError, OSError) as refused:
            machine.problem = str(refused)
            log.error("%s does not boot: %s", document.name, refused)
        running.reporter = asyncio.create_task(self._report(document.id, machine))
        running.watch = asyncio.create_task(self._boot_again(document, running))
        machine.news.set()

    async def _boot_again(self, document: Document, crashed: _Running) -> None:
        """Boot a machine again whose first process ended by itself, as a kernel does after a panic."""
        await crashed.machine.crashed()
        log.error("%s has crashed; it boots again", document.name)
        await asyncio.sleep(_CRASH_PAUSE)
        async with self._changing:
            if self._running.get(document.key) is crashed and not self._closed:
                crashed.watch = None  # it is this task, which `_off` would cancel
                await self._off(document.key)
                await self._on(document, self._namespaces)

    async def _off(self, key: str) -> None:
        running = self._running.pop(key)
        for task in (running.reporter, running.watch):
            if task is not None:
                task.cancel()
        await running.machine.off()

    def _made(self, document: Document, network: Namespace) -> PoweredMachine:
        if self._rack.takes(document):
            return self._rack.machine(document, self._inventory, network, self._own(document))
        machine = Machine(
            document.name,
            place=self._place(document),
            network=network,
            pull=self._puller(document.key),
            authority=self._settings.authority,
            rootless=self._settings.rootless,
        )
        return EmulatedMachine(machine, rootless=self._settings.rootless)

    def _boot_of(self, document: Document) -> _Boot:
        number = int(document.hidden.get("boot", 1))
        return str(document.properties.get("vmId")), number, self._rack.takes(document)

    def _place(self, document: Document) -> Place:
        state = self._settings.state
        disks = [
            disk["managedDisk"]["id"]
            for disk in document.properties["storageProfile"].get("dataDisks") or []
            if (disk.get("managedDisk") or {}).get("id")
        ]
        disk = self._disk_folder(disks[0]) if disks else None
        if disk is not None:
            disk.mkdir(parents=True, exist_ok=True)
            disk.chmod(0o755)
        return Place(
            files=self._own(document) / "files",
            disk=disk,
            logs=state / "logs" / document.name,
            volatile=self._settings.volatile / hashlib.sha256(document.key.encode()).hexdigest()[:8],
        )

    def _own(self, document: Document) -> Path:
        """Return the folder that goes with a VM: one that replaced it begins with the data disk alone."""
        return self._settings.state / "machines" / _folder_of(document)

    def _disk_folder(self, identifier: str) -> Path | None:
        disk = self._inventory.get(identifier)
        if disk is None:
            return None
        return self._settings.state / "disks" / str(disk.properties["uniqueId"])

    def _forget_disks(self) -> None:
        """Remove the content of disks and machines that no longer exist."""
        known = {str(disk.properties.get("uniqueId")) for disk in self._inventory.of_type(DISK)}
        _remove_others(self._settings.state / "disks", known)
        _remove_others(self._settings.raw_disks, known)
        machines = {_folder_of(vm) for vm in self._inventory.of_type(VM)}
        _remove_others(self._settings.state / "machines", machines)

    # Images

    def _puller(self, key: str) -> Pull:
        async def pull(image: str) -> Image:
            await self._ask_registry(key, image)
            return await self._images.get(image)

        return pull

    # Commands and reports

    def take_commands(self, commands: list[Json]) -> None:
        """Begin the run commands that are new."""
        for command in commands:
            operation = str(command["operation"])
            if operation not in self._commands and not self._closed:
                self._commands[operation] = asyncio.create_task(self._command(operation, command))

    async def _command(self, operation: str, command: Json) -> None:
        try:
            machine = self.machine(str(command["vm"]).lower())
            result = await machine.shell("\n".join(command["script"]), seconds=COMMAND_SECONDS)
            answer: Json = {
                "exitCode": result.code,
                "stdout": _end(result.stdout),
                "stderr": _end(result.stderr),
            }
        except (DatacentreError, TimeoutError, OSError) as failed:
            answer = {"exitCode": 1, "stdout": "", "stderr": str(failed) or type(failed).__name__}
        try:
            await self._control_plane.answer_command(operation, answer)
        except (OSError, aiohttp.ClientError) as gone:
            log.error("the answer of run command %s is lost: %s", operation, gone)

    async def _report(self, identifier: str, machine: PoweredMachine) -> None:
        """Tell the control plane how a machine is doing, whenever that changes; again until it is heard."""
        told = True
        while True:
            await machine.news.wait()
            await asyncio.sleep(_REPORT_PAUSE if told else _REPORT_AGAIN)
            machine.news.clear()
            try:
                await self._control_plane.report_machine(identifier, _health_of(machine))
                told = True
            except (TimeoutError, OSError, aiohttp.ClientError) as failed:
                if told:
                    log.warning("the control plane does not take the report of %s: %r", machine.name, failed)
                told = False
                machine.news.set()


def _folder_of(document: Document) -> str:
    return f"{document.name}-{str(document.properties.get('vmId', ''))[:8]}"


def _health_of(machine: PoweredMachine) -> Json:
    return {"problem": machine.problem, "containers": machine.health()}


def _end(output: bytes) -> str:
    return output[-OUTPUT_BYTES:].decode(errors="replace")


def _remove_others(folder: Path, kept: set[str]) -> None:
    with contextlib.suppress(FileNotFoundError):
        for entry in folder.iterdir():
            if entry.name not in kept:
                shutil.rmtree(entry)
