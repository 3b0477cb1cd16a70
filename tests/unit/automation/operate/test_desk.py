"""`fed` at a hospital's desk on the emulator: where it sits down, as whom, and that it starts there."""

import os
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest

from automation.operate import desk
from federation.settings import Door, load
from tests.unit.support import door_settings as door
from workloads.data import heart_data


class Started(Exception):  # noqa: N818 no error: the process would have become this command
    """What the process would have become."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self.command, self.environment = command, environment


class Datacentre:
    """Notes where somebody sat down; nothing is between the desk and this machine."""

    settings = SimpleNamespace(authority=Path("/authority.pem"))

    def __init__(self) -> None:
        self.places: list[tuple[str, ...]] = []

    def desk(self, subnet: str, group: str) -> str:
        self.places.append(("desk", subnet, group))
        return "place"

    def office(self, address: str, group: str) -> str:
        self.places.append(("office", address, group))
        return "place"

    def inside(self, place: str, argv: list[str]) -> list[str]:
        return argv


@pytest.fixture
def datacentre(monkeypatch: pytest.MonkeyPatch) -> Any:
    def become(_: str, command: list[str], environment: dict[str, str]) -> NoReturn:
        raise Started(command, environment)

    monkeypatch.setattr(os, "execvpe", become)
    return Datacentre()


def given(entry: dict[str, Any]) -> Door:
    found = load("dev", door.config("dev", {"cleveland": entry})).hospitals["cleveland"].door
    assert found is not None
    return found


def test_it_sits_in_the_network_of_an_endpoint_or_at_the_address_of_a_window(datacentre: Any) -> None:
    for entry in (door.door(), door.window()):
        with pytest.raises(Started):
            desk.sit_down(datacentre, given(entry), ["data"])
    assert datacentre.places == [("desk", door.DESKS, door.PEOPLE), ("office", door.OFFICE, door.UPLOADERS)]


def test_it_starts_there_with_nothing_of_the_emulator_but_its_authority(
    datacentre: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "heart.csv"
    file.write_bytes(heart_data.seed("cleveland"))
    for name in ("FED_EMULATOR", "HTTPS_PROXY", "PULUMI_BACKEND_URL"):
        monkeypatch.setenv(name, "x")
    with pytest.raises(Started) as started:
        desk.sit_down(datacentre, given(door.door()), ["dataset", "check", str(file)])
    environment = started.value.environment
    assert environment.keys() <= {"PATH", "HOME", "LANG", "TERM", "PYTHONPATH", *desk.AUTHORITIES}
    assert {environment[name] for name in desk.AUTHORITIES} == {"/authority.pem"}
    ran = subprocess.run(
        started.value.command,
        env={name: value for name, value in environment.items() if name not in desk.AUTHORITIES},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (0, "heart.csv: 303 rows\n")
