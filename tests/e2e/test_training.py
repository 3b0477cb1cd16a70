"""The main job as a newcomer does it: up, train, down, with the hospitals' data where they belong."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emulator.control import Emulator
from emulator.fabric.control import Fabric
from tests.e2e.clone import PATIENCE, Clone
from workloads.data import heart_data

HOSPITALS = ("cleveland", "hungary", "va-long-beach")
FL_PORT = 8002
HTTPS = 443


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    """A running federation whose three hospitals are registered."""
    clone = Clone(tmp_path_factory.mktemp("federation"), machines=True)
    clone.fed("up", seconds=3 * PATIENCE)
    yield clone
    clone.destroy()


@pytest.fixture(scope="module")
def trained(federation: Clone) -> dict[str, Any]:
    """The result of `fed train`, and nothing else has happened on the network since the enrolment."""
    answer: dict[str, Any] = json.loads(federation.fed("train", "--json", seconds=3 * PATIENCE).stdout)
    return answer


def fabric_of(clone: Clone) -> Fabric:
    emulator = Emulator.running(clone.root, clone.home)
    assert emulator is not None
    fabric = Fabric.running(emulator)
    assert fabric is not None
    return fabric


class TestTraining:
    def test_every_hospital_takes_part_in_every_round(self, trained: dict[str, Any]) -> None:
        assert trained["state"] == "finished"
        assert trained["round"] == trained["rounds"] == 10
        assert set(trained["hospitals"]) == set(HOSPITALS)
        assert not any(row.get("missed") for row in trained["hospitals"].values())

    def test_model_is_worth_more_to_the_hospitals_than_their_own(self, trained: dict[str, Any]) -> None:
        assert trained["global"]["mean_site_auc_gain"] >= 0.01
        va = trained["hospitals"]["va-long-beach"]
        assert va["auc"] >= va["own_auc"] + 0.02
        assert trained["gates"]["passed"]
        assert trained["model_version"] == "1"

    def test_job_is_listed(self, federation: Clone, trained: dict[str, Any]) -> None:
        listed = json.loads(federation.fed("jobs", "--json").stdout)["jobs"]
        assert [job["job"] for job in listed] == ["heart", "statistics"]
        assert listed[0]["id"] == trained["id"]


class TestNothingLeaks:
    def test_nothing_was_let_through_but_the_intended_connections(
        self, federation: Clone, trained: dict[str, Any]
    ) -> None:
        del trained
        passed = {(flow.destination, flow.port) for flow in fabric_of(federation).flows() if flow.passed}
        assert passed
        assert {port for _, port in passed} <= {FL_PORT, HTTPS}
        assert all(str(address).startswith("10.10.") for address, _ in passed)

    def test_rows_of_a_hospital_are_on_its_own_disk_and_in_its_own_account_alone(
        self, federation: Clone, trained: dict[str, Any]
    ) -> None:
        del trained
        state = federation.home / "fabric"
        for hospital in HOSPITALS:
            row = heart_data.seed(hospital).splitlines()[1]
            holders = {
                file.relative_to(state).parts[0:2]
                for file in state.rglob("*")
                if file.is_file() and not file.is_symlink() and row in _content(file)
            }
            kinds = sorted(kind for kind, _ in holders)
            assert kinds == ["blobs", "disks"], holders


class TestTheClientsContainer:
    def test_reaches_the_server_and_neither_metadata_nor_storage(
        self, federation: Clone, trained: dict[str, Any]
    ) -> None:
        del trained
        script = (
            "import socket\n"
            "for a in (('10.10.0.4',8002),('169.254.169.254',80),('10.10.0.68',443),('10.10.2.4',22)):\n"
            "  try: socket.create_connection(a,1.0); print(a[0],'open')\n"
            "  except OSError as e: print(a[0],'closed')\n"
        )
        ran = fabric_of(federation).exec(
            "vm-fed-dev-cleveland", ["python3", "-c", script], container="fl-client"
        )
        assert ran.stdout.split("\n")[:4] == [
            "10.10.0.4 open",
            "169.254.169.254 closed",
            "10.10.0.68 closed",
            "10.10.2.4 closed",
        ], ran


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:  # a log that was rotated meanwhile
        return b""
