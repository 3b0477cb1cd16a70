"""What a run finds in a stack that another run holds, or was killed in."""

import json
import os
import socket
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pulumi.automation import Deployment

from automation import holders
from automation.half_made import HalfMade, discard, half_made
from automation.outcome import FedError

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
    record = SimpleNamespace(backend=f"file://{tmp_path}")
    return SimpleNamespace(
        name="dev", emulator=SimpleNamespace(record=record) if emulated else None, stack=lambda: stack
    )


def lock(tmp_path: Path, pid: int, host: str | None = None) -> None:
    folder = tmp_path / ".pulumi" / "locks" / "organization" / "fed" / "dev"
    folder.mkdir(parents=True)
    content = {
        "pid": pid,
        "username": "ada",
        "hostname": host or socket.gethostname(),
        "timestamp": "2026-01-02T03:04:05Z",
    }
    (folder / "1.json").write_text(json.dumps(content))
    (folder / "1.json.attrs").write_text("{}")


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

    def test_of_another_machine_is_left_alone(self, tmp_path: Path) -> None:
        lock(tmp_path, os.getpid(), host="elsewhere")
        with pytest.raises(FedError, match="elsewhere"):
            holders.refuse_held(target(tmp_path, Stack({})))


class TestAStateWithPendingOperations:
    def test_is_cleared_on_the_emulator_and_what_may_exist_is_returned(self, tmp_path: Path) -> None:
        stack = Stack(STATE)
        (left,) = holders.recover(target(tmp_path, stack), stack)  # type: ignore[arg-type]
        assert left.id == (
            f"/subscriptions/{CLEVELAND}/resourceGroups/rg/providers/Microsoft.Network/virtualNetworks/"
            "vnet-fed-dev-cleveland"
        )
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
        assert holders.recover(target(tmp_path, stack, emulated=False), stack) == []  # type: ignore[arg-type]
        assert "pending_operations" not in stack.state

    def test_of_nothing_but_suffixes_leaves_nothing_half_made(self) -> None:
        resource = {"urn": "urn:pulumi:dev::fed::random:index/randomString:RandomString::s", "type": "random"}
        assert half_made({"pending_operations": [{"type": "creating", "resource": resource}]}) == []


class TestDiscarding:
    def test_goes_on_until_what_depends_on_each_other_is_gone(self) -> None:
        alive = {"nic": "", "vnet": "nic"}

        def arm(method: str, path: str, *, api_version: str) -> Any:
            if path not in alive:
                return SimpleNamespace(status_code=404, text="")
            if alive[path] in alive:
                return SimpleNamespace(status_code=409, text="InUse")
            del alive[path]
            return SimpleNamespace(status_code=202, text="")

        discard(SimpleNamespace(arm=arm), [HalfMade("u", "vnet", "1"), HalfMade("u", "nic", "1")])  # type: ignore[arg-type]
        assert not alive

    def test_tells_what_cannot_be_deleted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("automation.half_made._PATIENCE", 0.2)
        emulator = SimpleNamespace(arm=lambda *_, **__: SimpleNamespace(status_code=409, text="ScopeLocked"))
        with pytest.raises(FedError, match=r"(?s)vnet.*ScopeLocked"):
            discard(emulator, [HalfMade("u", "vnet", "1")])  # type: ignore[arg-type]
