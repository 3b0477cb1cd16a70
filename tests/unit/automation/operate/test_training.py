"""What `fed train` shows of a finished run: the metrics that its job has."""

import io
from typing import Any

import pytest
from rich.console import Console

from automation.operate import training
from automation.ui.outcome import RefusedError


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
