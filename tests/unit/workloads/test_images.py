"""What an image imports is in it: tests import packages from where they are, images from what is copied."""

import re
from collections.abc import Iterator
from pathlib import Path

from clone import paths

WORKLOADS = paths.REPOSITORY / "workloads"
IMAGE = WORKLOADS / "container_server"


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
