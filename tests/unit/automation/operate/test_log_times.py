"""`fed logs --since`: lines by the times that they begin with."""

from datetime import UTC, datetime, timedelta

import pytest

from automation.operate.log_times import later, moment
from automation.ui.outcome import QuestionError

NOW = datetime(2026, 12, 1, 16, 0, tzinfo=UTC)
LOG = (
    "no time yet",
    '{"time": "2026-12-01T15:00:00.445+00:00", "event": "container server"}',
    "2026-12-01 15:30:00,123 - ClientRunner - ERROR - it failed",
    "Traceback (most recent call last):",
    "  of 2026-12-01T10:00:00Z and 99 more letters, which are no time of the line",
    "2026/12/01 15:40:00 INFO:     Uvicorn running",
    "2026/99/01 15:40:00 figures that are no time",
    "2026-12-01T17:45:00+02:00 in another zone",
)


def since(text: str) -> list[str]:
    return list(later(LOG, moment(text, NOW), UTC))


def test_lines_of_every_program_are_compared_with_the_moment() -> None:
    assert since("31m") == list(LOG[2:])
    assert since("30m") == list(LOG[2:])
    assert since("29m") == list(LOG[5:])
    assert since("16m") == [LOG[-1]]
    assert since("14m") == []
    assert since("2h") == list(LOG[1:])


def test_a_line_without_a_time_goes_with_the_one_before() -> None:
    assert since("2026-12-01T15:30:00+00:00")[:2] == list(LOG[2:4])


@pytest.mark.parametrize(
    ("text", "ago"),
    [("90s", {"seconds": 90}), ("10m", {"minutes": 10}), ("2h", {"hours": 2}), ("1d", {"days": 1})],
)
def test_a_duration_is_before_now(text: str, ago: dict[str, int]) -> None:
    assert moment(text, NOW) == NOW - timedelta(**ago)


def test_a_time_without_a_zone_is_this_machines() -> None:
    assert moment("2026-12-01T16:00", NOW) == datetime(2026, 12, 1, 16, 0).astimezone()


@pytest.mark.parametrize("text", ["", "5", "m", "-5m", "yesterday", "5 m", "999999d"])
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(QuestionError, match="expected 90s, 10m, 2h, 1d"):
        moment(text, NOW)


def test_a_programs_own_time_without_a_zone_may_be_local() -> None:
    local = datetime(2026, 12, 1, 15, 30).astimezone()
    line = "2026-12-01 15:30:00,000 said"
    assert list(later([line], local, None)) == [line]
    assert list(later([line], local + timedelta(seconds=1), None)) == []
