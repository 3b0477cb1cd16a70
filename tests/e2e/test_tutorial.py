"""docs/tutorial.md, typed as it is there: from a table at three hospitals to a model that predicts."""

import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from clone import paths
from tests.e2e.own_clone import Clone

pytestmark = pytest.mark.long

TUTORIAL = paths.REPOSITORY / "docs" / "tutorial.md"
BLOCK = re.compile(r"^## (\d+)\. [^\n]*$|^```bash\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BRINGS_TABLES = 6
SECONDS = 900.0
"""For the slowest step: a box's libraries are downloaded."""


def steps() -> dict[int, str]:
    """Step of the tutorial -> its commands; one shell runs those of a step."""
    found: dict[int, str] = {}
    for heading, commands in BLOCK.findall(TUTORIAL.read_text()):
        number = int(heading) if heading else max(found)
        found[number] = found.get(number, "") + commands
    return found


@pytest.fixture
def clone(tmp_path: Path) -> Iterator[Clone]:
    made = Clone(tmp_path, machines=True)
    # The launcher would prepare packages of its own; this clone shares those of the real one.
    launcher = made.root / "fed"
    launcher.write_text(f'#!/bin/sh\nPYTHONPATH={made.root} exec {sys.executable} -P -m automation "$@"\n')
    try:
        yield made
    finally:
        made.destroy()


def test_every_command_of_the_tutorial_does_what_it_says(clone: Clone) -> None:
    said: dict[int, str] = {}
    for number, commands in steps().items():
        began = time.monotonic()
        done = clone.shell(f"set -e\n{commands}", seconds=SECONDS)
        said[number] = done.stdout
        print(f"step {number}: {time.monotonic() - began:.0f} s\n{done.stdout[-600:]}")
    assert "age,sex,emergency,albumin,long_stay,split" in said[1]
    assert said[2].count("600 rows") == 3
    assert "The job would have run." in said[4]
    assert said[BRINGS_TABLES].count("stay.csv is taken with 600 rows") == 3
    assert "long-stay" in said[9]
    assert re.search(r"\[0\.\d+ ", said[9]), "the model predicts no risks"
    assert re.search(r"^long_stay,split,risk,problem$", said[9], re.MULTILINE), "no scores at the hospital"
