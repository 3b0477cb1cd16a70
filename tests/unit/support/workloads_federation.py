"""A centre and several hospitals on one clock, whose client and server believe each other only by their kits.

What runs is what the kit was as it was started: a client that was not restarted goes on with its old one.
"""

import base64
import dataclasses
import json
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from container_server.centre.agent import CentreAgent
from container_server.certificates import Certificate
from container_server.config import Config
from container_server.engine import ContainerState, Running
from container_server.handover import leads_to
from container_server.hospital.agent import HospitalAgent
from container_server.kit import HOSPITAL_KIT, ROOT_CERTIFICATE, SERVER_KIT, KitShape
from container_server.nvflare_cli import Nvflare

from tests.unit.support.workloads_fakes import FakeClock, FakeEngine, FolderStore
from tests.unit.support.workloads_pki import START, FakeNvflare
from tests.unit.support.workloads_world import backups_of, config_of, ledgers_of
from workloads.data import heart_data

DAY = 86_400.0
JOB = "00000001-0000-4000-8000-000000000000"


@dataclass(frozen=True)
class Paper:
    """A party's certificate with what it sends along, and the root that it trusts."""

    chain: list[Certificate]
    root: Certificate

    @classmethod
    def of(cls, kit: Path, shape: KitShape) -> "Paper":
        chain = Certificate.read_chain((kit / shape.certificate).read_bytes())
        return cls(chain, Certificate.read((kit / ROOT_CERTIFICATE).read_bytes()))

    def is_believed_by(self, other: "Paper", now: float) -> bool:
        return leads_to(self.chain, other.root) and self.chain[0].valid_until.timestamp() > now


class House:
    """A hospital's VM."""

    def __init__(self, federation: "Federation", name: str, pin: str | None):
        self.federation = federation
        self.name = name
        self.engine = FakeEngine({"fl-client": ContainerState(Running.STOPPED)}, on_start=self._started)
        self.config: Config = dataclasses.replace(
            config_of("hospital", federation.folder / name), party=name, root_fingerprint=pin
        )
        self.paper: Paper | None = None
        self.registered: Certificate | None = None
        """The server's certificate as the client registered."""
        self.jobs = 0
        federation.store(f"data-{name}").write("heart.csv", heart_data.seed(name))
        self.agent = self.boot()

    def boot(self) -> HospitalAgent:
        """Its container server starts, with whatever is on the disk."""
        store, name = self.federation.store, self.name
        self.agent = HospitalAgent(
            config=self.config,
            clock=self.federation.clock,
            channel=store(f"client-{name}"),
            data=store(f"data-{name}"),
            policy=store(f"policy-{name}"),
            record=store(f"record-{name}"),
            user_data=lambda: "",
            engine=self.engine,
            nvflare=cast(Nvflare, self.federation.nvflare),
            backups=backups_of(
                self.config, self.federation.clock, store(f"backup-{name}"), self.engine, None
            ),
            ledgers=ledgers_of(self.config, store(f"record-{name}"), self.federation.clock),
        )
        return self.agent

    def lose_disk(self) -> None:
        shutil.rmtree(self.config.agent.parent)
        self.engine.stop("fl-client")
        self.boot()

    def _started(self, name: str) -> None:
        self.paper, self.registered = Paper.of(self.config.kit, HOSPITAL_KIT), None
        self.hear()

    @property
    def serial(self) -> str:
        """Of the certificate that its client runs with."""
        return self.paper.chain[0].serial if self.paper else ""

    def hear(self) -> bool:
        """The server answers the client, if it is registered or may register now."""
        mine, theirs, now = self.paper, self.federation.paper, self.federation.clock.now()
        heard = False
        if mine and theirs and self.engine.state("fl-client").running is Running.RUNNING:
            if self.registered is None and self._may_register(mine, theirs, now):
                self.registered = theirs.chain[0]
            # A server with another key cannot check the registration, and the client asks for no other
            # (NVFlare 2.9, seen on a running federation: "invalid auth token signature", forever).
            heard = self.registered == theirs.chain[0]
        if heard:
            self.config.work.mkdir(parents=True, exist_ok=True)
            (self.config.work / "health.json").write_text(json.dumps({"heard": now, "jobs": self.jobs}))
        return heard

    def _may_register(self, mine: Paper, theirs: Paper, now: float) -> bool:
        """Each believes the other, and the serial is the last one that was signed."""
        last = self.federation.allowed.get(self.name) == self.serial
        return last and mine.is_believed_by(theirs, now) and theirs.is_believed_by(mine, now)


class Federation:
    """The centre, and the houses by name."""

    def __init__(
        self,
        folder: Path,
        names: Iterable[str] = ("cleveland", "hungary"),
        approval: str = "auto",
        pin: str | None = None,
    ):
        self.folder = folder
        self.clock = FakeClock(START.timestamp() + 3600)
        self.nvflare = FakeNvflare(self.clock)
        self.stores: dict[str, FolderStore] = {}
        self.config = config_of("centre", folder / "centre", approval=approval)
        self.server = FakeEngine({"fl-server": ContainerState(Running.STOPPED)}, on_start=self._started)
        self.paper: Paper | None = None
        self.members = list(names)
        self.houses = {name: House(self, name, pin) for name in names}
        self.away: dict[str, House] = {}
        self.each_tick: Callable[[], None] = lambda: None
        self.boot()

    def boot(self) -> None:
        """The centre's container server starts, with whatever is on the disk."""
        self.centre = CentreAgent(
            config=self.config,
            clock=self.clock,
            open_container=self.store,
            user_data=lambda: base64.b64encode(json.dumps({"hospitals": self.members}).encode()).decode(),
            engine=self.server,
            nvflare=cast(Nvflare, self.nvflare),
            backups=backups_of(self.config, self.clock, self.store("backup-centre"), self.server, None),
        )

    def _started(self, name: str) -> None:
        if name == "fl-server":
            self.paper = Paper.of(self.config.kit, SERVER_KIT)

    def store(self, name: str) -> FolderStore:
        return self.stores.setdefault(name, FolderStore(self.folder / "blobs" / name))

    @property
    def allowed(self) -> dict[str, str]:
        return dict(json.loads((self.config.work / "allowed.json").read_text())["sites"])

    def turn(self, seconds: float, pause: float = 2.0) -> None:
        """Let time pass, turning everybody every `pause` seconds."""
        until = self.clock.now() + seconds
        while self.clock.now() < until:
            self.each_tick()
            self.centre.tick()
            self.centre.work()
            for house in self.houses.values():
                house.agent.tick()
            heard = [name for name, house in self.houses.items() if house.hear()]
            now = self.clock.now()
            (self.config.work / "clients.json").write_text(
                json.dumps({"heard": {name: int(now) for name in heard}})
            )
            self.clock.sleep(pause)

    def pass_days(self, days: float, then: float = 60, pause: float = 2.0) -> None:
        """Let days pass in which nobody looks, then seconds in which everybody does."""
        self.clock.time += days * DAY
        self.turn(then, pause)

    def leave(self, name: str) -> None:
        """A hospital is taken out of the list of members; its container goes with it."""
        self.members.remove(name)
        self.turn(12, pause=4)
        shutil.rmtree(self.store(f"client-{name}").folder)
        del self.stores[f"client-{name}"]
        self.away[name] = self.houses.pop(name)
        self.away[name].engine.stop("fl-client")

    def come_back(self, name: str) -> None:
        """It is listed again, with the disk that it had and a new, empty container."""
        self.members.append(name)
        self.houses[name] = self.away.pop(name)
        self.houses[name].boot()

    def states(self) -> dict[str, str]:
        """What each member's VM says of itself."""
        return {
            name: house.agent.decision.state.value
            for name, house in self.houses.items()
            if name in self.members
        }

    def status(self) -> dict[str, Any]:
        return self.centre.commands.status({})

    def rotate(self, what: str, **arguments: Any) -> dict[str, Any]:
        return self.centre.commands.rotate({"what": what, "yes": True, **arguments})

    def begin_job(self) -> None:
        """A job that was submitted, and runs at every house."""
        folder = self.config.agent / "jobs"
        folder.mkdir(exist_ok=True)
        (folder / f"{JOB}.json").write_text(json.dumps({"job": "heart", "submitted": self.clock.now()}))
        for house in self.houses.values():
            house.jobs = 1

    def end_job(self) -> None:
        folder = self.config.work / "jobs" / JOB
        folder.mkdir(parents=True)
        (folder / "status.json").write_text(json.dumps({"nvflare": "FINISHED:COMPLETED", "reason": ""}))
        for house in self.houses.values():
            house.jobs = 0
