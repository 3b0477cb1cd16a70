"""What `fed train` shows of a finished run: the metrics that its job has."""

import io
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from automation.operate import training
from automation.ui.outcome import FedError, QuestionError, RefusedError


def shown(answer: dict[str, Any]) -> str:
    text = io.StringIO()
    Console(file=text, width=200).print(training.table(answer, None))
    return text.getvalue()


def test_a_job_with_other_metrics_has_them_in_its_table() -> None:
    rows = {
        "cleveland": {"n_train": 267.0, "n_test": 113.0, "concordance": 0.755, "loss": 1.31, "missed": []},
        "hungary": {"n_train": 174.0, "n_test": 66.0, "concordance": 0.694, "loss": 1.32, "missed": [3]},
    }
    found = shown({"hospitals": rows, "global": {"mean_concordance": 0.72, "mean_loss": 1.315}})
    heading, cleveland, hungary, whole = (line.split() for line in found.splitlines())
    assert heading == ["model", "patients", "concordance", "loss", "rounds", "missed"]
    assert cleveland[-6:] == ["267", "+", "113", "0.755", "1.310", "none"]
    assert hungary[-1] == "3"
    assert whole[-2:] == ["0.720", "1.315"]


def test_a_measurement_of_a_version_is_told_from_a_run() -> None:
    answer = {
        "id": "8c98b32f",
        "job": "heart",
        "state": "finished",
        "rounds": 10,
        "round": 10,
        "evaluates": "3",
    }
    assert training.sentence(answer) == "heart (measures version 3) 8c98b32f: round 10 of 10"
    gates = {"passed": False, "verdicts": ["auc is 0.5, expected at least 0.8"]}
    with pytest.raises(RefusedError, match="but version 3 fails its quality gates"):
        training.check({**answer, "gates": gates})
    with pytest.raises(RefusedError, match="its model was not registered, since it fails"):
        training.check({**answer, "evaluates": None, "gates": gates})


def test_a_classifier_has_its_own() -> None:
    row = {"n_train": 1.0, "n_test": 1.0, "auc": 0.9, "own_auc": 0.8}
    assert "+0.100" in shown({"hospitals": {"cleveland": row}, "global": {}})


class TestFollowing:
    """A job goes on while the way to the centre does not: its VM boots, a laptop changes networks."""

    @pytest.fixture
    def clock(self, monkeypatch: pytest.MonkeyPatch) -> list[float]:
        now = [1_000.0]

        def sleep(seconds: float) -> None:
            now[0] += seconds

        monkeypatch.setattr(training.time, "sleep", sleep)
        monkeypatch.setattr(training.time, "monotonic", lambda: now[0])
        return now

    def centre(self, *answers: Any) -> Any:
        left = list(answers)

        def ask(_: object) -> Any:
            answer = left.pop(0) if len(left) > 1 else left[0]
            if isinstance(answer, Exception):
                raise answer
            return answer

        return SimpleNamespace(ask=ask)

    @pytest.mark.usefixtures("clock")
    def test_a_centre_that_does_not_answer_is_asked_again_and_that_is_said(self) -> None:
        running, finished = {"state": "running"}, {"state": "finished"}
        centre = self.centre(running, FedError("no answer"), FedError("no answer"), running, finished)
        told: list[str] = []
        states = [answer["state"] for answer in training.follow(centre, "0123456789", told.append)]
        assert states == ["running", "running", "finished"]
        assert told == ["no answer. Job 01234567 is asked for again"] * 2

    def test_one_that_stays_silent_is_not_awaited_for_ever(self, clock: list[float]) -> None:
        centre = self.centre({"state": "running"}, FedError("no answer"))
        with pytest.raises(FedError, match="no answer"):
            list(training.follow(centre, "0123456789", lambda _: None))
        assert training.PATIENCE < clock[0] - 1_000 < 2 * training.PATIENCE

    @pytest.mark.usefixtures("clock")
    @pytest.mark.parametrize("refusal", [RefusedError("no such job"), QuestionError("two jobs begin so")])
    def test_what_it_refuses_is_not_asked_again(self, refusal: FedError) -> None:
        told: list[str] = []
        with pytest.raises(type(refusal)):
            list(training.follow(self.centre(refusal), "0123456789", told.append))
        assert told == []
