"""A whole federation on this machine's loopback: the real container servers, NVFlare and MLflow, no Azure.

The container servers run here, on threads; storage is a folder; each "container" is a process of the
image's own code in a virtual environment made from the image's pinned requirements.
"""

import asyncio
import base64
import contextlib
import functools
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from container_server.centre.agent import CentreAgent
from container_server.clock import SystemClock
from container_server.config import Config
from container_server.control import answer
from container_server.engine import ContainerState, Running
from container_server.hospital.agent import HospitalAgent
from container_server.nvflare_cli import Nvflare

from emulator import paths
from emulator.fabric import installed
from tests.unit.workloads_fakes import FolderStore
from workloads.data import heart_data

WORKLOADS = Path(__file__).resolve().parents[2] / "workloads"
PATIENCE = 300.0
"""Seconds after which something that should happen is taken not to: many times what a quiet machine needs."""
HOSPITALS = ("cleveland", "hungary", "va-long-beach")


@functools.cache
def environment_of(image: str) -> Path:
    """The virtual environment of an image's requirements, which the fabric uses too; its bin folder."""

    async def run(argv: Sequence[str], what: str) -> None:
        process = await asyncio.create_subprocess_exec(*argv)
        assert await process.wait() == 0, f"could not {what}"

    requirements = WORKLOADS / image / "requirements.txt"
    return asyncio.run(installed.python_environment(paths.cache(), requirements, run)) / "bin"


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Program:
    """What a container of one image runs: arguments, working folder, environment."""

    arguments: list[str]
    folder: Path
    environment: dict[str, str]


@dataclass
class ProcessEngine:
    """Engine whose containers are process groups; restarts those that fail, as `restart: on-failure` does."""

    programs: dict[str, Program]
    logs: Path
    _processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _wanted: set[str] = field(default_factory=set)
    _restarts: dict[str, int] = field(default_factory=dict)
    _next_start: dict[str, float] = field(default_factory=dict)

    def state(self, name: str) -> ContainerState:
        if name not in self.programs:
            return ContainerState(Running.ABSENT)
        process = self._processes.get(name)
        if process is None:
            return ContainerState(Running.STOPPED)
        code = process.poll()
        if code is None:
            return ContainerState(Running.RUNNING, None, self._restarts.get(name, 0))
        if name in self._wanted and code != 0:
            if time.time() >= self._next_start.setdefault(name, time.time() + 1.0):
                self._restarts[name] = self._restarts.get(name, 0) + 1
                del self._next_start[name]
                self._run(name)
            return ContainerState(Running.RESTARTING, code, self._restarts.get(name, 0))
        return ContainerState(Running.STOPPED, code)

    def start(self, name: str) -> None:
        if self.state(name).running is not Running.RUNNING:
            self._wanted.add(name)
            self._run(name)

    def stop(self, name: str) -> None:
        self._wanted.discard(name)
        self.kill(name)

    def restart(self, name: str) -> None:
        self.stop(name)
        self.start(name)

    def kill(self, name: str) -> None:
        """End the process group at once, as a power-off would."""
        if process := self._processes.get(name):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def execute(self, name: str, command: list[str]) -> tuple[int, str]:
        program = self.programs[name]
        interpreter = program.arguments[0]
        ended = subprocess.run(
            [interpreter, *command[1:]],
            cwd=program.folder,
            env=program.environment,
            check=False,
            capture_output=True,
            text=True,
        )
        (self.logs / f"{name}.exec.log").open("a").write(ended.stderr)
        return ended.returncode, ended.stdout

    def end_all(self) -> None:
        """End everything."""
        for name in list(self._processes):
            self.stop(name)

    def _run(self, name: str) -> None:
        program = self.programs[name]
        with (self.logs / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                program.arguments,
                cwd=program.folder,
                env=program.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )


class Vm:
    """One VM: its container server on a thread, its containers as processes."""

    def __init__(self, name: str, tick: Callable[[], float], engine: ProcessEngine):
        self.name = name
        self.engine = engine
        self.failure: BaseException | None = None
        self._tick = tick
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def on(self) -> None:
        """Switch it on."""
        self._thread.start()

    def off(self) -> None:
        """Switch it off."""
        self._ended.set()
        self._thread.join(timeout=30)
        self.engine.end_all()

    def _run(self) -> None:
        try:
            while not self._ended.is_set():
                self._ended.wait(self._tick())
        except BaseException as error:
            self.failure = error
            raise


class Federation:
    """The centre and its hospitals below one folder. `fedctl()` asks the centre."""

    def __init__(self, folder: Path, approval: str = "auto"):
        self.folder = folder
        self.port = free_port()
        self.mlflow_port = free_port()
        self.members: set[str] = set()
        self.approval = approval
        self.stores: dict[str, FolderStore] = {}
        self.hospitals: dict[str, Vm] = {}
        self.agents: dict[str, HospitalAgent] = {}
        self.centre_agent: CentreAgent | None = None
        self.centre: Vm | None = None

    def store(self, name: str) -> FolderStore:
        """A blob container: `server`, `client-<hospital>` or `data-<hospital>`."""
        return self.stores.setdefault(name, FolderStore(self.folder / "blobs" / name))

    def start_centre(self) -> None:
        """Switch the centre on."""
        root = self.folder / "centre"
        config = self._config("centre", root, FED_APPROVAL=self.approval)
        engine = ProcessEngine(
            {"fl-server": self._server(root), "mlflow": self._mlflow(root)}, self._logs("centre")
        )
        engine.start("mlflow")
        self.centre_agent = CentreAgent(
            config=config,
            clock=SystemClock(),
            open_container=self.store,
            user_data=self._user_data,
            engine=engine,
            nvflare=self._nvflare(config),
        )
        self.centre = Vm("centre", self.centre_agent.tick, engine)
        self.centre.on()

    def start_hospital(self, name: str, data: bytes | None = None) -> None:
        """Make a hospital a member, upload its data (its own rows unless others are given), switch it on."""
        content = heart_data.seed(name) if data is None else data
        if content:
            self.store(f"data-{name}").write("heart.csv", content)
        self.members.add(name)
        root = self.folder / name
        config = self._config(name, root, FED_OWN_STORAGE="https://own")
        agent = HospitalAgent(
            config=config,
            clock=SystemClock(),
            channel=self.store(f"client-{name}"),
            data=self.store(f"data-{name}"),
            engine=(engine := ProcessEngine({"fl-client": self._client(root)}, self._logs(name))),
            nvflare=self._nvflare(config),
        )
        self.agents[name] = agent
        self.hospitals[name] = Vm(name, agent.tick, engine)
        self.hospitals[name].on()

    def fedctl(self, command: str, **arguments: Any) -> Any:
        """Ask the centre. Raises AssertionError with the answer when it is an error."""
        assert self.centre_agent is not None
        line = json.dumps({"command": command, "arguments": arguments}).encode()
        reply = answer(self.centre_agent.commands.handlers(), line)
        assert reply["exit"] == 0, reply
        return reply["answer"]

    def wait(self, what: str, condition: Callable[[], bool], seconds: float = PATIENCE) -> float:
        """Wait for a condition; how long it took."""
        began = time.time()
        while not condition():
            for vm in filter(None, [self.centre, *self.hospitals.values()]):
                assert vm.failure is None, f"{vm.name}: {vm.failure!r}"
            assert time.time() - began < seconds, f"waited {seconds} s for: {what}"
            time.sleep(0.1)
        return time.time() - began

    def wait_registered(self, count: int, seconds: float = PATIENCE) -> float:
        """Wait until the server knows so many hospitals."""
        return self.wait(
            f"{count} hospitals registered", lambda: self.fedctl("status")["registered"] == count, seconds
        )

    def wait_job(self, job_id: str, seconds: float = 2 * PATIENCE) -> Any:
        """Wait until a job is over; the job."""
        over = ("finished", "failed", "aborted")
        self.wait(f"job {job_id}", lambda: self.fedctl("job", id=job_id)["state"] in over, seconds)
        return self.fedctl("job", id=job_id)

    def end(self) -> None:
        """Switch everything off."""
        for vm in [*self.hospitals.values(), self.centre]:
            if vm:
                vm.off()

    def _user_data(self) -> str:
        return base64.b64encode(json.dumps({"hospitals": sorted(self.members)}).encode()).decode()

    def _config(self, party: str, root: Path, **more: str) -> Config:
        return Config.read(
            {
                "FED_ROLE": "centre" if party == "centre" else "hospital",
                "FED_PARTY": party,
                "FED_ENVIRONMENT": "dev",
                "FED_FL_HOST": "localhost",
                "FED_FL_PORT": str(self.port),
                "FED_HUB_STORAGE": "https://hub",
                "AZURE_CLIENT_ID": "unused",
                "FED_ROOT": str(root),
                "FED_SERVER_WORK": str(root / "work"),
                **more,
            }
        )

    def _logs(self, party: str) -> Path:
        folder = self.folder / "logs" / party
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _nvflare(self, config: Config) -> Nvflare:
        return Nvflare(config.agent / "nvflare-home", environment_of("container_server"))

    def _environment(self, image: str, root: Path, **more: str) -> dict[str, str]:
        home = root / "home"
        home.mkdir(parents=True, exist_ok=True)
        (root / "work").mkdir(parents=True, exist_ok=True)
        return {
            "PATH": f"{environment_of(image)}:/usr/bin:/bin",
            "PYTHONPATH": str(WORKLOADS / image),
            "PYTHONDONTWRITEBYTECODE": "1",
            "MALLOC_ARENA_MAX": "2",
            "HOME": str(home),
            "FED_KIT": str(root / "kit"),
            "FED_WORK": str(root / "work"),
            **more,
        }

    def _client(self, root: Path) -> Program:
        python = str(environment_of("fl_client") / "python3")
        environment = self._environment("fl_client", root, FED_DATA=str(root / "data"))
        return Program([python, "-m", "fed_site.start"], root, environment)

    def _server(self, root: Path) -> Program:
        # As in the image: the server's own code and the jobs beside it.
        application = root / "app"
        if not application.exists():
            application.mkdir(parents=True)
            (application / "jobs").symlink_to(WORKLOADS / "jobs")
            shutil.copytree(WORKLOADS / "fl_server" / "fed_server", application / "fed_server")
        python = str(environment_of("fl_server") / "python3")
        environment = self._environment(
            "fl_server",
            root,
            MLFLOW_TRACKING_URI=f"http://127.0.0.1:{self.mlflow_port}",
            MLFLOW_DISABLE_TELEMETRY="true",
            FED_ENVIRONMENT="dev",
        )
        environment["PYTHONPATH"] = str(application)
        return Program([python, "-m", "fed_server.start"], root, environment)

    def _mlflow(self, root: Path) -> Program:
        python = str(environment_of("mlflow") / "python3")
        folder = root / "mlflow"
        folder.mkdir(parents=True, exist_ok=True)
        environment = self._environment(
            "mlflow",
            root,
            MLFLOW_DISABLE_TELEMETRY="true",
            MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false",
            FED_MLFLOW_PORT=str(self.mlflow_port),
            FED_MLFLOW_DATABASE=f"sqlite:///{folder}/mlflow.db",
            FED_ARTIFACTS=str(folder / "artifacts"),
        )
        return Program([python, "-m", "tracking.start"], folder, environment)
