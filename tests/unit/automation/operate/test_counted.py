"""Who asked for what, as the centre tells it: all of it, however few an answer carries at a time."""

from typing import Any

import pytest
from typer.testing import CliRunner

from automation import cli
from automation.operate import counted
from automation.ui.outcome import FedError

ROW: dict[str, Any] = {
    "id": "11111111-0000-4000-8000-000000000000",
    "job": "heart",
    "author": "ada@example.org",
    "code": "ab" * 8,
    "asked": 1_796_127_306,
    "ran": ["cleveland", "hungary"],
    "answered": ["cleveland"],
}


class Answering:
    """A centre that tells `few` jobs at a time."""

    def __init__(self, rows: list[dict[str, Any]], few: int = 3) -> None:
        self.rows, self.few = rows, few

    def ask(self, question: Any) -> dict[str, Any]:
        rest = self.rows[question.skip or 0 :]
        return {"jobs": rest[: self.few], **({"cut": True} if len(rest) > self.few else {})}


def test_all_are_read_newest_first_up_to_a_bound() -> None:
    rows = [{**ROW, "id": str(number)} for number in range(50)]
    assert counted.listing(Answering(rows), 20) == rows[:20]  # type: ignore[arg-type]
    assert counted.listing(Answering(rows), 200) == rows  # type: ignore[arg-type]


def test_one_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(FedError, match="too long"):
        counted.listing(Answering([ROW], few=0), 20)  # type: ignore[arg-type]


def test_people_read_who_asked_for_what_and_who_did_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counted, "of", lambda stack, on, most: [ROW])
    said = CliRunner().invoke(cli.build(), ["audit", "--party", "centre"])
    assert said.exit_code == 0, said.output
    assert said.output.strip() == (
        "20261201T121506  ada@example.org asked for heart (11111111, code abababababab); at cleveland,"
        " hungary; no answer of hungary counted"
    )


def test_statistics_whose_answers_are_not_told_one_by_one_blame_nobody() -> None:
    assert counted.words({**ROW, "answered": []}).endswith("at cleveland, hungary")  # type: ignore[typeddict-item]
