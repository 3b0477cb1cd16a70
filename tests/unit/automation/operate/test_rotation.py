"""`fed rotate` says what it interrupts before it does anything."""

from typing import Any

import pytest

from automation.operate import rotation
from automation.operate.machines import Centre
from automation.ui.outcome import QuestionError
from workloads.container_server.container_server.question import Question


class Asked(Centre):
    def __init__(self, **answer: Any) -> None:
        self.words: list[tuple[str, ...]] = []
        self.answer = answer

    def ask(self, question: Question[Any]) -> Any:
        words = question.words()
        self.words.append(words)
        return {"what": words[1], "interrupts": "the server restarts", **self.answer}


def test_it_says_what_it_interrupts_and_then_does_it(capsys: pytest.CaptureFixture[str]) -> None:
    centre = Asked()
    rotation.rotate(centre, "server", now=True, finish=False, yes=True)
    assert centre.words == [("rotate", "server", "--now"), ("rotate", "server", "--now", "--yes")]
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "fed: rotating server: the server restarts"
    assert "goes on by itself" in said[1]


def test_nothing_is_done_where_nobody_agrees() -> None:
    centre = Asked()
    with pytest.raises(QuestionError, match="say --yes to rotate lead"):
        rotation.rotate(centre, "lead", now=False, finish=False, yes=False)
    assert centre.words == [("rotate", "lead")]


def test_whoever_is_left_behind_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    centre = Asked(left_behind={"hungary": "a person must approve its renewal"})
    rotation.rotate(centre, "root", now=False, finish=True, yes=True)
    assert "hungary is left behind: a person must approve its renewal" in capsys.readouterr().err
