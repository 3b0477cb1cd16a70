"""The rooms of `automation` are those that CONTRIBUTING names, and each uses only rooms after it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from clone import paths

ROOT = paths.REPOSITORY
AUTOMATION = ROOT / "automation"
ROOMS = re.findall(
    r"^\| `(\w+)/` \|", (ROOT / "CONTRIBUTING.md").read_text().partition("| Room |")[2], re.MULTILINE
)


def rooms_used(file: Path) -> Iterator[str]:
    """Rooms that a file imports from, wherever in it."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "automation":
            below = str(node.module).split(".")[1:]
            yield from below[:1] or (name.name for name in node.names)
        elif isinstance(node, ast.Import):
            yield from (name.name.split(".")[1] for name in node.names if name.name.startswith("automation."))


def test_every_room_is_named_and_every_named_room_is_there() -> None:
    assert sorted(ROOMS) == sorted(one.parent.name for one in AUTOMATION.glob("*/__init__.py"))


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_uses_only_rooms_that_come_after_it(room: str) -> None:
    before = set(ROOMS[: ROOMS.index(room)])
    back = {
        f"{file.relative_to(ROOT)} uses {used}/"
        for file in (AUTOMATION / room).rglob("*.py")
        for used in rooms_used(file)
        if used in before
    }
    assert not back, f"Fix: move what both need into {room}/ or a room after it (CONTRIBUTING has the order)"
