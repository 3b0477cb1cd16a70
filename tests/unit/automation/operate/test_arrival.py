"""`fed data put --wait`: the word of the hospital's VM on the file that was uploaded, and on no other."""

from typing import Any

import pytest

from automation.commands import audit
from automation.operate import arrival
from automation.operate.record import Entry
from automation.ui.outcome import FedError


def entry(time: str, name: str = "stay.csv", **more: Any) -> Entry:
    said = {"complaints": [], "found": [], "notes": [], "rows": 600}
    return {"event": "data", "time": time, "name": name, **said, **more}


class Record:
    """A hospital's record that gets one entry more each time it is read."""

    def __init__(self, *entries: Entry) -> None:
        self._entries, self._read = entries, 0

    def __call__(self) -> list[Entry]:
        self._read += 1
        return list(self._entries[: self._read])


def test_the_word_is_on_this_upload_and_neither_on_one_before_nor_on_another_file() -> None:
    old, new = entry("1", found=["line 3, column age"]), entry("4")
    others = ({"event": "answers", "time": "2"}, entry("3", name="heart.csv"))
    assert arrival.last([old, *others], "stay.csv") == old
    assert arrival.wait(Record(old, *others, new), "stay.csv", old, every=0) == new


def test_a_vm_that_does_not_look_is_not_waited_for_without_end() -> None:
    old = entry("1")
    with pytest.raises(FedError, match=r"says nothing of it[\s\S]*Fix: "):
        arrival.wait(lambda: [old], "stay.csv", old, seconds=0, every=0)


def test_a_refusal_is_told_with_what_the_check_found() -> None:
    refused = entry("2", found=["line 3, column age: too large"])
    assert audit.refusals(refused) == ["line 3, column age: too large"]
    assert audit.checked(refused) == "stay.csv is refused: line 3, column age: too large"
    assert audit.checked(entry("2")) == "stay.csv is taken with 600 rows"
    assert audit.refusals(entry("2")) == []


def test_its_time_is_one_that_people_read() -> None:
    assert arrival.moment(entry("20261201T162915.123456Z")) == "2026-12-01 16:29 UTC"


class TestScores:
    WAITS = ("stay.txt", "it waits for your officers' answer")

    def test_an_answer_is_the_tables_own_and_neither_another_ones_nor_an_older_one(self) -> None:
        looks = iter(
            [
                {"stay.txt": self.WAITS[1].encode()},
                {"stay.ward-3.csv": b"risk\n0.1\n", "stay.txt": self.WAITS[1].encode()},
                {"stay.csv": b"risk\n0.2\n"},
            ]
        )
        found = arrival.wait_for_scores(lambda: next(looks), "stay.csv", self.WAITS, every=0)
        assert found == ("stay.csv", "risk\n0.2\n")

    def test_what_says_why_there_are_none_is_an_answer(self) -> None:
        scores = {self.WAITS[0]: self.WAITS[1].encode()}
        assert arrival.wait_for_scores(lambda: scores, "stay.csv", None, every=0) == self.WAITS

    def test_without_another_answer_the_old_one_is_said(self) -> None:
        scores = {self.WAITS[0]: self.WAITS[1].encode()}
        with pytest.raises(FedError, match=r"waits for your officers[\s\S]*Fix: "):
            arrival.wait_for_scores(lambda: scores, "stay.csv", self.WAITS, seconds=0, every=0)
