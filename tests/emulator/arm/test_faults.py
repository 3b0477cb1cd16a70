"""Faults of Resource Manager at every operation of dev's life: at most two more runs, and all is well."""

import copy
import json
import re
import sqlite3
import ssl
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from automation.stacks.arm import Arm, Endpoint
from emulator.arm.control_plane import ControlPlane
from emulator.arm.faults import FAULTS, MIXED, VARIABLE, Front, Handle, Orders, fitting_to, front, met_by
from emulator.arm.latency import Latency
from emulator.arm.messages import Request
from emulator.daemon import Bearer
from tests.emulator.arm_client import GROUP
from tests.emulator.arm_server import Credential, Server
from tests.emulator.small_engine import Goal, SmallEngine, goals
from tests.unit.support.program_graph import stack_config

RUNS = 3
"""The one that meets the fault, and at most two more."""
NEWCOMER = {"subscriptionId": "20000000-0000-4000-8000-000000000009", "addressSpace": "10.10.9.0/27"}
CHANCE = re.compile(
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32}|00-0D-3A-[0-9A-F-]{8}|198\.18\.[0-9.]+|U1cx[\w=]+"
    r"|\b(?P<kind>(st|kv|cr)fed[a-z0-9]+)[a-z0-9]{6}\b|\d{4}-\d\d-\d\dT[\d:.]+Z",
    re.IGNORECASE,
)
"""What Azure, chance or the clock names differently in each deployment."""
Inventory = Counter[tuple[str, str, str]]
"""What exists: id, state and body, without what is new in each deployment."""


@dataclass(frozen=True)
class Phase:
    """A command of a federation's life, what is wanted after it, and what exists after it undisturbed."""

    name: str
    wanted: list[Goal]
    leaves: Inventory


class World:
    """A control plane with faults to order (or another `front`), and an engine before it."""

    def __init__(self, folder: Path, front: Handle | None = None) -> None:
        self._store, self._orders = folder / "arm.sqlite", folder / "orders.json"
        self.plane = ControlPlane(self._store, b"k" * 32)
        handle = front or Front(self.plane, self._orders).handle
        self.engine = SmallEngine(handle, Bearer(self.plane.issue_token), folder)

    def run(self, wanted: list[Goal], fault: str, met: set[str]) -> int:
        """Deploy with a fault at what has not met it, then without; return the runs, and add to `met`."""
        Orders(fault=fault, spared=sorted(met)).write(self._orders)
        met_by(self._orders).write_text("")
        refused = self.engine.up(wanted)
        Orders().write(self._orders)
        met |= set(met_by(self._orders).read_text().splitlines())
        runs = 1
        while refused and runs < RUNS:
            runs, refused = runs + 1, self.engine.up(wanted)
        assert not refused, refused
        return runs

    def inventory(self) -> Inventory:
        """Return what exists, but for what Azure makes by itself and keeps."""
        with closing(sqlite3.connect(self._store)) as database:
            rows = database.execute(
                "SELECT key, state, body FROM resources WHERE key NOT LIKE '%/networkwatcherrg%'"
            ).fetchall()
        return Counter((_stable(key), state, _stable(_sorted(body))) for key, state, body in rows)


def _sorted(body: str) -> str:
    """Order a body, without the gateway that an address has: after a refresh a PUT sends that along."""
    content = json.loads(body)
    content.get("properties", {}).pop("natGateway", None)
    return json.dumps(content, sort_keys=True)


def _stable(text: str) -> str:
    return CHANCE.sub(lambda found: f"{found['kind'] or ''}*", text)


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> list[Phase]:
    """A federation's life: dev with one hospital, a change, another hospital that joins and leaves."""
    config = stack_config("dev")
    for name in list(config["fed:hospitals"])[1:]:
        del config["fed:hospitals"][name]
    changed = copy.deepcopy(config) | {"fed:tags": {"ward": "cardiology"}}
    joined, left = copy.deepcopy(changed), copy.deepcopy(changed)
    joined["fed:hospitals"]["geneva"] = dict(NEWCOMER)
    left["fed:hospitals"]["geneva"] = {**NEWCOMER, "retired": "left"}
    world = World(tmp_path_factory.mktemp("life"))
    wanted = {
        name: goals(world.engine, settings)
        for name, settings in (("up", config), ("update", changed), ("add", joined), ("remove", left))
    }
    wanted |= {"delete": wanted["update"], "down": []}
    assert not world.engine.down()
    phases = []
    for name, goal in wanted.items():
        assert not world.engine.up(goal)
        phases.append(Phase(name, goal, world.inventory()))
    world.plane.close()
    return phases


def lives(life: list[Phase], fault: str, folder: Path) -> int:
    """Live through cycles until every operation has met the fault; return how many there were."""
    world = World(folder)
    met: dict[str, set[str]] = {phase.name: set() for phase in life}
    before = -1
    while before < (before := sum(map(len, met.values()))):
        for phase in life:
            world.run(phase.wanted, fault, met[phase.name])
            assert not world.engine.pending(phase.wanted)
            found = world.inventory()
            assert found == phase.leaves, (phase.name, found - phase.leaves, phase.leaves - found)
    world.plane.close()
    return before


def test_nothing_happens_without_a_fault(life: list[Phase], tmp_path: Path) -> None:
    assert lives(life, "", tmp_path) == 0


def test_every_operation_survives_one_of_the_faults(life: list[Phase], tmp_path: Path) -> None:
    assert lives(life, MIXED, tmp_path) > 600


@pytest.mark.parametrize("operation", ["GET /subscriptions/a #1", "PUT /subscriptions/a #1"])
def test_mixed_an_operation_meets_each_fault_that_fits_it_in_as_many_turns(operation: str) -> None:
    turns = [Orders(fault=MIXED, seed=4, turn=turn).falling_to(operation) for turn in range(len(FAULTS))]
    assert set(turns) == set(fitting_to(operation))
    assert all(not FAULTS[fault].writes_only for fault in turns) is operation.startswith("GET")


@pytest.mark.long
@pytest.mark.parametrize("fault", FAULTS)
def test_every_operation_survives(life: list[Phase], fault: str, tmp_path: Path) -> None:
    met = lives(life, fault, tmp_path)
    assert met > 350, "only writes meet some faults"


def test_a_lost_answer_is_a_closed_connection_and_what_was_asked_is_done(tmp_path: Path) -> None:
    orders = tmp_path / "orders.json"
    server = Server(tmp_path, Latency(0.0), orders)
    try:
        arm = Arm(Endpoint(url=server.url, credential=Credential(server.plane), verify=_trusting(server)))
        server.plane.handle(_put(server.plane))
        Orders(fault="lost answer").write(orders)
        assert arm.delete(GROUP, "2024-03-01").status == 404
        assert len(met_by(orders).read_text().splitlines()) == 1
    finally:
        server.close()


def test_there_are_no_faults_unless_the_daemon_is_told_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plane = ControlPlane(tmp_path / "arm.sqlite", b"k" * 32)
    monkeypatch.delenv(VARIABLE, raising=False)
    assert front(plane) == plane.handle
    monkeypatch.setenv(VARIABLE, str(tmp_path / "orders.json"))
    assert front(plane) != plane.handle
    plane.close()


def _put(plane: ControlPlane) -> Request:
    headers = {"authorization": f"Bearer {plane.issue_token()[0]}"}
    body = {"location": "westeurope"}
    return Request(method="PUT", path=GROUP, query={"api-version": "2024-03-01"}, headers=headers, body=body)


def _trusting(server: Server) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=server.authority)
