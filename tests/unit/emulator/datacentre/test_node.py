"""Which npm belongs to which Node.js."""

from pathlib import Path

import pytest

from emulator.datacentre import node
from emulator.datacentre.errors import DatacentreError


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine whose programs are those that a test makes in this folder."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path


def program(file: Path) -> str:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("#!/bin/sh\n")
    file.chmod(0o755)
    return str(file)


def test_the_machines_node_has_the_machines_npm(machine: Path) -> None:
    own, npm = program(machine / "bin/node"), program(machine / "bin/npm")
    assert node.npm(own) == [npm]


def test_another_node_has_its_own_npm_whatever_the_machine_has(machine: Path) -> None:
    program(machine / "bin/node")
    program(machine / "bin/npm")
    other = program(machine / "cache/nodejs/bin/node")
    own = program(machine / "cache/nodejs/lib/node_modules/npm/bin/npm-cli.js")
    assert node.npm(other) == [other, own]


def test_a_node_without_any_npm_is_told(machine: Path) -> None:
    with pytest.raises(DatacentreError, match="but not npm"):
        node.npm(program(machine / "bin/node"))
