"""Whatever is wrong with a stack is told in words, before anything is started or made."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.own_clone import Clone


def setting(key: str, value: Any) -> Callable[[Any], None]:
    """Return the edit that gives a setting below a dotted key a value."""

    def change(content: Any) -> None:
        *above, last = key.split(".")
        place = content["config"]
        for name in above:
            place = place[name]
        place[last] = value

    return change


HOSPITAL = {"subscriptionId": "30000000-0000-4000-8000-000000000009", "addressSpace": "10.10.9.0/27"}
MISTAKES = {
    "unknown key": (setting("fed:machine.colour", "blue"), ["fed:machine.colour", "blue"]),
    "overlapping ranges": (
        setting("fed:hospitals.hungary.addressSpace", "10.10.1.0/26"),
        ["10.10.1.0/26", "cleveland", "overlap"],
    ),
    "wrong CIDR": (setting("fed:hospitals.hungary.addressSpace", "10.10.2.0/40"), ["10.10.2.0/40"]),
    "40-character name": (setting(f"fed:hospitals.{'h' * 40}", HOSPITAL), ["h" * 40]),
    "duplicate subscription": (
        setting("fed:hospitals.hungary.subscriptionId", "20000000-0000-4000-8000-000000000001"),
        ["20000000-0000-4000-8000-000000000001", "cleveland"],
    ),
    "another stack's environment": (setting("fed:environment", "prod"), ["fed:environment", "prod"]),
}


@pytest.fixture
def pristine(shared_clone: Clone) -> Clone:
    """A clone in which nothing was ever started, its stack file as it is in the repository."""
    assert not shared_clone.home.exists()
    return shared_clone


def refused(clone: Clone, *arguments: str) -> str:
    """Run a command that must be refused: exit code 2, words, nothing made. Return the words."""
    done = clone.fed(*arguments, code=2)
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert not clone.home.exists(), "something was started"
    return done.stderr


@pytest.mark.parametrize(
    ("command", "mistake"), [("up", "unknown key"), *(("preview", mistake) for mistake in MISTAKES)]
)
def test_a_mistake_in_a_stack_file_is_told_and_nothing_is_made(
    pristine: Clone, command: str, mistake: str
) -> None:
    file = pristine.root / "Pulumi.dev.yaml"
    before = file.read_bytes()
    change, expected = MISTAKES[mistake]
    try:
        pristine.edit(change)
        told = refused(pristine, command)
    finally:
        file.write_bytes(before)
    for part in ("Pulumi.dev.yaml", "Fix:", *expected):
        assert part in told


def test_a_missing_file_is_told_with_the_stacks_that_there_are(pristine: Clone) -> None:
    file = pristine.root / "Pulumi.mvp.yaml"
    before = file.read_bytes()
    file.unlink()
    try:
        told = refused(pristine, "preview", "mvp")
    finally:
        file.write_bytes(before)
    assert "Pulumi.mvp.yaml" in told and "dev, prod" in told


def test_broken_yaml_is_told_with_its_line(pristine: Clone) -> None:
    file = pristine.root / "Pulumi.dev.yaml"
    before = file.read_text()
    file.write_text(before.replace("config:", "config: [", 1))
    try:
        told = refused(pristine, "preview")
    finally:
        file.write_text(before)
    assert "no valid YAML" in told and "line" in told


@pytest.mark.parametrize("command", ["preview", "up", "status", "down"])
def test_a_wrong_stack_name_is_told(pristine: Clone, command: str) -> None:
    told = refused(pristine, command, "prdo")
    assert "Pulumi.prdo.yaml" in told and "dev, mvp, prod" in told


def test_two_stack_names_are_one_too_many(pristine: Clone) -> None:
    assert "name one" in refused(pristine, "preview", "dev", "-s", "prod")
