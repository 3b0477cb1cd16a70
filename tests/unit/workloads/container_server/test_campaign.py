"""A campaign against both agents' loops: mutated inputs on every channel end nothing and hold up nobody else.

The parsers have fuzzers of their own; here each input reaches the loop by the way that it has in life: as a
blob, a file of another process, an answer of the engine, of NVFlare or of the metadata service.
"""

import base64
import json
import os
import random
import uuid
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from container_server.engine import ContainerState, Running
from container_server.fedctl import OUTPUT_LIMIT, fit
from container_server.files import write_json
from container_server.hospital.state import State
from container_server.messages import encode
from container_server.storage import StorageUnreachableError

from tests.unit.support.workloads_fakes import FakeEngine, FolderStore
from tests.unit.support.workloads_pki import request_archive, zipped
from tests.unit.support.workloads_world import World
from workloads.data import heart_data

JOB = "00000009-0000-4000-8000-000000000000"
HEART = heart_data.seed("cleveland")
LONGEST_PAUSE = 61.0
"""Seconds after which everything that failed is tried again."""
TOKENS = (b"NaN", b"1e999", b"-1", b"null", b"{}", b"[[", b"\x1b[2J", b"\xff\xfe", b"9" * 400, b"..", b"\0")
POLICIES = {
    "jobs.json": encode("jobs", {"platform": True, "approved": [], "refused": []}),
    "images.json": encode("images", {"approved": [], "refused": []}),
    "airlock.json": encode("airlock", {"longest": 1.0, "errors": "place"}),
}
BABBLE: tuple[Exception, ...] = (
    KeyError("State"),
    TypeError("'NoneType' object is not subscriptable"),
    ValueError("not JSON"),
    RuntimeError("dictionary changed size"),
    OSError(5, "input/output error"),
    RecursionError("too deep"),
    StorageUnreachableError("500"),
)


@pytest.fixture(autouse=True)
def no_power_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting for the disk is a third of the time here."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.mark.parametrize("seed", [1])
def test_nothing_ends_the_loops(tmp_path: Path, seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    Campaign(World(tmp_path), random.Random(seed)).run(1_000, capsys)  # noqa: S311 seeded


@pytest.mark.long
@pytest.mark.parametrize("seed", range(10, 18))
def test_a_hundred_thousand_inputs_end_nothing(
    tmp_path: Path, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    Campaign(World(tmp_path), random.Random(seed)).run(12_500, capsys)  # noqa: S311 seeded


@dataclass
class Campaign:
    """Mutates what reaches cleveland's and the centre's loop; hungary, left alone, must always be served."""

    world: World
    chance: random.Random
    sent: int = 0
    served: int = 0
    seen: set[str] = field(default_factory=set)
    """What the loops said was wrong, by its kind."""

    def run(self, inputs: int, capsys: pytest.CaptureFixture[str]) -> None:
        """Send so many inputs, then let all be well again and see that it is."""
        world = self.world
        world.members = ["cleveland", "hungary"]
        world.operators = True
        submission = {"job": "heart", "rounds": 2, "submitted": world.clock.now()}
        write_json(world.centre_config.agent / "jobs" / f"{JOB}.json", submission)
        world.turn(30)
        assert world.state() is State.RUNNING
        engines = Babbling(world.server, self.chance), Babbling(world.client, self.chance)
        while self.sent < inputs:
            for target in self._targets().values():
                target(self.chance)
                self.sent += 1
            self._turn()
            for engine in engines:
                engine.quiet()
            self._note(capsys.readouterr().out)
        self._make_well()
        world.turn(200)
        self._expect_well()

    def _targets(self) -> Mapping[str, Callable[[random.Random], None]]:
        own, vm = self.world.channel, self.world.hospital_config
        inbox, job = self.world.store("inbox"), self.world.centre_config.work / "jobs" / JOB
        blobs: dict[str, tuple[FolderStore, bytes]] = {
            "enrol/request.zip": (own, self._request()),
            "report.json": (own, _report(self.world)),
            "enrol/decision.json": (own, self._decision(vm.agent)),
            "enrol/signed.zip": (own, zipped({"signed.json": '{"request_id": "a", "certificate": {}}'})),
            "enrol/root.json": (own, encode("root", {"project": "fed-dev", "fingerprint": "SHA256:" + _HEX})),
            "enrol/roots.json": (own, (own.folder / "enrol/roots.json").read_bytes()),
            "desired.json": (own, self._order()),
            "asked.json": (own, encode("asked", {"jobs": [{"code": "ab" * 32, "job_id": JOB}]})),
            f"asked/{'ab' * 32}.zip": (own, zipped({"job.py": "print()"})),
            "models.json": (own, encode("models", {"models": [{"name": "heart", "code": "cd" * 32}]})),
            f"models/{'cd' * 32}.zip": (own, zipped({"model.json": "{}"})),
            **{name: (self.world.store("policy"), content) for name, content in POLICIES.items()},
            "pulse.zip": (inbox, zipped({"job.yaml": "name: pulse" * 9}, zipfile.ZIP_DEFLATED)),
            "heart.csv": (self.world.data, HEART[:900]),
        }
        files = {
            job / "status.json": b'{"nvflare": "FINISHED:COMPLETED", "reason": ""}',
            job / "progress.json": b'{"state": "finished", "rounds_done": 2, "history": []}',
            job / "results/global/metrics.json": b'{"provenance": {"git_tree": "a"}}',
            self.world.centre_config.work / "clients.json": b'{"heard": {"cleveland": 1800000000}}',
            vm.work / "health.json": b'{"heard": 1800000000}',
        }
        return {
            **{name: _blob(store, name, content) for name, (store, content) in blobs.items()},
            **{str(path): _file(path, content) for path, content in files.items()},
            "question": self._question,
            "metadata": self._metadata,
            "storage": self._storage,
        }

    def _request(self) -> bytes:
        chance = self.chance
        damaged = chance.random() < 0.5  # the signing request within a sound archive
        return request_archive(
            "cleveland",
            alter=lambda der: mutated(der, chance) if damaged else der,
            method=chance.choice(
                [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
            ),
            request_id=f"{chance.getrandbits(64):016x}",
        )

    def _decision(self, agent: Path) -> bytes:
        sent = agent / "enrolment/sent.json"
        known = json.loads(sent.read_text())["request_id"] if sent.is_file() else "a"
        return encode("decision", {"request_id": known, "decision": "approved", "reason": ""})

    def _order(self) -> bytes:
        order = {"generation": int(self.world.clock.now()), "client": "running", "reason": "x"}
        return encode("desired", {**order, "renew": self.chance.randrange(4)})

    def _question(self, chance: random.Random) -> None:
        """An operator asks; what may be asked is harmless here, whatever becomes of its words."""
        mark = str(uuid.UUID(int=chance.getrandbits(128)))
        words = chance.choice([["status"], ["jobs"], ["job", JOB], ["logs"], ["models"], ["upgrade"]])
        question = {"id": mark, "asked": self.world.clock.now(), "by": "ada", "words": words}
        blob = f"{mark}.json"
        _blob(self.world.store("questions"), blob, encode("question", question))(chance)

    def _metadata(self, chance: random.Random) -> None:
        listed = json.dumps({"hospitals": ["cleveland", "hungary"], "operators": True}).encode()
        text = mutated(base64.b64encode(listed), chance).decode("latin-1")
        answers = iter([text])
        sound = base64.b64encode(listed).decode()
        self.world.centre._user_data = lambda: next(answers, sound)

    def _storage(self, chance: random.Random) -> None:
        """One answer of cleveland's container makes no sense."""
        failure = chance.choice(BABBLE)
        self.world.channel.failure = failure if chance.random() < 0.2 else None

    def _turn(self) -> None:
        world = self.world
        report = encode("report", {**REPORT, "hospital": "hungary", "written": world.clock.now()})
        world.store("client-hungary").write("report.json", report)
        world.clock.sleep(LONGEST_PAUSE)
        for _ in range(6):
            world.centre.tick()
            world.centre.work()
            world.centre.answer()
            world.hospital.tick()
            world.hear()
            world.clock.sleep(1.0)
        self._expect_sound_state()

    def _expect_sound_state(self) -> None:
        """Whatever came: hungary is served, the answers fit, and nobody is admitted but by a signature."""
        world = self.world
        status = world.centre.commands.status({})
        assert len(fit(status).encode()) <= OUTPUT_LIMIT
        json.dumps(status, allow_nan=False)
        encode("report", world.hospital.report())
        self.served += world.centre._enrolments.channel("hungary").report["written"] > world.clock.now() - 80
        allowed = json.loads((world.centre_config.work / "allowed.json").read_text())["sites"]
        assert set(allowed) <= {"cleveland"}

    def _note(self, said: str) -> None:
        for line in said.splitlines():
            told = json.loads(line)
            if reason := told.get("reason") or told.get("error"):
                self.seen.add(f"{told['event']}, {told.get('what')}: {reason[:40]}")

    def _make_well(self) -> None:
        world = self.world
        world.channel.failure = None
        world.data.write("heart.csv", HEART)
        world.store("inbox").delete("pulse.zip")
        for name, content in POLICIES.items():
            world.store("policy").write(name, content)
        for party in ("centre", "cleveland"):
            table = world.centre_config.curation / "tables" / party / "dim_run.parquet"
            table.parent.mkdir(parents=True, exist_ok=True)
            table.touch()
        world.centre.commands.renew({"hospital": "cleveland"})

    def _expect_well(self) -> None:
        world = self.world
        assert world.state() is State.RUNNING, world.reason
        assert not [one for one in world.centre.commands.status({})["troubles"] if one["owner"]]
        assert self.served > 0.9 * self.sent / len(self._targets()), "hungary was held up"
        assert len(self.seen) > 20, "the inputs did not reach the loops"


class Babbling:
    """Makes an engine answer what makes no sense, some of the time."""

    def __init__(self, engine: FakeEngine, chance: random.Random):
        self._engine, self._chance = engine, chance
        self._sound = engine.state
        self._left = 0
        engine.state = self._state  # type: ignore[method-assign]
        engine.execution = self._execution

    def quiet(self) -> None:
        """Speak sense for a turn, or not."""
        self._left = self._chance.choice([0, 0, 0, 2])

    def _state(self, name: str) -> ContainerState:
        if self._left:
            self._left -= 1
            raise self._chance.choice(BABBLE)
        return self._sound(name)

    def _execution(self, name: str, command: list[str]) -> tuple[int, str]:
        said = mutated(b'{"rows": {}, "refused": {}, "job": "pulse", "rounds": 2}', self._chance)
        return self._chance.choice([0, 0, 1]), said.decode("latin-1")


def mutated(content: bytes, chance: random.Random) -> bytes:
    """The content, damaged in one of the ways in which things are."""
    if chance.random() < 0.1:
        return content
    damaged = bytearray(content)
    for _ in range(chance.choice([1, 1, 2, 4])):
        place = chance.randrange(len(damaged) + 1)
        match chance.randrange(5):
            case 0 if damaged:
                damaged[place % len(damaged)] = chance.randrange(256)
            case 1:
                del damaged[place:]
            case 2:
                damaged[place:place] = chance.choice(TOKENS)
            case 3:
                damaged[place : place + chance.randrange(30)] = chance.choice(TOKENS)
            case _:
                damaged[place:place] = damaged[: chance.randrange(60)]
    return bytes(damaged)


def _blob(store: FolderStore, name: str, content: bytes) -> Callable[[random.Random], None]:
    def put(chance: random.Random) -> None:
        path = store.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(mutated(content, chance))

    return put


def _file(path: Path, content: bytes) -> Callable[[random.Random], None]:
    def put(chance: random.Random) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_bytes(mutated(content, chance))

    return put


_HEX = ":".join(["AB"] * 32)
REPORT: dict[str, Any] = {
    "hospital": "cleveland",
    "state": "degraded",
    "since": 1,
    "reason": "",
    "written": 1,
    "generation": 1,
    "client": {"running": Running.RUNNING.value, "restarts": 0, "heard": None},
    "data": {},
    "certificate": None,
    "versions": {},
}


def _report(world: World) -> bytes:
    return encode("report", {**REPORT, "written": world.clock.now()})
