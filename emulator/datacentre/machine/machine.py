"""One virtual machine: boots from its customData, keeps its containers running, runs commands in itself."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import shutil
import signal
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from emulator.datacentre.errors import DatacentreError
from emulator.datacentre.kernel import Namespace
from emulator.datacentre.machine import cloud_config, compose, image_orders
from emulator.datacentre.machine.bridge import Bridge
from emulator.datacentre.machine.cloud_config import CloudConfig, Folder
from emulator.datacentre.machine.compose import HealthCheck, Service
from emulator.datacentre.machine.image import Image
from emulator.datacentre.machine.image_change import ImageChange
from emulator.datacentre.machine.image_orders import ImageOrders
from emulator.datacentre.machine.memory import Memory
from emulator.datacentre.machine.runtime import MachineInit, Process, Result, Spec, launch_command

log = logging.getLogger(__name__)

DATA_DISK = "/var/lib/fed"
"""Where the platform mounts the data disk (components/boot)."""
ENGINE_SOCKET = "/var/run/docker.sock"
AUTHORITY = "/etc/ssl/certs/emulator-authority.pem"
PLATFORM_DNS = "168.63.129.16"
SOCKET_GROUP = 10002
"""The group that the platform gives the engine's socket to (components/boot/templates/docker-socket.conf)."""
ROOT_CAPABILITIES = (0, 1, 3, 4, 5, 6, 7)
"""What root of a machine keeps: ownership and access of its own files (CHOWN, DAC_OVERRIDE, FOWNER, FSETID),
KILL, SETGID, SETUID."""
STOP_SECONDS = 10.0
LOG_BYTES = 8 * 1024 * 1024
_DOCKER = Path(__file__).with_name("docker_command.py")
_USERS = (
    "root:x:0:0:root:/root:/bin/sh\n"
    "fed:x:10001:10001::/tmp:/usr/sbin/nologin\n"
    "box:x:10003:10001::/tmp:/usr/sbin/nologin\n"
)
_LONGEST_PAUSE = 30.0
_STEADY_SECONDS = 10.0
_LONGEST_PULL_PAUSE = 15.0
"""Seconds between two tries to pull, as of the unit that makes the containers (components/boot)."""

Made = TypeVar("Made")
Pull = Callable[[str], Awaitable[Image]]
"""Gives the image behind a reference if this machine's identity may have it; raises DatacentreError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a machine's files are: `files` (its own root), `disk` (None without one), `logs`, `volatile`."""

    files: Path
    disk: Path | None
    logs: Path
    volatile: Path


@dataclass(slots=True)
class Container:
    """One container of a machine and what is known of it."""

    service: Service
    id: str
    image: Image | None = None
    process: Process | None = None
    wanted: bool = False
    status: str = "created"
    health: str | None = None
    exit_code: int = 0
    restarts: int = 0
    error: str = ""
    task: asyncio.Task[None] | None = field(default=None, repr=False)
    """What keeps it: pulls its image, then starts it for as long as it is wanted."""
    changing: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)
    """Held by whoever starts or stops it: one change at a time, as in Docker."""
    tried: asyncio.Event = field(default_factory=asyncio.Event, repr=False)
    """Whether the start that was asked for last has come to something."""

    @property
    def running(self) -> bool:
        """Whether its program runs."""
        return self.status == "running"

    @property
    def started(self) -> bool:
        """Whether it runs, or is about to run again by its restart policy."""
        return self.status in {"running", "restarting"}


class Machine:
    """A machine with the power on, from `boot` until `off`."""

    def __init__(
        self, name: str, *, place: Place, network: Namespace, pull: Pull, authority: Path, rootless: bool
    ) -> None:
        self.name = name
        self.place = place
        self.containers: dict[str, Container] = {}
        self.problem = ""
        self._network = network
        self._pull = pull
        self._authority = authority
        self._rootless = rootless
        self._config = CloudConfig(())
        self._change: ImageChange | None = None
        self._following: asyncio.Task[None] | None = None
        self._init: MachineInit | None = None
        self._memory = Memory(place.files / "var/lib/docker/containers.json")
        self._bridges: dict[str, Bridge] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.news = asyncio.Event()

    # Power

    async def boot(self, custom_data: str, user_data: str = "") -> None:
        """Boot from base64 customData; without any the machine is on and runs nothing of its own.

        `user_data`, also base64, names the images of a machine that knows none yet. Raises DatacentreError
        when the machine cannot boot from it.
        """
        # In a thread: cloud-init's own check is a program that takes a third of a second.
        config = await asyncio.to_thread(cloud_config.read, custom_data) if custom_data else None
        self._config = config or CloudConfig(())
        self._write_files()
        services = self._services(user_data) if custom_data else ()
        self._init = await MachineInit.start(self.name, self._network.path)
        self._make_networks(services)
        for service in services:
            mark = hashlib.sha256(f"{self.name}/{service.name}/{service.image}".encode()).hexdigest()
            self.containers[service.name] = self._remembered(Container(service, mark))
        for container in self.containers.values():
            container.wanted = not container.service.managed or self._memory.starts(container.service)
            self._keep(container)
        if self._change is not None:
            self._following = asyncio.create_task(self._change.follow())

    def _services(self, user_data: str) -> tuple[Service, ...]:
        """The compose file's, with the images that are in force."""
        text = self._config.text(cloud_config.COMPOSE)
        if not self._config.writes(cloud_config.CHANGE_IMAGES):
            return compose.read(text)
        orders = ImageOrders(self._locate(image_orders.FOLDER))
        self._change = ImageChange(self, orders, text)
        return compose.read(text, orders.in_force(text, user_data))

    def _remembered(self, container: Container) -> Container:
        code = self._memory.exit_code(container.service.name)
        if code is not None:
            container.status, container.exit_code = "exited", code
        return container

    async def crashed(self) -> None:
        """Wait until the machine's first process ends; of one that did not boot there is none to wait for."""
        if self._init is None:
            await asyncio.Event().wait()
        else:
            await self._init.ended()

    async def off(self) -> None:
        """Switch the power off: everything in the machine ends at once."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.wait({self._following})
        for container in self.containers.values():
            container.wanted = False
        tasks = [container.task for container in self.containers.values() if container.task]
        for task in tasks:
            task.cancel()
        if self._init is not None:
            await self._init.kill()
        await asyncio.gather(*tasks, return_exceptions=True)
        for container in self.containers.values():
            if not container.tried.is_set():  # somebody waits for a start that will not come
                container.error = f"machine {self.name} is off"
                container.tried.set()
        for bridge in self._bridges.values():
            bridge.close()
        self._bridges.clear()
        shutil.rmtree(self.place.volatile, ignore_errors=True)

    def _write_files(self) -> None:
        for folder in (self.place.files, self.place.logs, self.place.volatile):
            folder.mkdir(parents=True, exist_ok=True)
        for file in self._config.files:
            path = self.place.files / file.path.lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            path.write_bytes(file.content)
            path.chmod(file.mode)
        _readable(self.place.files)
        if self.place.disk is not None:
            for made in self._config.folders():
                self._make_folder(made)

    def _make_folder(self, folder: Folder) -> None:
        """What the unit that makes the containers does first."""
        place = self._locate(folder.path)
        place.mkdir(parents=True, exist_ok=True)
        if not self._rootless:
            os.chown(place, *folder.owner)
        place.chmod(folder.mode)

    def _make_networks(self, services: tuple[Service, ...]) -> None:
        for service in services:
            if service.network is not None and service.network.bridge not in self._bridges:
                self._bridges[service.network.bridge] = Bridge(self.name, service.network, self._network)
        if self._bridges:
            rules = self._config.text(cloud_config.CLIENT_NETWORK)
            for bridge in self._bridges.values():
                bridge.guard(rules)

    # Other images

    async def pull(self, reference: str) -> None:
        """Pull an image. Raises DatacentreError in a container engine's words."""
        await self._pull(reference)

    async def make_again(self, services: Sequence[Service]) -> None:
        """Make containers again; those that are managed wait for the container server's word."""
        for service in services:
            if (before := self.containers.get(service.name)) is not None:
                await self.stop(before)
            made = Container(service, os.urandom(32).hex())
            self.containers[service.name] = made
            if not service.managed:
                made.wanted = True
                self._keep(made)
        self.news.set()

    # Containers

    async def start(self, container: Container) -> None:
        """Start a container, wait until it runs, and keep it running as its restart policy says.

        Raises DatacentreError with the reason why it does not start; it is tried again until it is stopped.
        """
        async with container.changing:
            await self._start(container)

    async def stop(self, container: Container, seconds: float = STOP_SECONDS) -> None:
        """Stop a container and keep it stopped."""
        async with container.changing:
            await self._stop(container, seconds)

    async def restart(self, container: Container, seconds: float = STOP_SECONDS) -> None:
        """Stop and start a container; raises DatacentreError as `start` does."""
        async with container.changing:
            await self._stop(container, seconds)
            await self._start(container)

    async def _start(self, container: Container) -> None:
        if container.started:
            return
        if self.containers.get(container.service.name) is not container:
            raise DatacentreError(f"No such container: {container.id}")  # made again meanwhile
        container.wanted = True
        container.tried.clear()
        if container.task is None or container.task.done():
            self._keep(container)
        await container.tried.wait()
        if container.error:
            raise DatacentreError(container.error)

    async def _stop(self, container: Container, seconds: float) -> None:
        container.wanted = False
        task, process = container.task, container.process
        if process is not None and container.running:
            await process.signal(signal.SIGTERM)
            if task is not None and await _within(task, seconds):
                return
            await process.signal(signal.SIGKILL)
        if task is not None:
            if not container.running:
                task.cancel()  # it pulls, waits between two starts, or is about to run
            await asyncio.wait({task})
        if container.status != "created":
            container.status = "exited"

    def _keep(self, container: Container) -> None:
        container.restarts = 0
        container.task = asyncio.create_task(self._run(container))
        container.task.add_done_callback(lambda task: self._defect(container, task))

    def _defect(self, container: Container, task: asyncio.Task[None]) -> None:
        """Say what no container should meet: an error of the emulator itself."""
        if not task.cancelled() and (failed := task.exception()) is not None:
            log.error("%s/%s is given up", self.name, container.service.name, exc_info=failed)
            container.status, container.error = "dead", f"the emulator failed: {failed!r}"
            container.tried.set()
            self.news.set()

    async def _run(self, container: Container) -> None:
        """Pull a container's image; then start it again and again while it is wanted."""
        image = await self._insist(container, lambda: self._pull(container.service.image))
        container.image = image
        pause = 0.1
        while container.wanted:
            container.process = await self._insist(container, lambda: self._spawn(container, image))
            started = asyncio.get_running_loop().time()
            await self._attend(container, container.process)
            if not container.wanted or not _again(container):
                container.wanted = False
                break
            if asyncio.get_running_loop().time() - started > _STEADY_SECONDS:
                pause = 0.1
            container.restarts += 1
            container.status = "restarting"
            self.news.set()
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _insist(self, container: Container, step: Callable[[], Awaitable[Made]]) -> Made:
        """Do what a start needs, as often as it takes: the unit that makes the containers does the same."""
        wait = 1.0
        while True:
            try:
                made = await step()
            except (DatacentreError, OSError) as refused:
                self._note(container, str(refused))
                container.status, container.error = "created", str(refused)
                container.tried.set()
                self.news.set()
                await asyncio.sleep(wait)
                wait = min(wait * 2, _LONGEST_PULL_PAUSE)
            else:
                container.error = ""
                return made

    async def _attend(self, container: Container, process: Process) -> None:
        """Wait for a container's end, watching its health meanwhile."""
        container.status = "running"
        self._memory.runs(container.service.name)
        container.tried.set()
        check = self._healthcheck(container)
        container.health = "starting" if check else None
        watch = asyncio.create_task(self._watch(container, process, check)) if check else None
        self.news.set()
        try:
            container.exit_code = await process.wait()
            self._memory.ended(container.service.name, container.exit_code)
        finally:
            if watch is not None:
                watch.cancel()
            container.status = "exited"
            container.health = None
            self._rotate(container)
            self.news.set()

    async def _watch(self, container: Container, process: Process, check: HealthCheck) -> None:
        failures, began = 0, asyncio.get_running_loop().time()

        def is_starting() -> bool:
            past = asyncio.get_running_loop().time() - began
            return container.health == "starting" and past < check.start_period

        while True:
            await asyncio.sleep(check.start_interval if is_starting() else check.interval)
            try:
                healthy = (await process.run(check.command, seconds=check.timeout)).code == 0
            except (TimeoutError, DatacentreError):
                healthy = False
            failures = 0 if healthy else failures + (not is_starting())
            before = container.health
            if healthy:
                container.health = "healthy"
            elif failures >= check.retries:
                container.health = "unhealthy"
            if container.health != before:
                self.news.set()
            self._rotate(container)

    def _healthcheck(self, container: Container) -> HealthCheck | None:
        image = container.image.config.healthcheck if container.image else None
        check = container.service.healthcheck or image
        return check if check and check.command else None

    async def _spawn(self, container: Container, image: Image) -> Process:
        if self._init is None:
            raise DatacentreError(f"machine {self.name} is off")
        service = container.service
        network = self._network
        if service.network is not None:
            network = self._bridges[service.network.bridge].join(service.name)
        return await Process.start(
            self._spec(service, image),
            file=self.place.volatile / f"{service.name}.json",
            machine=self._init.pid,
            network=None if service.alone else network.path,
            log=self.log_of(container),
        )

    def _spec(self, service: Service, image: Image) -> Spec:
        config = image.config
        user = self._user(service.user or config.user)
        return Spec(
            command=(service.entrypoint or config.entrypoint) + (service.command or config.command),
            environment={
                "HOME": "/",
                "HOSTNAME": self.name,
                "LANG": "C.UTF-8",
                "REQUESTS_CA_BUNDLE": AUTHORITY,
                "SSL_CERT_FILE": AUTHORITY,
                **config.environment,
                **service.environment,
            },
            working_dir=service.working_dir or config.working_dir,
            mounts=(
                *(((str(image.venv), "/opt/venv", True),) if image.venv else ()),
                *((str(path), target, True) for path, target in image.files),
                *(
                    (str(self._source(volume.source, user)), volume.target, volume.read_only)
                    for volume in service.volumes
                ),
            ),
            tmpfs=service.tmpfs,
            etc=self._etc(service.hosts, service.dns or (PLATFORM_DNS,)),
            read_only=service.read_only,
            user=user,
            groups=service.groups if user else (),
            processes=service.processes,
        )

    def _etc(self, hosts: tuple[tuple[str, str], ...], servers: tuple[str, ...]) -> dict[str, str]:
        lines = ["127.0.0.1 localhost", f"127.0.1.1 {self.name}", *(f"{at} {host}" for host, at in hosts)]
        resolver = [*(f"nameserver {server}" for server in servers), "options timeout:2 attempts:2"]
        return {
            "/etc/hosts": "\n".join(lines) + "\n",
            "/etc/hostname": f"{self.name}\n",
            "/etc/resolv.conf": "\n".join(resolver) + "\n",
            # A copy: the original is its owner's alone, and containers have users of their own.
            AUTHORITY: self._authority.read_text(),
            "/etc/passwd": _USERS,
            "/etc/group": f"root:x:0:\nfed:x:10001:\ndocker:x:{SOCKET_GROUP}:\n",
        }

    def _user(self, text: str) -> tuple[int, int] | None:
        """Return (uid, gid); None in a user namespace with a single uid, where nobody else can be had."""
        if self._rootless:
            return None
        uid, _, gid = text.partition(":")
        try:
            return int(uid), int(gid or uid)
        except ValueError:
            known = {"root": (0, 0), "fed": (10001, 10001)}
            if text not in known:
                raise DatacentreError(
                    f"unable to find user {text}: no matching entries in passwd file"
                ) from None
            return known[text]

    def _source(self, path: str, user: tuple[int, int] | None) -> Path:
        """Return where a path of the machine is; a missing folder of the data disk is made for the user."""
        if path == ENGINE_SOCKET:
            return self.engine_socket
        place = self._locate(path)
        if not place.exists():
            place.mkdir(parents=True)
            if user is not None:
                os.chown(place, *user)
            place.chmod(0o700)
        return place

    def _locate(self, path: str) -> Path:
        if path == DATA_DISK or path.startswith(DATA_DISK + "/"):
            if self.place.disk is None:
                raise DatacentreError(
                    f"bind source path does not exist: {path} (the machine has no data disk)"
                )
            return self.place.disk / path.removeprefix(DATA_DISK).lstrip("/")
        return self.place.files / path.lstrip("/")

    @property
    def engine_socket(self) -> Path:
        """The container engine's socket, as a file of the datacentre."""
        return self.place.volatile / "docker.sock"

    # Logs

    def log_of(self, container: Container) -> Path:
        """The file with everything that a container has said."""
        return self.place.logs / f"{container.service.name}.log"

    def _note(self, container: Container, problem: str) -> None:
        """Tell once why a container cannot start, in the datacentre's log and in its own."""
        if problem != container.error:
            log.warning("%s/%s: %s", self.name, container.service.name, problem)
            with self.log_of(container).open("a") as file:
                file.write(f"Error response from daemon: {problem}\n")

    def _rotate(self, container: Container) -> None:
        """Keep the newest part of a log that has grown too long, and the part before it."""
        file = self.log_of(container)
        if file.exists() and file.stat().st_size > LOG_BYTES:
            shutil.copyfile(file, file.with_suffix(".log.1"))
            os.truncate(file, 0)

    # Commands in the machine itself

    async def shell(self, script: str, *, seconds: float) -> Result:
        """Run a shell script as root of the machine; raise TimeoutError when it takes longer."""
        process = await asyncio.create_subprocess_exec(
            *self.command(("sh", "-c", script)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(seconds):
                stdout, stderr = await process.communicate()
        except TimeoutError:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
            raise
        return Result(process.returncode or 0, stdout, stderr)

    def command(self, words: tuple[str, ...]) -> list[str]:
        """Return what a process of the sandbox executes to run a command as root of the machine."""
        if self._init is None:
            raise DatacentreError(f"machine {self.name} is off")
        file = self.place.volatile / f"shell-{os.urandom(4).hex()}.json"
        return launch_command(self._shell_spec(words), file, self._init.pid, self._network.path)

    def _shell_spec(self, command: tuple[str, ...]) -> Spec:
        """A root that looks like the machine's own: its files, its disk, its engine."""
        mounts = [
            (str(_DOCKER), "/usr/local/bin/docker", True),
            (str(self.engine_socket), ENGINE_SOCKET, False),
            (str(self.place.files / "opt"), "/opt", False),
        ]
        if self.place.disk is not None:
            mounts.append((str(self.place.disk), DATA_DISK, False))
        return Spec(
            command=command,
            environment={
                "HOME": "/root",
                "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
                "LANG": "C.UTF-8",
                "REQUESTS_CA_BUNDLE": AUTHORITY,
                "SSL_CERT_FILE": AUTHORITY,
            },
            working_dir="/root",
            mounts=tuple(mounts),
            tmpfs=(),
            etc=self._etc((), (PLATFORM_DNS,)),
            read_only=False,
            user=None,
            groups=(),
            capabilities=ROOT_CAPABILITIES,
        )


def _again(container: Container) -> bool:
    policy = container.service.restart
    return policy in {"always", "unless-stopped"} or (policy == "on-failure" and container.exit_code != 0)


async def _within(task: asyncio.Task[None], seconds: float) -> bool:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(asyncio.shield(task), seconds)
    return task.done()


def _readable(folder: Path) -> None:
    """Let every user of the machine enter the folders that hold its files."""
    for path in (folder, *(one for one in folder.rglob("*") if one.is_dir())):
        path.chmod(0o755)
