"""The life of a stack on the real engine and the emulator: deploy, change, drift, crash, take down."""

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from emulator.record import start_time
from tests.e2e.own_clone import Clone, keep_hospitals, wait_until
from tests.resource_manager import ask

HUB = "20000000-0000-4000-8000-000000000000"
HUNGARY = {"subscriptionId": "20000000-0000-4000-8000-000000000002", "addressSpace": "10.10.2.0/27"}


@pytest.fixture(scope="module")
def deployed(shared_clone: Clone) -> Clone:
    """The dev stack with one hospital, deployed as its file says; each test leaves it so."""
    shared_clone.edit(keep_hospitals("cleveland"))
    shared_clone.fed("up")
    return shared_clone


def changes(clone: Clone) -> dict[str, dict[str, Any]]:
    """What a preview would change: resources by name."""
    plan = json.loads(clone.fed("preview", "--json").stdout)
    return {change["name"]: change for change in plan["changes"]}


class TestADeployedStack:
    def test_shows_its_parties_and_a_second_up_changes_nothing(self, deployed: Clone) -> None:
        again = deployed.fed("up", "--json")
        assert "unchanged in" in again.stderr
        assert not any(word in again.stderr for word in ("created", "updated", "replaced", "deleted"))
        centre, cleveland = json.loads(again.stdout)["parties"]
        assert (centre["party"], cleveland["party"]) == ("centre", "cleveland")
        assert cleveland["network"]["ranges"] == ["10.10.1.0/27"]
        assert cleveland["machine"]["power"] == "running"
        assert cleveland["storage"]["public"] == "public access disabled"
        assert cleveland["peerings"] == [
            {"hospital": "cleveland", "from_hospital": "Connected", "from_centre": "Connected"}
        ]
        assert json.loads(deployed.fed("status", "--json").stdout) == json.loads(again.stdout)

    def test_has_no_change_to_preview_and_keeps_its_file(self, deployed: Clone) -> None:
        file = deployed.root / "Pulumi.dev.yaml"
        before = file.read_bytes()
        said = deployed.fed("preview", "--expect-no-changes").stdout
        assert "no change" in said
        assert file.read_bytes() == before

    def test_costs_nothing_and_has_a_budget_for_each_party(self, deployed: Clone) -> None:
        parties = json.loads(deployed.fed("cost", "--json").stdout)["parties"]
        assert [one["party"] for one in parties] == ["centre", "cleveland"]
        assert all(one["budget"] > 0 and one["spent"] == 0 and one["why"] == "" for one in parties), parties

    def test_a_new_tag_updates_resources_in_place(self, deployed: Clone) -> None:
        deployed.edit(lambda content: content["config"].update({"fed:tags": {"ward": "cardiology"}}))
        deployed.fed("preview", "--expect-no-changes", code=1)
        told = deployed.fed("up").stderr
        assert " updated" in told
        assert not any(word in told for word in ("created", "replaced", "deleted"))
        vnet = ask(
            deployed.emulator(),
            "GET",
            deployed.outputs()["hospitals"]["cleveland"]["vnet"],
            api_version="2024-05-01",
        )
        assert vnet.json()["tags"]["ward"] == "cardiology"

    def test_a_refresh_finds_what_was_changed_behind_the_engines_back(self, deployed: Clone) -> None:
        emulator = deployed.emulator()
        vnet = deployed.outputs()["hospitals"]["cleveland"]["vnet"]
        body = ask(emulator, "GET", vnet, api_version="2024-05-01").json()
        changed = {**body, "tags": {**body["tags"], "ward": "somebody else's"}}
        assert ask(emulator, "PUT", vnet, api_version="2024-05-01", body=changed).status_code < 300
        assert not changes(deployed), "without a refresh the engine must not know"
        refresh = "pulumi refresh -s dev --yes --skip-preview --non-interactive > refreshed.txt"
        said = deployed.shell(f"pulumi stack --show-name --non-interactive; {refresh}")
        assert said.stdout == "dev\n", "`fed env` makes the other stacks, and dev stays the one selected"
        assert "~  azure-native:network:VirtualNetwork" in (deployed.root / "refreshed.txt").read_text()
        ((name, change),) = changes(deployed).items()
        assert (name, change["kind"], change["properties"]) == ("vnet-fed-dev-cleveland", "update", ["tags"])
        deployed.fed("up")
        assert ask(emulator, "GET", vnet, api_version="2024-05-01").json()["tags"] == body["tags"]
        assert ask(emulator, "PUT", vnet, api_version="2024-05-01", body=changed).status_code < 300
        deployed.fed("up", "--refresh")
        assert ask(emulator, "GET", vnet, api_version="2024-05-01").json()["tags"] == body["tags"]

    def test_a_hospital_comes_and_goes_without_touching_the_others(self, deployed: Clone) -> None:
        deployed.edit(lambda content: content["config"]["fed:hospitals"].update({"hungary": dict(HUNGARY)}))
        coming = changes(deployed)
        assert {change["party"] for change in coming.values()} <= {"hungary", "centre", "shared"}
        at_the_centre = [change for change in coming.values() if change["party"] == "centre"]
        assert all(change["kind"] in {"create", "update"} for change in at_the_centre)
        assert len(at_the_centre) < 12, [change["name"] for change in at_the_centre]
        deployed.fed("up")
        assert [party["party"] for party in self.parties(deployed)] == ["centre", "cleveland", "hungary"]

        deployed.edit(keep_hospitals("cleveland"))
        going = changes(deployed)
        assert {change["party"] for change in going.values()} <= {"hungary", "centre", "shared"}
        assert not any(change["kind"] == "replace" for change in going.values())
        deployed.fed("up")
        assert [party["party"] for party in self.parties(deployed)] == ["centre", "cleveland"]

    @pytest.mark.long
    @pytest.mark.parametrize("half", ["fromHospital", "fromCentre"])
    def test_a_peering_that_was_cut_stays_so_until_its_hospital_is_named(
        self, deployed: Clone, half: str
    ) -> None:
        halves = deployed.outputs()["hospitals"]["cleveland"]["peerings"]
        ask(deployed.emulator(), "DELETE", halves[half], api_version="2024-05-01")
        told = deployed.fed("up").stderr
        assert "cleveland is cut off" in told and "unchanged in" in told
        again = json.loads(deployed.fed("up", "--reconnect", "cleveland", "--json").stdout)
        (peering,) = again["parties"][1]["peerings"]
        assert (peering["from_hospital"], peering["from_centre"]) == ("Connected", "Connected")
        deployed.fed("preview", "--expect-no-changes")

    def parties(self, clone: Clone) -> list[dict[str, Any]]:
        parties: list[dict[str, Any]] = json.loads(clone.fed("status", "--json").stdout)["parties"]
        return parties

    def test_two_runs_at_once_break_nothing(self, deployed: Clone) -> None:
        first = deployed.start("up")
        wait_until(lambda: deployed.lock() or first.poll() is not None, "the first run's lock")
        holder = deployed.lock()
        assert holder, "the first run ended before it could be disturbed"
        second = deployed.fed("up", code=3)
        assert f"process {holder['pid']}" in second.stderr and "Traceback" not in second.stderr
        first.communicate()
        assert first.returncode == 0
        deployed.fed("preview", "--expect-no-changes")


@pytest.mark.long
def test_a_hospital_behind_its_own_firewall_deploys_and_does_not_drift(clone: Clone) -> None:
    clone.edit(keep_hospitals("cleveland"))
    firewall = {"egress": "firewall", "firewall": "10.200.0.4"}
    clone.edit(lambda content: content["config"]["fed:hospitals"]["cleveland"].update(firewall))
    clone.fed("up")
    clone.shell("pulumi preview -s dev --refresh --expect-no-changes --non-interactive")
    clone.edit(lambda content: content["config"]["fed:hospitals"]["cleveland"].update(egress="nat"))
    clone.edit(lambda content: content["config"]["fed:hospitals"]["cleveland"].pop("firewall"))
    clone.fed("up")
    clone.fed("preview", "--expect-no-changes")


def begun(clone: Clone) -> "subprocess.Popen[str]":
    """Start a deployment of dev with one hospital and return when some of its resources exist."""
    clone.edit(keep_hospitals("cleveland"))
    running = clone.start("up")
    wait_until(lambda: clone.made() > 20 or running.poll() is not None, "half a deployment", every=0.1)
    assert running.poll() is None, running.communicate()
    return running


def kill_engine(clone: Clone, running: "subprocess.Popen[str]") -> None:
    """Kill the engine of a running deployment, and see that its command tells it."""
    holder = clone.lock()
    assert holder
    os.kill(holder["pid"], signal.SIGKILL)
    _, errors = running.communicate()
    assert running.returncode == 3, errors
    assert "Traceback" not in errors


def test_a_killed_run_is_taken_up_and_down_leaves_nothing(clone: Clone) -> None:
    """Engine and emulator die as in a power cut; each by itself in tests/emulator/plugins/test_engine.py."""
    running = begun(clone)
    os.kill(clone.emulator().record.pid, signal.SIGKILL)
    kill_engine(clone, running)

    clone.fed("up")
    clone.fed("preview", "--expect-no-changes")
    parties = json.loads(clone.fed("status", "--json").stdout)["parties"]
    assert [party["party"] for party in parties] == ["centre", "cleveland"]
    in_state = {str(resource.get("id")).lower() for resource in clone.state()}
    accounts = ask(
        clone.emulator(),
        "GET",
        f"/subscriptions/{HUB}/providers/Microsoft.Storage/storageAccounts",
        api_version="2024-01-01",
    )
    assert {account["id"].lower() for account in accounts.json()["value"]} <= in_state, "an orphan is left"

    stack_file = (clone.root / "Pulumi.dev.yaml").read_bytes()
    daemon = clone.emulator().record
    sockets = Path(daemon.socket).parent
    assert clone.home.exists() and sockets.exists()
    clone.fed("down")
    assert not clone.home.exists()
    assert not sockets.exists()
    assert start_time(daemon.pid) is None
    wait_until(lambda: not clone.processes(), "the end of every process of this clone")
    assert (clone.root / "Pulumi.dev.yaml").read_bytes() == stack_file


def test_a_run_killed_half_way_can_be_taken_down_at_once(clone: Clone) -> None:
    kill_engine(clone, begun(clone))
    assert clone.processes(), "the emulator runs"
    clone.fed("down")
    assert not clone.home.exists()
    wait_until(lambda: not clone.processes(), "the end of every process of this clone")


def test_an_interrupted_run_records_what_it_did(clone: Clone) -> None:
    running = begun(clone)
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate()
    assert running.returncode == 3
    assert "interrupted; run it again" in errors and "Traceback" not in errors
    assert clone.lock() is None
    assert len(clone.state()) > 20
    clone.fed("up")
    clone.fed("preview", "--expect-no-changes")
