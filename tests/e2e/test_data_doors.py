"""Hospitals' own people upload their data, through an endpoint and through a window; nobody else gets in."""

import datetime as dt
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
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
print(PeoplesContainer(account=sys.argv[1], name=sys.argv[2], credential=DefaultAzureCredential()).blobs())
"""
FORGE = """
import json, sys, time, uuid
from automation.operate.centre import CentreByBlobs
centre = CentreByBlobs.at(sys.argv[1])
good = {"schema": "fed/question/1", "asked": time.time(), "by": "mallory"}
marks = [str(uuid.uuid4()) for _ in range(3)]
old = {**good, "asked": time.time() - 3600, "id": marks[1], "words": ["revoke", "hungary"]}
for mark, content in zip(
    marks,
    (
        json.dumps({**good, "id": marks[0], "words": ["restore", "--replace"]}).encode(),
        json.dumps(old).encode(),
        b"\\xff" * 100_000,
    ),
):
    centre._questions.put(f"{mark}.json", content)
for mark in marks:
    print(json.dumps(json.loads(centre._awaited(mark))))
"""
CENTRES = f"{door.NETWORK}/privateEndpoints/pep-stray"


@dataclass(frozen=True)
class Desk:
    """A person's machine in the network of the centre's door, signed in as one of a group."""

    house: Clone
    group: str

    @property
    def account(self) -> str:
        return str(self.house.outputs()["centre"]["storageAccount"].rpartition("/")[2])

    def fed(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return self.python("-m", "automation", *words, "--on", "azure", "--account", self.account)

    def python(self, *words: str) -> "subprocess.CompletedProcess[str]":
        datacentre = Datacentre.running(self.house.emulator())
        assert datacentre is not None
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(self.house.root)}
        environment["SSL_CERT_FILE"] = str(datacentre.settings.authority)
        place = datacentre.desk(door.CAMPUS, self.group)
        command = datacentre.inside(place, [sys.executable, "-P", *words])
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    """A deployed clone: cleveland has a network of its own with a door in it, hungary a window."""
    clone = Clone(tmp_path_factory.mktemp("house"))
    clone.edit(keep_hospitals("cleveland", "hungary"))
    clone.edit(_give("cleveland", door.door()))
    clone.edit(_give("hungary", door.window()))
    clone.edit(lambda content: content["config"]["fed:centre"].update(door=door.operated()))
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
    desk = Desk(house, door.RESEARCHERS)
    said = desk.fed("jobs", "submit", str(house.root / "docs/examples/heart-rate"))
    assert said.returncode == 0, said.stderr
    assert said.stdout.strip() in house.fed("jobs", "--json").stdout
    assert "AuthorizationPermissionMismatch" in desk.python("-c", LOOK, desk.account, "server").stderr


@pytest.mark.long
def test_an_operator_asks_the_centre_with_no_right_but_on_two_containers(house: Clone) -> None:
    desk = Desk(house, door.OPERATORS)
    began = time.monotonic()
    status = desk.fed("status", "--json")
    print(f"status through the door took {time.monotonic() - began:.1f} s")
    assert status.returncode == 0, status.stderr
    assert set(json.loads(status.stdout)["health"]["hospitals"]) == {"cleveland", "hungary"}
    assert "container server" in desk.fed("logs", "centre", "--tail", "1000").stdout
    assert "nothing of cleveland waits" in desk.fed("hospital", "approve", "cleveland").stderr
    refused = desk.fed("model", "promote", "nothing", "1")
    assert (refused.returncode, "MLflow" in refused.stderr) == (2, True), refused.stderr
    (job,) = json.loads(desk.fed("jobs", "--json").stdout)["jobs"]
    assert job["job"] == "heart-rate"
    stopped = desk.fed("jobs", "abort", job["id"])
    assert "is being stopped" in stopped.stderr, stopped.stderr
    for closed in ("server", "inbox", "results", "backup"):
        assert "AuthorizationPermissionMismatch" in desk.python("-c", LOOK, desk.account, closed).stderr


@pytest.mark.long
def test_who_is_no_operator_is_answered_nothing(house: Clone) -> None:
    said = Desk(house, door.RESEARCHERS).fed("status")
    assert said.returncode == 1
    assert "questions: AuthorizationPermissionMismatch" in said.stderr


@pytest.mark.long
def test_what_is_written_there_goes_through_one_form(house: Clone) -> None:
    """As an operator with a program of their own writes it: answered, and nothing is done."""
    desk = Desk(house, door.OPERATORS)
    said = desk.python("-c", FORGE, desk.account)
    assert said.returncode == 0, said.stderr
    answers = [json.loads(line) for line in said.stdout.splitlines()]
    assert [one["exit"] for one in answers] == [2, 2, 2], answers
    assert "restore is not answered here" in answers[0]["error"]


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
