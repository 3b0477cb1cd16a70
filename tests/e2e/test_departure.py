"""A hospital joins a running federation, trains with it, and leaves: what it leaves behind opens nothing.

One federation for all of it, so these tests run in their order, each in the state that the one before left.
"""

import json
from collections.abc import Iterator

import pytest

from emulator.fabric.control import Fabric
from tests.e2e.clone import PATIENCE, Clone, keep_hospitals

NEWCOMER = "switzerland"
SUBSCRIPTION = "20000000-0000-4000-8000-000000000004"
OTHERS = ("cleveland", "hungary")
STOLEN = "/var/lib/fl/stolen"
"""Where a thief keeps a copy of a kit, as hungary's client sees it."""


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    """A running federation of two hospitals."""
    clone = Clone(tmp_path_factory.mktemp("departure"), machines=True)
    try:
        clone.edit(keep_hospitals(*OTHERS))
        clone.fed("up", seconds=3 * PATIENCE)
        yield clone
    finally:
        clone.destroy()


@pytest.fixture(scope="module")
def fabric(federation: Clone) -> Fabric:
    found = Fabric.running(federation.emulator())
    assert found is not None
    return found


@pytest.fixture(scope="module")
def joined(federation: Clone) -> None:
    """The newcomer is registered: the command ends no earlier."""
    federation.fed("hospital", "add", NEWCOMER, "--subscription", SUBSCRIPTION, "--yes", seconds=3 * PATIENCE)


@pytest.fixture(scope="module")
def copied(joined: None, fabric: Fabric) -> None:
    """Another hospital's operator has a copy of the newcomer's kit."""
    kit = fabric.run(f"vm-fed-dev-{NEWCOMER}", "tar -C /var/lib/fed -cz kit | base64 -w0").stdout
    folder = STOLEN.replace("/var/lib/fl", "/var/lib/fed/work")
    took = fabric.run(
        "vm-fed-dev-hungary",
        f"mkdir -p {folder} && echo {kit} | base64 -d | tar -xz -C {folder} && "
        f"chown -R --reference=/var/lib/fed/work {folder} && ls {folder}/kit/startup",
    )
    assert "client.key" in took.stdout, took


@pytest.fixture(scope="module")
def left(federation: Clone, copied: None) -> str:
    """The newcomer has left; what the command said."""
    said = federation.fed("hospital", "remove", NEWCOMER, "--yes", seconds=3 * PATIENCE)
    return said.stderr


def lines_of_the_server(fabric: Fabric) -> list[str]:
    return b"".join(fabric.logs("vm-fed-dev-centre", "fl-server")).decode().splitlines()


def test_a_newcomer_trains_and_nobody_was_restarted_for_it(
    federation: Clone, fabric: Fabric, joined: None
) -> None:
    done = federation.fed("train", "--rounds", "2", "--json", seconds=3 * PATIENCE)

    assert set(json.loads(done.stdout)["hospitals"]) == {*OTHERS, NEWCOMER}
    joins = [line for line in lines_of_the_server(fabric) if "New client" in line]
    assert sorted(line.split("New client ")[1].partition("@")[0] for line in joins) == [*OTHERS, NEWCOMER]


def test_leaving_revokes_the_certificate_and_takes_the_network(
    federation: Clone, fabric: Fabric, left: str
) -> None:
    assert f"{NEWCOMER} is revoked" in left
    assert any(f"Client {NEWCOMER} disabled" in line for line in lines_of_the_server(fabric))
    assert {machine for machine in fabric.status()["machines"] if NEWCOMER in machine} == set()
    parties = {party["party"] for party in json.loads(federation.fed("status", "--json").stdout)["parties"]}
    assert parties == {"centre", *OTHERS}


def test_a_copy_of_its_kit_connects_to_nothing(fabric: Fabric, left: str) -> None:
    thief = fabric.exec(
        "vm-fed-dev-hungary",
        ["timeout", "120", "python", "-m", "fed_site.start"],
        container="fl-client",
        environment={"FED_KIT": f"{STOLEN}/kit", "FED_WORK": STOLEN},
        seconds=150,
    )

    assert f"registration rejected: {NEWCOMER} is not an approved member" in thief.stdout + thief.stderr
    assert thief.code not in {0, 124}, "the thief's client must have given up by itself"
    arrived = [line for line in lines_of_the_server(fabric) if f"SSL {NEWCOMER}" in line]
    assert any("10.10.2.4" in line for line in arrived), "the copy never came as far as the server"


def test_it_comes_back_to_its_data_with_a_new_certificate(
    federation: Clone, fabric: Fabric, left: str
) -> None:
    assert "heart.csv" in fabric.blobs(data_container(federation, NEWCOMER))

    federation.fed("hospital", "add", NEWCOMER, "--yes", seconds=3 * PATIENCE)

    joins = [line for line in lines_of_the_server(fabric) if f"New client {NEWCOMER}@" in line]
    assert len(joins) == 2


def test_what_a_hospital_uploaded_survives_the_stack_unless_it_is_named(
    federation: Clone, fabric: Fabric, left: str
) -> None:
    container = data_container(federation, "cleveland")
    assert fabric.upload(container, "own.csv", b"age\n63\n")

    kept = federation.fed("down")
    assert "kept: the data of cleveland (own.csv)" in kept.stderr
    assert "dev is down but for the data of cleveland" in kept.stderr
    assert fabric.blobs(container)["own.csv"]
    kinds = {each["type"] for each in federation.state() if each["type"].startswith("azure-native:")}
    assert kinds == {
        "azure-native:resources:ResourceGroup",
        "azure-native:storage:BlobContainer",
        "azure-native:storage:BlobServiceProperties",
        "azure-native:storage:StorageAccount",
    }

    federation.fed("down", "--delete-data", "cleveland")
    assert not federation.home.exists()


def data_container(federation: Clone, hospital: str) -> str:
    """Return the ARM id of a hospital's own container."""
    (found,) = [
        str(each["id"])
        for each in federation.state()
        if each["type"] == "azure-native:storage:BlobContainer"
        and f"/resourceGroups/rg-fed-dev-{hospital}-data/" in each["id"]
    ]
    return found
