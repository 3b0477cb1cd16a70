"""Hospitals' own people upload their data, through an endpoint and through a window; nobody else gets in."""

import datetime as dt
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from emulator.datacentre.control import Datacentre
from tests.e2e.own_clone import Clone, keep_hospitals
from tests.resource_manager import ask
from tests.unit.support import door_settings as door
from workloads.data import heart_data

NETWORK, GROUPS = "2024-05-01", "2024-03-01"
LOOK = """
import sys
from azure.identity import DefaultAzureCredential
from automation.operate.people import PeoplesContainer
print(PeoplesContainer(account=sys.argv[1], name="server", credential=DefaultAzureCredential()).blobs())
"""
CENTRES = f"{door.NETWORK}/privateEndpoints/pep-stray"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    """A deployed clone: cleveland has a network of its own with a door in it, hungary a window."""
    clone = Clone(tmp_path_factory.mktemp("house"))
    clone.edit(keep_hospitals("cleveland", "hungary"))
    clone.edit(_give("cleveland", door.door()))
    clone.edit(_give("hungary", door.window()))
    clone.edit(lambda content: content["config"]["fed:centre"].update(door=door.centre()))
    clone.shell("true")
    for subnet, prefix in ((door.DESKS, "10.50"), (door.CAMPUS, "10.60")):
        _network(clone, subnet, prefix)
    clone.fed("up")
    Datacentre.ensure(clone.emulator()).wait_ready()
    yield clone
    clone.destroy()


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "heart.csv"
    path.write_bytes(heart_data.seed("cleveland"))
    return str(path)


def _give(hospital: str, entry: dict[str, Any]) -> Callable[[Any], None]:
    return lambda content: content["config"]["fed:hospitals"][hospital].update(door=entry)


def _network(clone: Clone, subnet: str, prefix: str) -> None:
    """Make a network as its owner would, with one subnet."""
    network = subnet.rpartition("/subnets/")[0]
    _put(clone, network.partition("/providers/")[0], GROUPS, {"location": "westeurope"})
    properties = {
        "addressSpace": {"addressPrefixes": [f"{prefix}.0.0/16"]},
        "subnets": [{"name": "desks", "properties": {"addressPrefix": f"{prefix}.3.0/24"}}],
    }
    _put(clone, network, NETWORK, {"location": "westeurope", "properties": properties})


def _put(clone: Clone, arm_id: str, version: str, body: dict[str, Any]) -> None:
    answer = ask(clone.emulator(), "PUT", arm_id, api_version=version, body=body)
    assert answer.status_code in {200, 201, 202}, answer.text


@pytest.mark.long
def test_graph_resource_manager_and_packets_agree_that_nothing_else_opened(house: Clone) -> None:
    said = house.fed("verify", "--no-inside").stdout
    assert "cleveland's own network" in said


@pytest.mark.long
@pytest.mark.parametrize("party", ["cleveland", "hungary"])
def test_its_people_put_and_list_data_through_their_door(house: Clone, file: str, party: str) -> None:
    assert f"uploaded for {party}" in house.fed("data", "put", file, "--party", party).stdout
    assert "unchanged" in house.fed("data", "put", file, "--party", party).stdout
    assert "heart.csv" in house.fed("data", "list", "--party", party).stdout


@pytest.mark.long
def test_an_endpoint_of_the_centres_account_in_that_network_is_found(house: Clone) -> None:
    account = house.outputs()["centre"]["storageAccount"]
    connection = {"name": "c", "properties": {"privateLinkServiceId": account, "groupIds": ["blob"]}}
    body = {"subnet": {"id": door.DESKS}, "privateLinkServiceConnections": [connection]}
    _put(house, CENTRES, NETWORK, {"location": "westeurope", "properties": body})
    said = house.fed("verify", "--no-inside", "--no-packets", code=1).stdout
    assert "pep-stray opens" in said
    assert ask(house.emulator(), "DELETE", CENTRES, api_version=NETWORK).status_code in {200, 202, 204}


@pytest.mark.long
def test_a_researcher_sends_a_job_and_reads_the_answer(house: Clone) -> None:
    datacentre = Datacentre.running(house.emulator())
    assert datacentre is not None
    desk = datacentre.desk(door.CAMPUS, door.RESEARCHERS)
    account = house.outputs()["centre"]["storageAccount"].rpartition("/")[2]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(house.root)}
    environment["SSL_CERT_FILE"] = str(datacentre.settings.authority)

    def at_the_desk(*words: str) -> "subprocess.CompletedProcess[str]":
        command = datacentre.inside(desk, [sys.executable, "-P", *words])
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    job = str(house.root / "docs/examples/heart-rate")
    said = at_the_desk("-m", "automation", "jobs", "submit", job, "--on", "azure", "--account", account)
    assert said.returncode == 0, said.stderr
    assert said.stdout.strip() in house.fed("jobs", "--json").stdout
    assert "AuthorizationPermissionMismatch" in at_the_desk("-c", LOOK, account).stderr


@pytest.mark.long
def test_a_window_is_shut_by_the_next_up_after_its_day(house: Clone, file: str) -> None:
    over = dt.datetime.now(tz=dt.UTC).date() - dt.timedelta(days=1)
    assert f"until {door.TOMORROW}" in house.fed("status", "--no-health").stdout
    house.edit(_give("hungary", door.window(over)))
    said = house.fed("verify", "--no-inside", "--no-packets", code=1).stdout
    assert "can open Tcp 443 at the storage" in " ".join(said.split())
    house.fed("up")
    house.fed("verify", "--no-inside", "--no-packets")
    refused = house.fed("data", "put", file, "--party", "hungary", code=1)
    assert "AuthorizationFailure" in refused.stderr
