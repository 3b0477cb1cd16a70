"""What a run finds in a stack that another run holds, or was killed in."""

import json
import os
import shutil
import socket
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pulumi.automation import ConcurrentUpdateError, Deployment
from pulumi.automation._cmd import CommandResult

from automation.stacks import operation
from automation.stacks.arm import Answer
from automation.stacks.emulated_state import deployment, put_back
from automation.stacks.recovery import half_made, holders
from automation.stacks.recovery.half_made import HalfMade
from automation.ui.outcome import FedError
from emulator.plugins.azure_native.interrupted import Creations

CLEVELAND = "20000000-0000-4000-8000-000000000001"
PROVIDER_URN = "urn:pulumi:dev::fed::pulumi:providers:azure-native::azure-fed-dev-cleveland"
VNET = "azure-native:network:VirtualNetwork"
STATE: dict[str, Any] = {
    "resources": [{"urn": PROVIDER_URN, "id": "1", "inputs": {"subscriptionId": CLEVELAND}}],
    "pending_operations": [
        {
            "type": "creating",
            "resource": {
                "urn": f"urn:pulumi:dev::fed::{VNET}::vnet-fed-dev-cleveland",
                "type": VNET,
                "provider": f"{PROVIDER_URN}::1",
                "inputs": {"resourceGroupName": "rg", "virtualNetworkName": "vnet-fed-dev-cleveland"},
            },
        }
    ],
}


class Stack:
    """A stack that holds a state, and notes what is done to it."""

    name = "dev"

    def __init__(self, state: dict[str, Any]) -> None:
        self.state = state
        self.cancelled = False

    def export_stack(self) -> Deployment:
        return Deployment(version=3, deployment=self.state)

    def import_stack(self, state: Deployment) -> None:
        self.state = dict(state.deployment or {})

    def cancel(self) -> None:
        self.cancelled = True


def target(tmp_path: Path, stack: Stack, *, emulated: bool = True) -> Any:
    emulator = SimpleNamespace(backend=tmp_path, home=tmp_path) if emulated else None
    return SimpleNamespace(name="dev", emulator=emulator, stack=lambda: stack)


def lock(tmp_path: Path, pid: int, host: str | None = None, project: str = "fed") -> None:
    folder = tmp_path / ".pulumi" / "locks" / "organization" / project / "dev"
    folder.mkdir(parents=True)
    content = {
        "pid": pid,
        "username": "ada",
        "hostname": host or socket.gethostname(),
        "timestamp": "2026-01-02T03:04:05Z",
    }
    (folder / "1.json").write_text(json.dumps(content))


class TestALock:
    def test_of_an_engine_that_lives_is_refused_with_its_holder(self, tmp_path: Path) -> None:
        engine = tmp_path / "pulumi"
        engine.symlink_to("/bin/sleep")
        copy = tmp_path / "bin" / "pulumi"
        copy.parent.mkdir()
        copy.write_bytes(Path("/bin/sleep").read_bytes())
        copy.chmod(0o700)
        process = subprocess.Popen([copy, "60"])
        try:
            lock(tmp_path, process.pid)
            with pytest.raises(
                FedError, match=f"process {process.pid} of ada on .* since 2026-01-02T03:04:05Z"
            ):
                holders.refuse_held(target(tmp_path, Stack({})))
        finally:
            process.kill()
            process.wait()

    @pytest.mark.parametrize("pid", [os.getpid(), 2**22 - 1], ids=["another program", "nobody"])
    def test_whose_engine_is_gone_is_freed(self, tmp_path: Path, pid: int) -> None:
        lock(tmp_path, pid)
        stack = Stack({})
        holders.refuse_held(target(tmp_path, stack))
        assert stack.cancelled

    def test_of_the_delivery_program_is_freed_on_the_stack_that_is_given(self, tmp_path: Path) -> None:
        lock(tmp_path, 2**22 - 1, project="fed-delivery")
        stack: Any = Stack({})
        place = target(tmp_path, Stack({}))
        assert holders.recover(place, stack)
        assert stack.cancelled and not place.stack().cancelled

    def test_of_another_machine_is_left_alone(self, tmp_path: Path) -> None:
        lock(tmp_path, os.getpid(), host="elsewhere")
        with pytest.raises(FedError, match="elsewhere") as refused:
            holders.refuse_held(target(tmp_path, Stack({})))
        assert "If there is no elsewhere any more" in str(refused.value)
        assert "pulumi cancel dev --yes" in str(refused.value)

    def test_that_was_given_back_since_the_engine_looked_names_no_process(self, tmp_path: Path) -> None:
        """The engine's own words would name a process that a person no longer finds."""

        def engine(_: object) -> None:
            said = "error: the stack is currently locked by 1 lock(s): created by ada@here (pid 7)"
            raise ConcurrentUpdateError(CommandResult(stdout="", stderr=said, code=1))

        place = target(tmp_path, Stack({}))
        place.hospitals, place.engine = (), SimpleNamespace(interrupted=False)
        with pytest.raises(FedError, match="has ended meanwhile") as refused:
            operation.run(place, "deploying dev", engine)
        assert "pid 7" not in str(refused.value)


class TestAStateWithPendingOperations:
    def test_is_cleared_on_the_emulator_and_the_run_before_counts_as_killed(self, tmp_path: Path) -> None:
        stack = Stack(STATE)
        assert holders.recover(target(tmp_path, stack), stack)  # type: ignore[arg-type]
        assert "pending_operations" not in stack.state
        assert stack.state["resources"] == STATE["resources"]

    def test_on_azure_a_person_is_told_what_to_look_for(self, tmp_path: Path) -> None:
        stack = Stack(STATE)
        with pytest.raises(FedError) as caught:
            holders.recover(target(tmp_path, stack, emulated=False), stack)  # type: ignore[arg-type]
        for part in ("vnet-fed-dev-cleveland", VNET, "pulumi refresh -s dev --clear-pending-creates"):
            assert part in str(caught.value)
        assert stack.state is STATE

    def test_without_creates_is_cleared_on_azure_too(self, tmp_path: Path) -> None:
        update = [{**STATE["pending_operations"][0], "type": "updating"}]
        stack = Stack({**STATE, "pending_operations": update})
        holders.recover(target(tmp_path, stack, emulated=False), stack)  # type: ignore[arg-type]
        assert "pending_operations" not in stack.state


class TestAMark:
    def test_stays_when_the_engine_was_killed_and_goes_when_it_ended_by_itself(self, tmp_path: Path) -> None:
        stack = Stack({"resources": []})
        here = target(tmp_path, stack)
        with holders.marked(here):
            lock(tmp_path, 2**22 - 1)
        assert holders.recover(here, stack)  # type: ignore[arg-type]
        (tmp_path / ".pulumi" / "locks" / "organization" / "fed" / "dev" / "1.json").unlink()
        with pytest.raises(FedError, match="failed"), holders.marked(here):
            raise FedError("failed, and recorded")
        assert not holders.recover(here, stack)  # type: ignore[arg-type]


class TestAStateFile:
    def test_that_was_being_written_is_put_back_to_the_one_before(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file = checkpoint(tmp_path)
        shutil.copy(file, file.with_name("dev.json.bak"))
        file.write_text('{"version": 3, "checkp')
        emulator = target(tmp_path, Stack({})).emulator
        put_back(emulator, "dev")
        assert deployment(emulator, "dev") == {"resources": []}
        assert "the state of dev was cut off" in capsys.readouterr().err

    def test_of_a_stack_that_is_being_changed_is_left_alone(self, tmp_path: Path) -> None:
        file = checkpoint(tmp_path)
        shutil.copy(file, file.with_name("dev.json.bak"))
        file.write_text("")
        lock(tmp_path, os.getpid(), host="elsewhere")
        put_back(target(tmp_path, Stack({})).emulator, "dev")
        assert file.read_text() == ""

    def test_with_half_a_description_is_read_without_it(self, tmp_path: Path) -> None:
        file = checkpoint(tmp_path)
        description = file.with_name("dev.json.attrs")
        description.touch()
        put_back(target(tmp_path, Stack({})).emulator, "dev")
        assert not description.exists() and file.exists()

    @pytest.mark.parametrize("content", ["", "{}", "[]"])
    def test_that_is_lost_is_told_with_the_mend(self, tmp_path: Path, content: str) -> None:
        checkpoint(tmp_path).write_text(content)
        with pytest.raises(FedError, match=r"\./fed up dev"):
            deployment(target(tmp_path, Stack({})).emulator, "dev")

    def test_that_is_not_there_is_empty(self, tmp_path: Path) -> None:
        assert deployment(target(tmp_path, Stack({})).emulator, "dev") == {}


class Azure:
    """Resource Manager: refuses to delete a resource while another needs it."""

    def __init__(self) -> None:
        self.needed_by: dict[str, list[str]] = {}

    def delete(self, path: str, version: str) -> Answer:
        if path not in self.needed_by:
            return Answer(status=404, body={})
        if any(user in self.needed_by for user in self.needed_by[path]):
            return Answer(status=409, body={})
        del self.needed_by[path]
        return Answer(status=204, body={})


@pytest.fixture
def azure(monkeypatch: pytest.MonkeyPatch) -> Azure:
    found = Azure()
    monkeypatch.setattr(half_made, "of_emulator", lambda emulator: found)
    monkeypatch.setattr(
        half_made,
        "half_made",
        lambda emulator, stack: [HalfMade("urn", name, "1") for name in found.needed_by if name != "known"],
    )
    return found


class TestWhatAKilledRunMade:
    def test_is_what_the_daemon_noted_and_no_state_knows(self, tmp_path: Path) -> None:
        emulator = target(tmp_path, Stack({})).emulator
        (tmp_path / "emulator").mkdir()
        creations = Creations(tmp_path / "emulator" / "creations.sqlite", tmp_path)
        for name, owner in (("known", "dev"), ("unknown", "dev"), ("other", "mvp")):
            creations.begin(f"/subscriptions/s/{name}", f"urn:pulumi:{owner}::fed::{VNET}::vnet-{name}")
        stack = Stack({"resources": [{"urn": "u", "id": "/SUBSCRIPTIONS/s/known"}]})
        found = half_made.half_made(emulator, stack)  # type: ignore[arg-type]
        assert [item.id for item in found] == ["/subscriptions/s/unknown"]

    def test_is_deleted_in_the_order_that_is_possible(self, azure: Azure) -> None:
        azure.needed_by = {"vnet": ["nic"], "nic": []}
        assert half_made.roll_back(azure, azure) == []  # type: ignore[arg-type]
        assert not azure.needed_by

    def test_stays_while_something_in_the_state_needs_it_and_goes_afterwards(self, azure: Azure) -> None:
        azure.needed_by = {"vnet": ["known"], "known": [], "nic": []}
        left = half_made.roll_back(azure, azure)  # type: ignore[arg-type]
        assert [item.id for item in left] == ["vnet"]
        with pytest.raises(FedError, match="vnet"):
            half_made.clear(azure, azure, left)  # type: ignore[arg-type]
        del azure.needed_by["known"]
        half_made.clear(azure, azure, left)  # type: ignore[arg-type]
        assert not azure.needed_by


def checkpoint(tmp_path: Path) -> Path:
    file = tmp_path / ".pulumi" / "stacks" / "fed" / "dev.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"version": 3, "checkpoint": {"latest": {"resources": []}}}))
    return file
