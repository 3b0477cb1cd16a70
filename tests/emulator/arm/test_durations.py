"""Azure's typical durations: one line a type, each with who says so."""

import pytest

from emulator.arm import durations
from emulator.arm.answers import AT_ONCE
from emulator.arm.types import CATALOGUE


def test_every_line_is_of_a_type_that_exists() -> None:
    known = {type_.name for type_ in CATALOGUE._types.values()}
    assert set(durations.TYPICAL) <= known


def test_whatever_goes_on_after_its_answer_has_a_line() -> None:
    """A type whose writes last, and whose length nobody wrote down, would be imitated by a guess."""
    lasting = {type_.name for type_ in CATALOGUE._types.values() if type_.answers is not AT_ONCE}
    assert sorted(lasting - set(durations.TYPICAL)) == []


@pytest.mark.parametrize("name", sorted(durations.TYPICAL))
def test_a_line_names_its_witness_or_says_that_there_is_none(name: str) -> None:
    line = durations.of(name)
    assert line.put > 0 and line.delete > 0
    assert line.witness == durations.ASSUMED or any(
        mark in line.witness for mark in ("#", "README", "recording")
    )
