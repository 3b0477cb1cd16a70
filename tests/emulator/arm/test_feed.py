"""What the datacentre learns of the control plane, and what it tells back."""

import base64
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from emulator.arm.control_plane import ControlPlane
from emulator.arm.latency import Latency
from emulator.arm.store import FOLLOWED
from tests.emulator.arm.test_machines import NIC, VM, network_and_disk, vm
from tests.emulator.arm_client import GROUP, Arm, said

__all__ = ["network_and_disk"]
NETWORK = f"{GROUP}/providers/Microsoft.Network"
VNET = f"{NETWORK}/virtualNetworks/vnet"
NSG = f"{NETWORK}/networkSecurityGroups/nsg"


def changes(arm: Arm, since: int = 0, wait: float = 0) -> dict[str, Any]:
    return arm.get("/emulator/changes", since=str(since), wait=str(wait))


def told(arm: Arm, since: int) -> dict[str, dict[str, Any]]:
    return {one["id"]: one["body"] for one in changes(arm, since)["upserts"]}


def run(arm: Arm, *script: str) -> Any:
    return arm("POST", f"{VM}/runCommand", {"commandId": "RunShellScript", "script": list(script)})


class TestChanges:
    def test_bodies_are_those_of_a_get(self, arm: Arm) -> None:
        for one in changes(arm)["upserts"]:
            if "emulator" not in one["body"]:
                assert one["body"] == arm.get(one["id"])

    def test_only_what_is_new_is_told(self, arm: Arm) -> None:
        revision = changes(arm)["revision"]
        assert changes(arm, revision) == {
            "revision": revision, "upserts": [], "deletes": [], "images": [], "commands": [],
        }  # fmt: skip
        arm.put(NSG, {"location": "westeurope"})
        assert list(told(arm, revision)) == [NSG]

    def test_deletions_are_told_with_all_that_goes_along(self, arm: Arm) -> None:
        arm.delete(NIC)
        arm.delete(f"{NETWORK}/networkInterfaces/other")
        revision = changes(arm)["revision"]
        arm.delete(VNET)
        assert set(changes(arm, revision)["deletes"]) == {VNET, f"{VNET}/subnets/one"}

    def test_what_shows_others_is_told_when_they_change(self, arm: Arm) -> None:
        arm.put(NSG, {"location": "westeurope"})
        revision = changes(arm)["revision"]
        subnet = {"addressPrefix": "10.0.0.0/26", "networkSecurityGroup": {"id": NSG}}
        arm.put(f"{VNET}/subnets/one", {"properties": subnet})
        assert told(arm, revision)[NSG]["properties"]["subnets"] == [{"id": f"{VNET}/subnets/one"}]

    def test_a_peering_is_told_when_its_other_half_goes(self, arm: Arm) -> None:
        space = {"addressSpace": {"addressPrefixes": ["10.1.0.0/24"]}}
        arm.put(f"{VNET}2", {"location": "westeurope", "properties": space})
        for here, there in ((VNET, f"{VNET}2"), (f"{VNET}2", VNET)):
            arm.put(
                f"{here}/virtualNetworkPeerings/p", {"properties": {"remoteVirtualNetwork": {"id": there}}}
            )
        revision = changes(arm)["revision"]
        arm.delete(f"{VNET}2/virtualNetworkPeerings/p")
        half = told(arm, revision)[f"{VNET}/virtualNetworkPeerings/p"]
        assert half["properties"]["peeringState"] == "Disconnected"

    def test_only_the_datacentre_sees_what_a_machine_boots_from(self, arm: Arm) -> None:
        data = base64.b64encode(b"desired").decode()
        arm.put(VM, vm(userData=data))
        body = told(arm, 0)[VM]
        assert base64.b64decode(body["emulator"]["customData"]) == b"#cloud-config\n"
        assert body["emulator"] | {"customData": ""} == {
            "customData": "", "userData": data, "power": "running", "boot": 1,
        }  # fmt: skip
        assert "emulator" not in arm.get(VM)

    def test_another_size_is_another_boot(self, arm: Arm) -> None:
        arm.put(VM, vm())
        arm.put(VM, vm(hardwareProfile={"vmSize": "Standard_D2s_v5"}))
        assert told(arm, 0)[VM]["emulator"]["boot"] == 2

    def test_images_are_told_once(self, arm: Arm) -> None:
        image = {"reference": "cr.azurecr.io/fl-server@sha256:1"}
        path = f"/emulator/images/{quote(image['reference'], safe='')}"
        assert arm("PUT", path, image).status == 204
        now = changes(arm)
        assert now["images"] == [image]
        assert changes(arm, now["revision"])["images"] == []
        assert arm.get("/emulator/images")["value"] == [image]

    @pytest.mark.parametrize("query", [{"since": "x"}, {"wait": "x"}])
    def test_numbers_are_numbers(self, arm: Arm, query: dict[str, str]) -> None:
        assert said(arm("GET", "/emulator/changes", None, **query)).startswith("BadRequest")

    def test_anything_else_is_not_there(self, arm: Arm) -> None:
        assert arm("GET", "/emulator/nonsense").status == 404
        assert arm("DELETE", "/emulator/vms").status == 404


class TestMachines:
    def test_their_health_is_served_and_counts_as_an_agent(self, arm: Arm) -> None:
        arm.put(VM, vm())
        assert arm.get(f"{VM}/instanceView")["vmAgent"]["statuses"][0]["displayStatus"] == "Not Ready"
        assert arm("PUT", f"/emulator/vms/{quote(VM, safe='')}", {"containers": {}}).status == 204
        assert arm.get(f"{VM}/instanceView")["vmAgent"]["statuses"][0]["displayStatus"] == "Ready"
        assert arm.get("/emulator/vms")["value"] == [{"id": VM, "health": {"containers": {}}}]
        arm.delete(VM)
        assert arm.get("/emulator/vms")["value"] == []

    def test_nobody_reports_a_machine_that_is_not_there(self, arm: Arm) -> None:
        assert arm("PUT", f"/emulator/vms/{quote(VM, safe='')}", {}).status == 404


class TestCommands:
    @pytest.fixture(autouse=True)
    def _datacentre(self, arm: Arm) -> None:
        arm.put(VM, vm())
        arm("PUT", f"/emulator/vms/{quote(VM, safe='')}", {"agent": "ready"})
        changes(arm, changes(arm)["revision"], wait=0.01)

    def test_wait_for_the_datacentre_and_answer_in_azures_shape(self, arm: Arm) -> None:
        answer = run(arm, "echo hello", "false")
        assert answer.status == 202
        queued = changes(arm)["commands"]
        assert [(one["vm"], one["script"]) for one in queued] == [(VM, ["echo hello", "false"])]
        assert arm.follow(answer).status == 202
        result = {"exitCode": 1, "stdout": "hello\n", "stderr": "no\n"}
        assert arm("POST", f"/emulator/commands/{queued[0]['operation']}", result).status == 204
        done = arm.follow(answer)
        assert done.status == 200
        assert done.body is not None
        assert done.body["value"][0]["code"] == "ProvisioningState/succeeded"
        assert "[stdout]\nhello\n" in done.body["value"][0]["message"]
        assert "[stderr]\nno\n" in done.body["value"][0]["message"]
        assert changes(arm)["commands"] == []

    def test_run_one_at_a_time_on_a_machine(self, arm: Arm) -> None:
        run(arm, "sleep 1")
        assert said(run(arm, "true")).startswith("Conflict: Run command extension execution is in progress.")
        arm("POST", f"/emulator/commands/{changes(arm)['commands'][0]['operation']}", {"exitCode": 0})
        assert run(arm, "true").status == 202

    def test_are_answered_once(self, arm: Arm) -> None:
        run(arm, "true")
        path = f"/emulator/commands/{changes(arm)['commands'][0]['operation']}"
        assert arm("POST", path, {"exitCode": 0}).status == 204
        assert arm("POST", path, {"exitCode": 0}).status == 404

    def test_end_when_the_datacentre_was_killed(self, arm: Arm, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whoever waits for one would wait for 90 minutes; one that listens again soon enough ends them."""
        answer, now = run(arm, "true"), time.monotonic()
        monkeypatch.setattr("emulator.arm.store.time.monotonic", lambda: now + FOLLOWED - 1)
        assert arm.follow(answer).status == 202
        monkeypatch.setattr("emulator.arm.store.time.monotonic", lambda: now + FOLLOWED + 1)
        assert said(arm.follow(answer)).startswith("VMAgentStatusCommunicationError: VM 'vm'")
        assert changes(arm)["commands"] == []

    def test_need_a_running_machine(self, arm: Arm) -> None:
        arm("POST", f"{VM}/deallocate")
        assert said(run(arm, "true")).startswith("OperationNotAllowed")

    @pytest.mark.parametrize(
        "body", [{}, {"commandId": "RunPowerShellScript", "script": ["x"]}, {"commandId": "RunShellScript"}]
    )
    def test_need_a_script(self, arm: Arm, body: dict[str, Any]) -> None:
        assert said(arm("POST", f"{VM}/runCommand", body)).startswith("InvalidParameter")


class TestCommandsOnAClock:
    """https://learn.microsoft.com/azure/virtual-machines/linux/run-command, Restrictions."""

    @pytest.fixture
    def time(self) -> list[float]:
        return [1_700_000_000.0]

    @pytest.fixture
    def arm(self, tmp_path: Path, time: list[float]) -> Iterator[Arm]:
        plane = ControlPlane(tmp_path / "arm.sqlite", b"k" * 32, latency=Latency(0.0), clock=lambda: time[0])
        caller = Arm(plane)
        caller.put(GROUP, {"location": "westeurope"})
        yield caller
        plane.close()

    @pytest.fixture
    def machine(self, arm: Arm) -> None:
        arm.put(VM, vm())
        arm("PUT", f"/emulator/vms/{quote(VM, safe='')}", {"agent": "ready"})
        changes(arm, changes(arm)["revision"], wait=0.01)

    @pytest.mark.usefixtures("machine")
    def test_take_twenty_seconds_at_least(
        self, arm: Arm, time: list[float], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(arm.plane, "_latency", Latency(1.0))
        answer = run(arm, "true")
        arm("POST", f"/emulator/commands/{changes(arm)['commands'][0]['operation']}", {"exitCode": 0})
        time[0] += 19
        assert arm.follow(answer).status == 202
        assert said(run(arm, "true")).startswith("Conflict")
        time[0] += 1
        assert arm.follow(answer).status == 200
        assert run(arm, "true").status == 202

    @pytest.mark.usefixtures("machine")
    def test_give_no_answer_without_a_way_out(self, arm: Arm, time: list[float]) -> None:
        closed = {"addressPrefix": "10.0.0.64/26", "defaultOutboundAccess": False}
        arm.put(f"{VNET}/subnets/closed", {"properties": closed})
        place = {"name": "primary", "properties": {"subnet": {"id": f"{VNET}/subnets/closed"}}}
        arm.put(NIC, {"location": "westeurope", "properties": {"ipConfigurations": [place]}})
        answer = run(arm, "true")
        path = f"/emulator/commands/{changes(arm)['commands'][0]['operation']}"
        assert arm("POST", path, {"exitCode": 0}).status == 204
        time[0] += 5399
        assert arm.follow(answer).status == 202
        time[0] += 1
        assert said(arm.follow(answer)).startswith("VMExtensionProvisioningTimeout")

    @pytest.mark.usefixtures("machine")
    def test_end_after_an_hour_and_a_half(self, arm: Arm, time: list[float]) -> None:
        answer = run(arm, "sleep infinity")
        time[0] += 5401
        assert said(arm.follow(answer)).startswith("VMExtensionProvisioningTimeout")
        assert changes(arm)["commands"] == []
        assert arm.get(VM)["properties"]["provisioningState"] == "Succeeded"
        assert run(arm, "true").status == 202
