"""A hospital joins a running federation, trains with it, leaves and comes back: what it leaves opens nothing.

That is one life and one test: each part of it begins where the one before ended.
"""

import json
from typing import NamedTuple

from emulator.datacentre.control import Ran
from tests.e2e.own_clone import PATIENCE
from tests.e2e.running_federation import Federation
from tests.resource_manager import ask

NEWCOMER = "switzerland"
SUBSCRIPTION = "20000000-0000-4000-8000-000000000004"
OTHERS = ("cleveland", "hungary")
STOLEN = "/var/lib/fl/stolen"
"""Where a thief keeps a copy of a kit, as hungary's client sees it."""


def test_a_hospital_joins_trains_leaves_and_comes_back_to_its_data(federation_of_two: Federation) -> None:
    federation = federation_of_two
    joined = join(federation)
    trains_and_one_that_is_revoked_meanwhile_holds_up_no_job(federation, joined)
    steal_its_kit(federation)
    a_renewed_certificate_retires_the_old_one(federation)
    left = leave(federation)
    leaving_revokes_the_certificate_and_takes_all_but_the_data(federation, left)
    a_copy_of_its_kit_connects_to_nothing(federation)
    it_comes_back_to_its_data_with_a_new_certificate(federation, left)
    what_a_hospital_uploaded_survives_the_stack_unless_it_is_named(federation)


def join(federation: Federation) -> list[str]:
    """Have the newcomer join (the command ends no earlier); return who had joined the server before it."""
    federation.wait_registered()
    before = joins(federation)
    federation.clone.fed(
        "hospital", "add", NEWCOMER, "--subscription", SUBSCRIPTION, "--yes", seconds=3 * PATIENCE
    )
    return before


def steal_its_kit(federation: Federation) -> None:
    """Give another hospital's operator a copy of the newcomer's kit."""
    kit = federation.run(NEWCOMER, "tar -C /var/lib/fed -cz kit | base64 -w0")
    folder = STOLEN.replace("/var/lib/fl", "/var/lib/fed/work")
    took = federation.run(
        "hungary",
        f"mkdir -p {folder} && echo {kit} | base64 -d | tar -xz -C {folder} && "
        f"chown -R --reference=/var/lib/fed/work {folder} && ls {folder}/kit/startup",
    )
    assert "client.key" in took


class Left(NamedTuple):
    """What the command said, and before it: the stack file; what the subscription held then and holds now."""

    said: str
    file: str
    member: set[str]
    kept: set[str]


def leave(federation: Federation) -> Left:
    """Have the newcomer leave."""
    file, member = stack_file(federation), resources(federation)
    said = federation.clone.fed("hospital", "remove", NEWCOMER, "--yes", seconds=3 * PATIENCE)
    return Left(said.stderr, file, member, resources(federation))


def resources(federation: Federation) -> set[str]:
    """Return the ids of all resources in the newcomer's subscription."""
    listed = ask(
        federation.clone.emulator(),
        "GET",
        f"/subscriptions/{SUBSCRIPTION}/resources",
        api_version="2021-04-01",
    )
    return {entry["id"] for entry in listed.json()["value"]}


def stack_file(federation: Federation) -> str:
    return (federation.clone.root / "Pulumi.dev.yaml").read_text()


def lines_of_the_server(federation: Federation) -> list[str]:
    return federation.log("centre", "fl-server").splitlines()


def joins(federation: Federation) -> list[str]:
    """Return who joined the server, as often as they did."""
    lines = (line for line in lines_of_the_server(federation) if "New client" in line)
    return sorted(line.split("New client ")[1].partition("@")[0] for line in lines)


def round_of_heart(federation: Federation) -> int:
    """Return how far the training is; 0 while the statistics run."""
    jobs = federation.fedctl("jobs")["jobs"]
    return max(
        (federation.fedctl("job", job["id"])["round"] for job in jobs if job["job"] == "heart"), default=0
    )


def use_the_copy(federation: Federation) -> Ran:
    """Start a client with the stolen kit on the thief's machine; return how it ended."""
    return federation.datacentre.exec(
        federation.machine("hungary"),
        ["timeout", "120", "python", "-m", "fed_site.start"],
        container="fl-client",
        environment={"FED_KIT": f"{STOLEN}/kit", "FED_WORK": STOLEN},
        seconds=150,
    )


def trains_and_one_that_is_revoked_meanwhile_holds_up_no_job(
    federation: Federation, joined: list[str]
) -> None:
    training = federation.clone.start("train", "--rounds", "8", "--json")
    federation.wait(lambda: training.poll() is not None or round_of_heart(federation), "the first round")
    assert joins(federation) == sorted([*joined, NEWCOMER]), "nobody was restarted for the newcomer"
    federation.fedctl("revoke", "hungary", "--reason", "absent")
    output, errors = training.communicate(timeout=PATIENCE)
    assert training.returncode == 0, errors
    done = json.loads(output)
    assert (done["state"], done["round"], set(done["hospitals"])) == ("finished", 8, {*OTHERS, NEWCOMER})

    def waits() -> list[str]:
        return [line for line in lines_of_the_server(federation) if "waiting for client outcomes" in line]

    federation.wait(lambda: bool(waits()), "what NVFlare says after the job's end")
    waited = waits()
    assert len(waited) == 1 and "15.0 seconds" in waited[0] and "['hungary']" in waited[0], waited

    without = federation.wait_job(federation.submit(rounds=1))
    assert (without["state"], set(without["hospitals"])) == ("finished", {"cleveland", NEWCOMER})

    federation.fedctl("approve", "hungary")
    again = joined.count("hungary") + 1
    federation.wait(lambda: joins(federation).count("hungary") == again, "hungary joins again")
    federation.wait_registered()


def a_renewed_certificate_retires_the_old_one(federation: Federation) -> None:
    """Its owner's client is off meanwhile: two clients of one name cannot be connected at once."""
    before = joins(federation).count(NEWCOMER)

    def joined_again(times: int) -> None:
        federation.wait(lambda: joins(federation).count(NEWCOMER) == before + times, "the owner joins again")

    federation.fedctl("renew", NEWCOMER)
    joined_again(1)
    federation.run(NEWCOMER, "docker stop container-server fl-client")
    thief = use_the_copy(federation)
    federation.run(NEWCOMER, "docker start container-server")
    assert f"is not the one last approved for {NEWCOMER}" in thief.stdout + thief.stderr
    assert thief.code not in {0, 124}, "the thief's client must have given up by itself"
    joined_again(2)
    federation.wait_registered()


def leaving_revokes_the_certificate_and_takes_all_but_the_data(federation: Federation, left: Left) -> None:
    assert f"{NEWCOMER} is revoked" in left.said
    assert any(f"Client {NEWCOMER} disabled" in line for line in lines_of_the_server(federation))
    assert {machine for machine in federation.datacentre.status()["machines"] if NEWCOMER in machine} == set()
    status = json.loads(federation.clone.fed("status", "--json").stdout)
    assert {party["party"] for party in status["parties"]} == {"centre", *OTHERS}

    assert left.kept < left.member
    assert any("/storageAccounts/" in one for one in left.kept)
    gone = ("/virtualMachines/", "/virtualNetworks/", "/privateEndpoints/")
    assert not [one for one in left.kept for kind in gone if kind in one]
    assert "retired: left" in stack_file(federation)
    refused = federation.clone.fed("hospital", "remove", NEWCOMER, code=2)
    assert f"--delete-data {NEWCOMER}" in refused.stderr


def a_copy_of_its_kit_connects_to_nothing(federation: Federation) -> None:
    def arrived() -> int:
        lines = lines_of_the_server(federation)
        return sum(f"SSL {NEWCOMER}" in line and "10.10.2.4" in line for line in lines)

    before = arrived()
    thief = use_the_copy(federation)

    assert f"registration rejected: {NEWCOMER} is not an approved member" in thief.stdout + thief.stderr
    assert thief.code not in {0, 124}, "the thief's client must have given up by itself"
    assert arrived() > before, "the copy never came as far as the server"


def it_comes_back_to_its_data_with_a_new_certificate(federation: Federation, left: Left) -> None:
    assert "heart.csv" in federation.datacentre.blobs(
        federation.container(f"rg-fed-dev-{NEWCOMER}-data", "data")
    )
    before = joins(federation).count(NEWCOMER)

    federation.clone.fed("hospital", "add", NEWCOMER, "--yes", seconds=3 * PATIENCE)

    assert joins(federation).count(NEWCOMER) == before + 1
    assert stack_file(federation) == left.file
    assert left.kept <= resources(federation)
    federation.clone.fed("preview", "--expect-no-changes")


def what_a_hospital_uploaded_survives_the_stack_unless_it_is_named(federation: Federation) -> None:
    clone, datacentre = federation.clone, federation.datacentre
    container = federation.container("rg-fed-dev-cleveland-data", "data")
    assert datacentre.upload(container, "own.csv", b"age\n63\n")

    kept = clone.fed("down")
    assert "kept: the data of cleveland (own.csv)" in kept.stderr
    assert "dev is down but for the data of cleveland" in kept.stderr
    assert datacentre.blobs(container)["own.csv"]
    kinds = {each["type"] for each in clone.state() if each["type"].startswith("azure-native:")}
    assert kinds == {
        "azure-native:resources:ResourceGroup",
        "azure-native:storage:BlobContainer",
        "azure-native:storage:BlobServiceProperties",
        "azure-native:storage:StorageAccount",
    }

    clone.fed("down", "--delete-data", "cleveland")
    assert not clone.home.exists()
