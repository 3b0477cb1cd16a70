"""What is lost with a VM's disk comes back: backups, a lost disk, and the rehearsal for every party."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.own_clone import Clone, keep_hospitals
from tests.e2e.running_federation import Federation

pytestmark = pytest.mark.long
LEDGER = "cat /var/lib/fed/*/released.json"
FRESH = "find /var/lib/fed -mindepth 2 -delete && docker restart container-server"
"""What a VM has whose data disk is a new one, and its container server, which begins with it."""


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("offline") / "key"


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory, key: Path) -> Iterator[Federation]:
    clone = Clone(tmp_path_factory.mktemp("federation"), machines=True)
    recipient = clone.fed("backup", "key", str(key)).stdout.strip()
    clone.edit(keep_hospitals("cleveland", "hungary"))
    clone.edit(lambda content: encrypt_to(content, recipient))
    with Federation.up(clone) as running:
        yield running


def encrypt_to(content: Any, recipient: str) -> None:
    content["config"]["fed:backup"] = {"recipient": recipient}
    content["config"]["fed:hospitals"]["cleveland"]["backupRecipient"] = recipient


def test_a_lost_disk_comes_back_and_everybody_goes_on(federation: Federation, key: Path) -> None:
    clone = federation.clone
    federation.wait_job(str(federation.fedctl("submit", "--job", "statistics")["id"]))
    ledger = federation.run("cleveland", LEDGER)
    serial = federation.fedctl("requests")["requests"]["cleveland"]["serial"]
    clone.fed("backup", "now", "--party", "centre", "--party", "cleveland")

    federation.run("cleveland", FRESH)
    federation.wait(
        lambda: "./fed restore --party cleveland" in federation.hospital("cleveland").get("reason", ""),
        "the hospital waits for its backup",
    )
    wrong = key.with_name("wrong")
    clone.fed("backup", "key", str(wrong))
    refused = clone.fed("restore", "--party", "cleveland", "--key", str(wrong), code=1)
    assert "another key" in refused.stderr
    clone.fed("restore", "--party", "cleveland", "--key", str(key))
    federation.wait_registered()
    assert federation.run("cleveland", LEDGER) == ledger
    assert federation.fedctl("requests")["requests"]["cleveland"]["serial"] == serial

    jobs = federation.fedctl("jobs")["jobs"]
    federation.run("centre", FRESH)
    clone.fed("restore", "--party", "centre", "--key", str(key))
    federation.wait_registered()
    assert federation.fedctl("jobs")["jobs"] == jobs
    again = federation.wait_job(str(federation.fedctl("submit", "--job", "statistics")["id"]))
    assert again["state"] == "finished"


def test_the_rehearsal_puts_every_party_back(federation: Federation) -> None:
    said = federation.clone.fed("restore", "--rehearse").stdout
    assert [line.partition(":")[0] for line in said.splitlines()] == ["centre", "cleveland", "hungary"]
    assert all(line.endswith("the same") for line in said.splitlines())
    federation.wait_registered()
    listed = json.loads(federation.clone.fed("backup", "list", "--json").stdout)
    assert listed["hungary"]["recipient"] is None, "a rehearsal's key is forgotten"
