"""No body makes the control plane fail: what is not understood is refused (400), never a 500."""

import copy
import random
from collections.abc import Iterator
from typing import Any

import pytest

from emulator.arm.types import CATALOGUE
from tests.emulator.arm import test_round_trip as round_trip
from tests.emulator.arm_client import Arm

_deployment = round_trip._deployment
STRANGE: list[Any] = [
    None,
    "",
    "text",
    0,
    -1,
    2**63,
    1.5,
    True,
    [],
    {},
    [None],
    ["text"],
    [{}],
    [[]],
    {"a": 1},
]
TRIES = 12
"""Mutations of each resource's body."""


def places(value: Any, trail: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a body."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield (*trail, key)
        yield from places(part, (*trail, key))


def changed(body: dict[str, Any], place: tuple[Any, ...], value: Any) -> dict[str, Any]:
    made = copy.deepcopy(body)
    at: Any = made
    for key in place[:-1]:
        at = at[key]
    at[place[-1]] = value
    return made


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
@pytest.mark.parametrize("seed", range(2))
def test_a_strange_value_anywhere_is_an_answer_and_no_failure(arm: Arm, method: str, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311
    for one in round_trip.everything(arm):
        if method not in CATALOGUE[one["type"]].methods:
            continue
        body = one["body"]
        where = list(places(body))
        for _ in range(TRIES):
            strange = changed(body, chance.choice(where), chance.choice(STRANGE))
            for path in (one["id"], f"{one['id']}2"):
                answer = arm(method, path, strange)
                assert answer.status < 500, (path, strange)
