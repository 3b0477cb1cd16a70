"""Where the language host reaches into Pulumi's SDK it saves time; what the engine keeps is the same."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emulator.control import Emulator
from engine.language_host import SEAMS, WITHOUT
from tests.emulator.engine_support import PROGRAMS, Stack, new_stack

PAIR = 10
"""Resources of the program."""
DIFFERS = {"stackTrace", "sourcePosition", "created", "modified"}
"""Not compared: the first two are what the seam `stack_trace` is about, the others are moments."""


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Stack]:
    home = tmp_path / "home"
    stack = new_stack(Emulator.ensure(fed_home=home), PROGRAMS / "pair", tmp_path / "pair", "seams")
    yield stack
    Emulator.destroy(home, force=True)


def in_order(value: Any) -> Any:
    """Dependencies are sets that the engine writes as lists, in the order in which it learnt of them."""
    if isinstance(value, dict):
        return {name: in_order(one) for name, one in value.items()}
    return sorted(value) if isinstance(value, list) and all(isinstance(one, str) for one in value) else value


def kept(stack: Stack) -> list[dict[str, Any]]:
    resources = sorted(stack.resources(), key=lambda one: str(one["urn"]))
    return [
        {name: in_order(value) for name, value in one.items() if name not in DIFFERS} for one in resources
    ]


@pytest.mark.parametrize(
    "left", [",".join(SEAMS), *(pytest.param(seam, marks=pytest.mark.long) for seam in SEAMS)]
)
def test_the_plan_and_the_state_are_the_same_without_it(pair: Stack, left: str) -> None:
    off = {WITHOUT: left}
    # "10 to create", in the words of the engine.
    assert pair.preview(**off).changes == pair.preview().changes == {"to": PAIR}

    assert pair.up(**off).changes == {"created": PAIR}
    without = kept(pair)
    longest = max(len(one.get("stackTrace") or ()) for one in pair.resources())
    assert (longest > PAIR) == ("stack_trace" in left), "the switch does nothing"

    assert pair.preview().changes == {"unchanged": PAIR}
    assert pair.up().changes == {"unchanged": PAIR}
    assert kept(pair) == without
