"""What a hospital's officers allow any job: when, which columns, how often."""

import calendar
import json
import threading
from pathlib import Path
from typing import Any

import pytest
from fed_site.alone import alone_at
from fed_site.consent import Answers
from fed_site.house_rules import DAY, HouseRules
from fed_site.manifest import Manifest
from fed_site.runs import Runs

from tests.unit.support.job_archives import manifest_content


def at(clock: str) -> float:
    """A Unix time of that hour and minute, UTC."""
    hour, minute = clock.split(":")
    return float(calendar.timegm((2026, 11, 30, int(hour), int(minute), 0)))


class TestHours:
    @pytest.mark.parametrize(
        ("hours", "clock", "is_open"),
        [
            (("18:00", "22:00"), "17:59", False),
            (("18:00", "22:00"), "18:00", True),
            (("18:00", "22:00"), "21:59", True),
            (("18:00", "22:00"), "22:00", False),
            (("18:00", "06:00"), "23:30", True),
            (("18:00", "06:00"), "05:59", True),
            (("18:00", "06:00"), "06:00", False),
            (None, "03:00", True),
        ],
    )
    def test_jobs_run_within_them(self, hours: tuple[str, str] | None, clock: str, is_open: bool) -> None:
        closed = HouseRules(hours=hours).closed(at(clock))
        assert (closed is None) == is_open
        assert is_open or "from 18:00 to" in str(closed)


TABULAR = "tabular@sha256:" + "1" * 64


class TestMemory:
    def test_a_job_that_needs_more_than_a_box_gets_says_so_before_it_runs(self) -> None:
        rules = HouseRules.read({"limits": {"memory_mb": 4096}})
        assert rules.forbids({}, memory_mb=4096) is None
        assert str(rules.forbids({}, memory_mb=6000)).startswith(
            "gives a box 4096 MB, and this job needs 6000"
        )
        said = Manifest.read(json.dumps(manifest_content(memory_mb=2049)).encode())
        assert "needs 2049" in str(HouseRules().objection(said, (), at("12:00")))


class TestColumns:
    RULES = HouseRules(columns={"heart.csv": ["age", "sex"]})

    @pytest.mark.parametrize("data", [{}, {"heart.csv": ["age"]}, {"heart.csv": ["sex", "age"]}])
    def test_those_that_are_allowed_may_be_asked_for(self, data: dict[str, list[str]]) -> None:
        assert self.RULES.forbids(data) is None
        assert HouseRules().forbids({"any.csv": ["any"]}) is None

    @pytest.mark.parametrize(
        ("data", "named"),
        [
            ({"heart.csv": ["age", "disease"]}, "disease of heart.csv"),
            ({"more.csv": ["age"]}, "more.csv"),
            ({"scans.bin": []}, "scans.bin"),
        ],
    )
    def test_others_are_named(self, data: dict[str, list[str]], named: str) -> None:
        assert self.RULES.forbids(data) == f"lets no job read {named}"

    @pytest.mark.parametrize(
        ("allowed", "box"),
        [
            (None, TABULAR),
            (["base", "tabular"], TABULAR),
            ([TABULAR], TABULAR),
            (["base"], "base"),
        ],
    )
    def test_a_box_that_is_allowed_may_be_asked_for(self, allowed: list[str] | None, box: str) -> None:
        assert HouseRules.read({"boxes": allowed}).forbids({}, box) is None

    @pytest.mark.parametrize("allowed", [[], ["base"], ["tabular@sha256:" + "2" * 64]])
    def test_another_box_is_named(self, allowed: list[str]) -> None:
        assert "run in the box tabular@" in str(HouseRules.read({"boxes": allowed}).forbids({}, TABULAR))


class TestAnswers:
    def test_a_run_that_announces_more_is_refused(self) -> None:
        rules = HouseRules.read({"answers": 11})
        assert rules.announced(11) is None
        assert HouseRules().announced(1000) is None
        said = Manifest.read(json.dumps(manifest_content(answers=12)).encode())
        assert rules.objection(said, [], 0.0) == (
            "lets a run give 11 answers at most, and this one announces 12"
        )


class TestRuns:
    def test_so_many_a_day_and_in_all(self) -> None:
        rules, now = HouseRules(runs={"a_day": 2, "in_all": 3}), 100 * DAY
        assert rules.spent([now - 1.5 * DAY, now - 1], now) is None
        assert "2 times in 24 hours" in str(rules.spent([now - 2, now - 1], now))
        assert "3 times in all" in str(rules.spent([1.0, 2.0, 3.0], now))
        assert HouseRules().spent([now] * 1000, now) is None

    def test_they_are_counted_by_code(self, tmp_path: Path) -> None:
        for code, now in (("a", 1.0), ("b", 2.0), ("a", 3.0)):
            Runs(tmp_path / "runs.json").add(code, now)
        assert Runs(tmp_path / "runs.json").of("a") == [1.0, 3.0]
        assert Runs(tmp_path / "runs.json").of("c") == []

    def test_two_at_once_are_both_counted(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A server may deploy two jobs at once: the second waits until the first is written."""
        runs, read = Runs(tmp_path / "runs.json"), threading.Event()
        written = runs._all

        def slowly() -> dict[str, list[float]]:
            found = written()
            read.set()
            return found

        monkeypatch.setattr(runs, "_all", slowly)
        with alone_at(tmp_path / "runs.json"):
            adding = threading.Thread(target=runs.add, args=("a", 1.0))
            adding.start()
            assert not read.wait(0.1)
            (tmp_path / "runs.json").write_text('{"a": [0.5]}')
        adding.join()
        assert runs.of("a") == [0.5, 1.0]

    def test_a_count_that_is_damaged_is_not_taken_for_none(self, tmp_path: Path) -> None:
        (tmp_path / "runs.json").write_text("{")
        with pytest.raises(ValueError, match="Expecting"):
            Runs(tmp_path / "runs.json").of("a")


@pytest.mark.parametrize("content", [{"hours": {"from": "18:00"}}, {"hours": 3}])
def test_with_rules_that_cannot_be_read_nothing_is_approved(tmp_path: Path, content: dict[str, Any]) -> None:
    for rules in (content, [], "x", None):
        (tmp_path / "answers.json").write_text(json.dumps({"approved": ["a"], "refused": {}, "rules": rules}))
        assert Answers.read(tmp_path / "answers.json").approved == frozenset()


@pytest.mark.parametrize("content", [{"hours": {"from": "18:00"}}, {"hours": 3}])
def test_rules_that_cannot_be_read_are_no_rules(content: dict[str, Any]) -> None:
    with pytest.raises((KeyError, TypeError)):
        HouseRules.read(content)
