"""What a real machine tells of itself, in the words that emulated ones use."""

import json
import re
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Any

import pytest

from emulator.datacentre.errors import DatacentreError, UnknownContainerError
from emulator.datacentre.machine.real.hardware import Card, Hardware
from emulator.datacentre.machine.real.machine import RealMachine, container, trouble
from emulator.datacentre.machine.runtime import Result

INSPECTED = {
    "Name": "/fl-client",
    "RestartCount": 2,
    "Config": {"Image": "cr.azurecr.io/fl-client@sha256:0"},
    "State": {"Status": "running", "ExitCode": 0, "Error": "", "Health": {"Status": "healthy"}},
}


def test_a_container_is_told_as_an_emulated_one() -> None:
    assert container(INSPECTED) == {
        "name": "fl-client", "image": "cr.azurecr.io/fl-client@sha256:0", "status": "running",
        "health": "healthy", "exitCode": 0, "restarts": 2, "error": "",
    }  # fmt: skip


def test_one_without_a_check_has_no_health() -> None:
    state = {"Status": "exited", "ExitCode": 137, "Error": "no space"}
    found = container({**INSPECTED, "State": state})
    assert (found["health"], found["exitCode"], found["error"]) == (None, 137, "no space")


@pytest.mark.parametrize(
    ("errors", "units", "expected"),
    [
        ([], "", ""),
        ([], "systemd-networkd-wait-online.service\n", ""),
        (
            [],
            "docker.socket\nfed-containers.service\n",
            "docker.socket failed; fed-containers.service failed",
        ),
        (["runcmd: no Docker"], "", "cloud-init: runcmd: no Docker"),
    ],
)
def test_a_boot_that_went_wrong_is_told(errors: list[str], units: str, expected: str) -> None:
    said = json.dumps({"v1": {"datasource": "DataSourceNoCloud", "errors": errors}}, indent=1)
    assert trouble(f"{said}\n{units}") == expected


def test_an_image_whose_cloud_init_says_nothing_is_no_trouble() -> None:
    assert trouble("") == ""


class Guest:
    """A guest's agent that has one container, with a log that grows, and notes what it was asked to run."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.says = [b"one\n", b"", b"two\n"]
        self.docker = 0

    async def run(self, script: str, *, seconds: float | None = None) -> Result:
        self.ran.append(script)
        if "docker inspect" in script:
            return Result(self.docker, json.dumps(INSPECTED).encode(), b"No such object: 12")
        return Result(0, self.says.pop(0) if script.startswith("journalctl") else b"", b"")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RealMachine:
    """A machine whose agent is a `Guest`."""
    monkeypatch.setattr("emulator.datacentre.machine.real.machine._LOG_PAUSE", 0)
    card = Card(address=IPv4Interface("10.10.1.4/27"), mac="00:0d:3a:01:02:03")
    hardware = Hardware(
        name="vm", image=tmp_path, own=tmp_path, volatile=tmp_path, data=None, accelerator="tcg",
        memory=1, processors=1, card=card,
    )  # fmt: skip
    network: Any = None
    made = RealMachine(hardware, identifier="i", network=network, authority=tmp_path / "ca", logs=tmp_path)
    made._agent = Guest()  # type: ignore[assignment]
    return made


def asked(machine: RealMachine) -> list[str]:
    return machine._agent.ran  # type: ignore[attr-defined, no-any-return]


async def test_a_log_is_read_to_its_end_and_leaves_nothing_behind(machine: RealMachine) -> None:
    assert [chunk async for chunk in machine.log("fl-client", follow=False)] == [b"one\n"]
    _, read, removed = asked(machine)
    (mark,) = re.findall(r"--cursor-file=(\S+)", read)
    assert removed == f"rm -f {mark}"


async def test_a_followed_log_goes_on_where_it_was(machine: RealMachine) -> None:
    said = machine.log("fl-client", follow=True)
    assert [await anext(said) for _ in range(3)] == [b"one\n", b"", b"two\n"]
    await said.aclose()
    reads = [script for script in asked(machine) if script.startswith("journalctl")]
    assert len(set(reads)) == 1  # the same mark: journalctl tells what is new since


async def test_a_container_that_is_not_there_is_refused_with_those_that_are(machine: RealMachine) -> None:
    with pytest.raises(UnknownContainerError, match="vm has no container x; it has fl-client"):
        await anext(machine.log("x", follow=False))
    with pytest.raises(UnknownContainerError):
        await machine.command(("bash",), "x")


async def test_a_docker_that_does_not_answer_is_no_machine_without_containers(machine: RealMachine) -> None:
    machine._agent.docker = 1  # type: ignore[attr-defined]
    with pytest.raises(DatacentreError, match="vm's Docker does not answer: No such object: 12"):
        await anext(machine.log("fl-client", follow=False))


async def test_a_shell_in_a_container_goes_through_the_machines_docker(machine: RealMachine) -> None:
    *_, socket, words = await machine.command(("sh", "-c", "id -u"), "fl-client")
    assert socket.endswith("terminal.sock")
    assert words == "docker exec --interactive --tty fl-client sh -c 'id -u'"
