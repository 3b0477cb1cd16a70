"""A hospital and its centre, with time, storage, engines and NVFlare's commands in the test's hands."""

import base64
import dataclasses
import json
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

import yaml
from container_server import nvflare_versions
from container_server.backups import Backups
from container_server.centre.agent import CentreAgent
from container_server.centre.composed import Asked, compose
from container_server.centre.job_folder import JobFolder
from container_server.clock import Clock
from container_server.config import Config
from container_server.engine import ContainerState, Running
from container_server.hospital.agent import HospitalAgent
from container_server.hospital.consent import POLICY
from container_server.hospital.ledgers import KeptLedgers
from container_server.hospital.state import State
from container_server.messages import REPORT, decode
from container_server.nvflare_cli import Nvflare
from fed_site.job_code import checksum

from tests.unit.support.job_archives import packed
from tests.unit.support.workloads_fakes import FakeClock, FakeEngine, FolderStore, SkewedClock
from tests.unit.support.workloads_pki import START, FakeNvflare
from workloads.data import heart_data


def config_of(role: str, root: Path, **changes: Any) -> Config:
    config = Config.read(
        {
            "FED_ROLE": role,
            "FED_PARTY": "centre" if role == "centre" else "cleveland",
            "FED_ENVIRONMENT": "dev",
            "FED_FL_HOST": "fl.federation.internal",
            "FED_FL_PORT": "8002",
            "FED_HUB_STORAGE": "https://hub",
            "FED_OWN_STORAGE": "https://own",
            "FED_APPROVAL": "auto",
            "AZURE_CLIENT_ID": "id",
            "FED_ROOT": str(root),
            "FED_JOBS": str(root / "jobs"),
        }
    )
    return dataclasses.replace(config, **changes)


def backups_of(
    config: Config, clock: Clock, store: FolderStore, engine: FakeEngine, key: str | None
) -> Backups:
    return Backups(config=config, clock=clock, store=store, engine=engine, recipient=lambda: key)


def ledgers_of(config: Config, record: FolderStore, clock: Clock) -> KeptLedgers:
    return KeptLedgers(record=record, work=config.work, answers=config.answers, clock=clock)


class World:
    """A hospital and, to answer it, a centre; both turn when the test says so.

    The hospital's clock is `skew` seconds ahead of the centre's.
    """

    def __init__(self, folder: Path, approval: str = "auto", skew: float = 0.0):
        self.folder = folder
        self.clock = FakeClock(START.timestamp() + 3600)
        self.hospitals_clock = SkewedClock(self.clock, skew)
        self.stores: dict[str, FolderStore] = {}
        self.nvflare = FakeNvflare(self.clock)
        self.client = FakeEngine({"fl-client": ContainerState(Running.STOPPED)}, on_start=self._heard)
        self.server = FakeEngine({"fl-server": ContainerState(Running.STOPPED)})
        self.server.start("mlflow")
        self.members = ["cleveland"]
        self.named: dict[str, dict[str, str]] = {"centre": {}, "hospital": {}}
        """Image -> digest, as the stack names them for each VM."""
        self.coming = nvflare_versions.running()
        """The version of NVFlare in them."""
        self.operators = False
        """Whether operators ask the centre by blobs."""
        self.key: str | None = None
        """The public key to which the stack has backups encrypted."""
        self.centre_config = config_of("centre", folder / "centre", approval=approval)
        self.hospital_config = config_of("hospital", folder / "hospital")
        self.data.write("heart.csv", heart_data.seed("cleveland"))
        self.hospital = self.new_hospital()
        self.centre = self.new_centre()

    def new_hospital(self, **changes: Any) -> HospitalAgent:
        config = dataclasses.replace(self.hospital_config, **changes)
        return HospitalAgent(
            config=config,
            clock=self.hospitals_clock,
            channel=self.channel,
            data=self.data,
            policy=self.store("policy"),
            record=self.record,
            user_data=lambda: self.user_data(self.named["hospital"]),
            engine=self.client,
            nvflare=cast(Nvflare, self.nvflare),
            backups=backups_of(config, self.hospitals_clock, self.kept, self.client, self.key),
            ledgers=ledgers_of(config, self.record, self.hospitals_clock),
        )

    def new_centre(self) -> CentreAgent:
        return CentreAgent(
            config=self.centre_config,
            clock=self.clock,
            open_container=self.store,
            user_data=lambda: self.user_data(self.named["centre"]),
            engine=self.server,
            nvflare=cast(Nvflare, self.nvflare),
            backups=backups_of(
                self.centre_config, self.clock, self.store("backup-centre"), self.server, self.key
            ),
        )

    def user_data(self, images: Mapping[str, str]) -> str:
        told = {"hospitals": self.members, "images": dict(images), "nvflare": self.coming}
        told |= {"operators": True} if self.operators else {}
        return base64.b64encode(json.dumps(told).encode()).decode()

    def answer(self, *, approved: Iterable[str] = (), refused: Mapping[str, str] | None = None) -> None:
        """The hospital's officers write what they say to jobs' code."""
        policy = {
            "schema": "fed/jobs/1",
            "platform": True,
            "approved": [{"code": code, "name": "x", "by": "Dr Meier"} for code in approved],
            "refused": [{"code": code, "why": why} for code, why in (refused or {}).items()],
        }
        self.store("policy").write(POLICY, json.dumps(policy).encode())

    def store(self, name: str) -> FolderStore:
        return self.stores.setdefault(name, FolderStore(self.folder / "blobs" / name))

    @property
    def channel(self) -> FolderStore:
        return self.store("client-cleveland")

    @property
    def data(self) -> FolderStore:
        return self.store("data")

    @property
    def record(self) -> FolderStore:
        return self.store("record")

    @property
    def kept(self) -> FolderStore:
        return self.store("backup-cleveland")

    def state(self) -> State:
        return self.hospital.decision.state

    @property
    def reason(self) -> str:
        return str(self.hospital.report()["reason"])

    def turn(self, seconds: float, centre: bool = True) -> None:
        """Let time pass, turning both."""
        until = self.clock.now() + seconds
        while self.clock.now() < until:
            if centre:
                self.centre.tick()
                self.centre.work()
            self.clock.sleep(self.hospital.tick())
            self.hear()

    def hear(self) -> None:
        """The server answers the client, when it runs."""
        if self.client.containers["fl-client"].running is Running.RUNNING:
            self._heard("fl-client")

    silent = False

    def _heard(self, name: str) -> None:
        work = self.hospital_config.work
        work.mkdir(parents=True, exist_ok=True)
        if not self.silent:
            (work / "health.json").write_text(json.dumps({"heard": self.hospitals_clock.now()}))

    def report(self) -> dict[str, Any]:
        return decode("report", (self.channel.folder / REPORT).read_bytes())


def job_files(name: str = "heart", **changes: Any) -> dict[str, str]:
    """A small job: path -> text."""
    described = {
        "name": name,
        "purpose": "to see",
        "minimum_sites": 1,
        "rounds": 10,
        "parameters": {"steps": {"type": "int", "default": 5}},
        "model": {"arrays": {"w": [3]}},
        "script": {"path": "job.py", "arguments": ["--steps", "{steps}"]},
        **changes,
    }
    return {"job.yaml": yaml.safe_dump(described, sort_keys=False), "job.py": "print()"}


def code_of(name: str = "heart", **changes: Any) -> str:
    """The checksum that hospitals approve of that small job."""
    with tempfile.TemporaryDirectory() as folder:
        _write(Path(folder) / name, job_files(name, **changes))
        job = JobFolder.read(Path(folder) / name)
        composed = compose(job, Asked(rounds=10, parameters=job.parse({})), [])
    app = "app_hospital/"
    return checksum(
        packed(
            {path.removeprefix(app): text for path, text in composed.nvflare.items() if path.startswith(app)}
        )
    )


def give(world: World, name: str = "heart", **changes: Any) -> None:
    """Put a small job among those of the centre's image."""
    _write(world.centre_config.jobs / name, job_files(name, **changes))


def _write(folder: Path, files: Mapping[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in files.items():
        (folder / path).write_text(text)
