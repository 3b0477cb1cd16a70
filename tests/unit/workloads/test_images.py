"""What an image imports is in it: tests import packages from where they are, images from what is copied."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from clone import paths

WORKLOADS = paths.REPOSITORY / "workloads"
IMAGE = WORKLOADS / "container_server"
BOXES = sorted((WORKLOADS / "boxes").glob("*/Dockerfile"))
BOX_USER = "10003:10001"


def imported(file: Path) -> Iterator[str]:
    """Modules of the client's package that a file imports."""
    for name, names in re.findall(
        r"^\s*from fed_site(?:\.(\w+))? import ([\w, ]+)", file.read_text(), flags=re.MULTILINE
    ):
        yield from [name] if name else re.split(r",\s*", names)


def test_the_container_server_has_what_it_takes_of_the_clients() -> None:
    needed: set[str] = set()
    found = {module for file in (IMAGE / "container_server").rglob("*.py") for module in imported(file)}
    while found - needed:
        needed |= found
        found = {
            module for known in needed for module in imported(WORKLOADS / f"fl_client/fed_site/{known}.py")
        }
    for file in ("Dockerfile", "Dockerfile.dockerignore"):
        copied = set(re.findall(r"fl_client/fed_site/(\w+)\.py", (IMAGE / file).read_text()))
        assert copied == needed | {"__init__"}, file


@pytest.mark.parametrize("file", BOXES, ids=lambda file: file.parent.name)
def test_every_box_is_nobody_runs_the_boxs_program_and_pins_its_libraries_by_hash(file: Path) -> None:
    last = [line.split() for line in file.read_text().splitlines() if line.startswith(("USER", "ENTRYPOINT"))]
    assert last == [["USER", BOX_USER], ["ENTRYPOINT", '["python3",', '"-m",', '"fed_box.run"]']]
    assert "--require-hashes -r requirements.txt" in file.read_text()
    pinned = re.split(r"\n(?=\S)", file.with_name("requirements.txt").read_text().strip())
    without = [entry for entry in pinned if not entry.startswith("#") and "--hash=sha256:" not in entry]
    assert without == []


def test_the_documented_image_of_a_teams_own_ends_as_the_user_of_ours() -> None:
    (block,) = re.findall(
        r"```\n(FROM <registry>.*?)```", (paths.REPOSITORY / "docs/jobs.md").read_text(), re.DOTALL
    )
    assert re.findall(r"^USER (\S+)$", block, re.MULTILINE) == ["root", BOX_USER]
    assert "ENTRYPOINT" not in block
    assert "PYTHONPATH" not in block
