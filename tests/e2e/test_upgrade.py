"""Other images while a job runs: no VM is replaced, one party at a time, and officers are asked."""

import json
from collections.abc import Iterator

import pytest

from tests.e2e.own_clone import PATIENCE, Clone
from tests.e2e.running_federation import COMPUTE, Federation
from tests.resource_manager import ask

pytestmark = pytest.mark.long

PARTIES = ("centre", "cleveland", "hungary", "va-long-beach")
ASKED = "hungary"
"""Its officers keep a list of images; the others' have none and take what the demonstration names."""


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federation]:
    with Federation.up(Clone(tmp_path_factory.mktemp("upgrade"), machines=True)) as running:
        yield running


def images(federation: Federation, party: str) -> dict[str, str]:
    """Container -> digest that it runs."""
    containers = federation.datacentre.status()["machines"][federation.machine(party)]["containers"]
    return {one["name"]: one["image"].rpartition("@")[2] for one in containers}


def machines(federation: Federation) -> dict[str, str]:
    """Party -> what Azure calls its VM: another one is another VM."""
    emulator, outputs = federation.clone.emulator(), federation.clone.outputs()
    vms = {"centre": outputs["centre"]["vm"]} | {
        name: outputs["hospitals"][name]["vm"] for name in outputs["hospitals"]
    }
    return {
        party: ask(emulator, "GET", vm, api_version=COMPUTE).json()["properties"]["vmId"]
        for party, vm in vms.items()
    }


def test_a_federation_takes_other_images_during_a_job(federation: Federation) -> None:
    fed = federation.clone.fed
    federation.wait_job(str(federation.fedctl("submit", "--job", "statistics")["id"]))
    before, vms = {party: images(federation, party) for party in PARTIES}, machines(federation)
    known = [{"digest": digest, "image": name, "by": "Dr Kiss"} for name, digest in before[ASKED].items()]
    policy = {"schema": "fed/images/1", "approved": known, "refused": []}
    federation.datacentre.upload(
        federation.container(f"rg-fed-dev-{ASKED}-data", "policy"), "images.json", json.dumps(policy).encode()
    )
    for package in ("fl_client/fed_site", "fl_server/fed_server"):
        with (federation.clone.root / "workloads" / package / "__init__.py").open("a") as file:
            file.write('"""Another image."""\n')
    fed("up", seconds=2 * PATIENCE)
    federation.wait(
        lambda: federation.hospital(ASKED).get("images", {}).get("state") == "turn",
        "they wait for their turn",
    )
    assert "images of cleveland: other images wait for ./fed upgrade" in fed("status").stdout
    assert machines(federation) == vms
    assert {party: images(federation, party) for party in PARTIES} == before

    job = federation.submit(rounds=20, after=1)
    killed = federation.clone.start("upgrade")
    federation.wait(
        lambda: federation.fedctl("upgrade", "centre")["state"] == "job", "the centre waits for the job"
    )
    killed.kill()
    killed.communicate()
    ended = fed("upgrade", seconds=3 * PATIENCE)
    assert federation.fedctl("job", job)["state"] == "finished"
    assert f"{ASKED} waits: its officers are asked for container-server, fl-client" in ended.stderr
    after = {party: images(federation, party) for party in PARTIES}
    assert after[ASKED] == before[ASKED]
    for party, container in (
        ("centre", "fl-server"),
        ("cleveland", "fl-client"),
        ("va-long-beach", "fl-box"),
    ):
        assert after[party][container] != before[party][container], party
    assert machines(federation) == vms
    federation.wait_registered()

    waiting = json.loads(fed("hospital", "review", ASKED, "--json").stdout)["images"]
    assert {row["image"] for row in waiting} == {"container-server", "fl-client"}
    for row in waiting:
        fed("hospital", "approve-image", ASKED, row["digest"], "--by", "Dr Kiss")
    federation.wait(lambda: images(federation, ASKED) == images(federation, "cleveland"), "it runs them, too")
    federation.wait_registered()
    assert "runs the images of the stack" in fed("upgrade").stderr
    assert federation.wait_job(federation.submit(rounds=2))["state"] == "finished"


def test_what_runs_is_what_runs_after_a_power_cut(federation: Federation) -> None:
    before = images(federation, "centre")
    federation.restart("centre")
    assert images(federation, "centre") == before
