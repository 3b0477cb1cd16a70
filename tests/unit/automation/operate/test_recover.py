"""`fed backup` and `fed restore`: the private key stays with whoever has it; a wrong one changes nothing."""

import json
import stat
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from container_server.control import DONE, answer
from container_server.fedctl import fit, parser
from container_server.recovery import Recovery

from automation.commands import restore as command
from automation.operate import machines, recover
from automation.operate.recover import Protected
from automation.ui.options import On
from automation.ui.outcome import QuestionError, RefusedError
from tests.unit.support.workloads_world import World
from workloads.container_server.container_server import age
from workloads.container_server.container_server.question import Question


class Vm:
    """A VM whose container server answers `fedctl`, and is ended and started again by `--replace`."""

    def __init__(self, world: World):
        self.world = world
        self.asked: list[tuple[str, ...]] = []
        self.recovery = self._start()

    def _start(self) -> Recovery:
        world = self.world
        self.waits = False
        recovery = Recovery(
            config=world.hospital_config,
            clock=world.clock,
            store=world.kept,
            engine=world.client,
            channel=world.channel,
            leave=self._again,
        )
        self.waits = recovery.needed
        return recovery

    def _again(self) -> None:
        self.recovery = self._start()

    def fedctl(self, arm: Any, machine: str, who: str, question: Question[Any]) -> Any:
        """As automation/operate/machines.py does, without Azure in between."""
        words = question.words()
        self.asked.append(words)
        if self.waits:
            self.waits = self.recovery.tick() is not None
        given = vars(parser().parse_args(words))
        line = json.dumps({"command": given.pop("command"), "arguments": given}).encode()
        own = self.recovery.handlers() if self.waits else {"restore": self.recovery.replace}
        reply = answer({**self.world.hospital._backups.handlers(), **own}, line)
        self.world.hospital._backups.step()
        if self.waits:
            self.waits = self.recovery.tick() is not None
        if reply["exit"] != DONE:
            raise QuestionError(reply["error"])
        return json.loads(fit(reply["answer"]))


@pytest.fixture
def vm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Vm]:
    world = World(tmp_path / "world")
    world.turn(20)
    vm = Vm(world)
    monkeypatch.setattr(machines, "fedctl", vm.fedctl)
    clock = SimpleNamespace(monotonic=world.clock.now, sleep=world.clock.sleep)
    monkeypatch.setattr(recover, "time", clock)
    yield vm


@pytest.fixture
def party() -> Protected:
    return Protected(arm=None, machine="vm", party="cleveland")  # type: ignore[arg-type]


@pytest.fixture
def key(tmp_path: Path) -> Path:
    file = tmp_path / "key"
    recover.new_key(file)
    return file


class TestKey:
    def test_is_its_owners_alone_and_never_replaced(self, key: Path) -> None:
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
        with pytest.raises(QuestionError, match="not replaced"):
            recover.new_key(key)

    def test_that_another_tool_wrote_is_read(self, tmp_path: Path) -> None:
        """age-keygen writes two comments before the key (https://github.com/FiloSottile/age)."""
        identity, file = age.new_identity(), tmp_path / "key"
        file.write_text(
            f"# created: 2027-01-31T08:00:00Z\n# public key: {age.recipient_of(identity)}\n{identity}\n"
        )
        assert recover.read_key(file) == identity

    @pytest.mark.parametrize("content", [b"", b"# nothing\n", b"age1abc\n", b"\xff\xfe"])
    def test_that_is_none_is_refused_without_being_shown(self, tmp_path: Path, content: bytes) -> None:
        file = tmp_path / "key"
        file.write_bytes(content)
        with pytest.raises(QuestionError, match="holds no private key"):
            recover.read_key(file)


class TestMake:
    def test_an_archive_that_the_vm_made_by_itself_is_not_the_one_asked_for(
        self, party: Protected, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        own, asked = {"made": 2.0, "recipient": "age1own"}, {"made": 3.0, "recipient": "age1asked"}
        said = iter([{"last": None}, {}, {"last": own}, {"last": asked}])
        monkeypatch.setattr(machines, "fedctl", lambda *words: next(said))
        monkeypatch.setattr(recover, "_PAUSE", 0.0)
        assert party.make("age1asked") == asked


class TestRestore:
    def test_brings_back_what_was_backed_up(self, vm: Vm, party: Protected, key: Path) -> None:
        identity = recover.read_key(key)
        made = party.make(age.recipient_of(identity))
        party.give_up()
        back = party.put_back(None, identity)
        assert back["digest"] == made["digest"]
        assert identity not in str(vm.asked), "the private key stays here"

    def test_with_a_wrong_key_is_refused_and_changes_nothing(
        self, vm: Vm, party: Protected, key: Path
    ) -> None:
        party.make(age.recipient_of(recover.read_key(key)))
        manifest = vm.world.hospital_config.agent / "manifest.json"
        before = manifest.read_bytes()
        party.give_up()
        with pytest.raises(RefusedError, match="another key"):
            party.put_back(None, age.new_identity())
        assert manifest.read_bytes() == before
        party.go_on_without()
        assert manifest.read_bytes() == before

    def test_is_refused_at_once_by_a_vm_that_works(self, vm: Vm, party: Protected) -> None:
        began = vm.world.clock.now()
        with pytest.raises(RefusedError, match=r"does not wait for an archive\nFix: --replace"):
            party.put_back(None, age.new_identity())
        assert vm.world.clock.now() == began
        with pytest.raises(QuestionError, match="--replace"):
            party.go_on_without()

    def test_rehearsal_compares(self, vm: Vm, party: Protected, monkeypatch: pytest.MonkeyPatch) -> None:
        (done,) = recover.rehearse([party])
        assert done.files > 5
        vm.world.clock.sleep(60)
        monkeypatch.setattr(Protected, "put_back", lambda *given: {"digest": "other", "files": 1})
        with pytest.raises(RefusedError, match="they differ"):
            list(recover.rehearse([party]))


class TestWithoutAWayOut:
    def test_nobody_waits_for_an_answer_that_cannot_come(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(machines, "without_way_out", lambda stack: frozenset({"cleveland"}))
        outputs = SimpleNamespace(
            parties={name: SimpleNamespace(vm="vm") for name in ("centre", "cleveland")}
        )
        target = SimpleNamespace(name="dev", arm=lambda: None)
        assert Protected.of(target, outputs, "centre").machine == "vm"  # type: ignore[arg-type]
        with pytest.raises(RefusedError, match=r"egress: none(.|\n)*Fix: set egress"):
            Protected.of(target, outputs, "cleveland")  # type: ignore[arg-type]


class TestCommand:
    def test_rehearses_on_the_emulator_alone(self) -> None:
        with pytest.raises(QuestionError, match="for the emulator alone"):
            command.command(rehearse=True, on=On.AZURE)

    @pytest.mark.parametrize(
        "more", [{}, {"party": "centre"}, {"party": "centre", "without": True, "key": Path("k")}]
    )
    def test_wants_a_party_and_one_of_two_things(self, more: dict[str, Any]) -> None:
        with pytest.raises(QuestionError, match="--key FILE or --without"):
            command.command(**more)
