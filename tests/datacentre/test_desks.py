"""Desks of hospitals' own people: what they reach, and as whom; a door's endpoint, and a window's address."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clone import paths
from emulator.datacentre.control import Datacentre
from emulator.datacentre.errors import DatacentreError
from emulator.datacentre.probe import Target
from tests.datacentre.cloud import BLOB_ZONE, Cloud

PEOPLE, OTHERS = "93000000-0000-4000-8000-000000000001", "93000000-0000-4000-8000-000000000009"
OFFICE, ELSEWHERE = "198.51.100.7", "198.51.100.8"
DOOR, VM, CENTRE = "10.50.3.20", "10.1.0.4", "10.0.0.68"
CLIENT = """
import json, sys
from azure.identity import DefaultAzureCredential
from automation.operate.people import PeoplesContainer
from automation.ui.outcome import FedError

found = []
for account, container, write in json.loads(sys.argv[1]):
    place = PeoplesContainer(account=account, name=container, credential=DefaultAzureCredential())
    try:
        found.append(place.upload("heart.csv", b"age") if write else place.blobs())
    except FedError as refused:
        found.append(str(refused).partition(" ")[2].partition(chr(10))[0])
print(json.dumps(found))
"""


class House:
    """A hospital with its network of the federation, its own network behind a door, and its account."""

    def __init__(self, cloud: Cloud, datacentre: Datacentre) -> None:
        self.cloud, self.datacentre = cloud, datacentre
        ours = cloud.vnet("one", ["10.1.0.0/24"], {"only": {"addressPrefix": "10.1.0.0/24"}})
        hub = cloud.vnet("hub", ["10.0.0.0/24"], {"only": {"addressPrefix": "10.0.0.0/24"}})
        cloud.peer(hub, ours)
        own = cloud.vnet("house", ["10.50.0.0/16"], {"desks": {"addressPrefix": "10.50.3.0/24"}})
        self.desks = f"{own}/subnets/desks"
        self.account = cloud.account("one", "stone", ["data", "policy"])
        centres = cloud.account("hub", "sthub", ["server"])
        cloud.endpoint("one", "pe-one", f"{ours}/subnets/only", self.account, "blob", {"blob": "10.1.0.5"})
        cloud.endpoint("one", "pe-door", self.desks, self.account, "blob", {"blob": DOOR})
        cloud.endpoint("hub", "pe-hub", f"{hub}/subnets/only", centres, "blob", {"blob": CENTRE})
        cloud.zone("house", BLOB_ZONE, {"stone": DOOR}, [own], resolutionPolicy="NxDomainRedirect")
        cloud.vm("one", f"{ours}/subnets/only", VM)
        people = {"id": "people", "ids": {"principalId": PEOPLE}}
        cloud.assign("contributor", people, f"{self.account}/blobServices/default/containers/data")

    def ask(self, place: str, *tries: tuple[str, str, bool]) -> list[Any]:
        """Try containers from a place as the command line does: (account, container, whether to write)."""
        authority = str(paths.authority())
        ran = subprocess.run(
            self.datacentre.inside(place, [sys.executable, "-c", CLIENT, json.dumps(tries)]),
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(Path(__file__).parents[2]),
                "SSL_CERT_FILE": authority,
                "REQUESTS_CA_BUNDLE": authority,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        found: list[Any] = json.loads(ran.stdout)
        return found


@pytest.fixture(scope="module")
def house(cloud: Cloud, datacentre: Datacentre) -> Iterator[House]:
    made = House(cloud, datacentre)
    datacentre.wait_ready(cloud.revision)
    yield made


def test_a_desk_reaches_its_hospitals_account_through_the_door_and_nothing_else(house: House) -> None:
    addresses = (DOOR, "10.1.0.5", VM, CENTRE, "203.0.113.80")
    desk = house.datacentre.desk(house.desks, PEOPLE)
    targets = [Target(address=address, port=443) for address in addresses]
    assert {p.address for p in house.datacentre.probe([desk], targets) if p.passed} == {DOOR}
    assert not any(p.passed for p in house.datacentre.probe(["vm-one"], [Target(address=DOOR, port=443)]))
    (found,) = house.datacentre.probe([f"subnet:{house.desks}"], [Target(address=DOOR, port=443)])
    assert found.passed
    assert house.datacentre.desk(house.desks, PEOPLE) == desk


def test_its_people_write_data_and_nothing_else(house: House) -> None:
    desk = house.datacentre.desk(house.desks, PEOPLE)
    tries = [("stone", "data", True), ("stone", "data", True), ("stone", "data", False)]
    _, again, listed, policy = house.ask(desk, *tries, ("stone", "policy", True))
    assert (again, list(listed)) == (False, ["heart.csv"])  # the same content is not written again
    assert policy == "AuthorizationPermissionMismatch"


def test_people_of_another_group_write_nothing_through_the_same_door(house: House) -> None:
    (refused,) = house.ask(house.datacentre.desk(house.desks, OTHERS), ("stone", "data", True))
    assert refused == "AuthorizationPermissionMismatch"


def test_the_internet_gets_in_at_the_one_address_of_a_window_while_it_is_open(house: House) -> None:
    office, elsewhere = (house.datacentre.office(address, PEOPLE) for address in (OFFICE, ELSEWHERE))
    closed = ["AuthorizationFailure"]
    assert house.ask(office, ("stone", "data", True)) == closed
    rules = {"defaultAction": "Deny", "ipRules": [{"value": OFFICE, "action": "Allow"}]}
    house.cloud.change(house.account, publicNetworkAccess="Enabled", networkAcls=rules)
    house.datacentre.wait_ready(house.cloud.revision)
    tries = [("stone", "data", True), ("stone", "data", False), ("stone", "policy", True)]
    assert house.ask(office, *tries)[1:] == [
        {"heart.csv": base64.b64encode(hashlib.md5(b"age", usedforsecurity=False).digest()).decode()},
        "AuthorizationPermissionMismatch",
    ]
    assert house.ask(elsewhere, ("stone", "data", True)) == closed
    others = house.datacentre.office(OFFICE, OTHERS)  # who take the desk at that address
    assert house.ask(others, ("stone", "data", True)) == ["AuthorizationPermissionMismatch"]
    office = house.datacentre.office(OFFICE, PEOPLE)
    house.cloud.change(house.account, publicNetworkAccess="Disabled", networkAcls={**rules, "ipRules": []})
    house.datacentre.wait_ready(house.cloud.revision)
    assert house.ask(office, ("stone", "data", True)) == closed


def test_a_subnet_that_does_not_exist_has_no_desk(house: House) -> None:
    with pytest.raises(DatacentreError, match="there is no subnet /nowhere"):
        house.datacentre.desk("/nowhere", PEOPLE)
