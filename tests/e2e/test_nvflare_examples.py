"""NVFlare's own examples, tried at three made-up hospitals, each in the libraries of its box."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from automation.operate import trial
from clone import paths

pytestmark = pytest.mark.long

EXAMPLES = paths.REPOSITORY / "docs/examples/nvflare"
BEGINS_WITH_NUMBERS = ("hello-pt", "hello-cyclic")
LAST = -1


def tried(name: str, folder: Path, *words: str) -> list[dict[str, Any]]:
    """The events of a trial; the code of an example that fails ends it with RefusedError."""
    job = folder / name
    shutil.copytree(EXAMPLES / name, job)
    if name in BEGINS_WITH_NUMBERS:
        subprocess.run([sys.executable, "first.py"], cwd=job, check=True)
    return [dict(event) for event in trial.run(job, words)]


def metrics(events: list[dict[str, Any]]) -> dict[str, float]:
    """The federation's, of the last round."""
    found: dict[str, float] = [event for event in events if "federation" in event][LAST]["federation"]
    return found


@pytest.mark.parametrize(
    ("name", "metric"),
    [
        ("hello-numpy", "mean_weight_mean"),
        ("hello-numpy-cross-val", "mean_weight_mean"),
        ("hello-lr", None),
        ("hello-pt", "mean_accuracy"),
        ("hello-cyclic", "mean_accuracy"),
        ("sklearn-linear", "mean_AUC"),
        ("sklearn-kmeans", "mean_metrics"),
        ("kaplan-meier", None),
    ],
)
def test_every_hospitals_answer_counts_in_every_round(name: str, metric: str | None, tmp_path: Path) -> None:
    events = tried(name, tmp_path, "--rounds=2")
    assert [event for event in events if "dropped" in event] == []
    assert len([event for event in events if "left" in event]) == 2 * 3
    assert list(metrics(events)) == ([metric] if metric else [])
    assert {"end": ""} in events


def test_every_model_is_measured_at_every_hospital(tmp_path: Path) -> None:
    events = tried("hello-numpy-cross-val", tmp_path)
    assert len([event for event in events if "model_of" in event]) == 4 * 3


@pytest.mark.parametrize("name", ["hello-lr", "sklearn-kmeans"])
def test_sums_are_not_scaled_down_so_they_are_the_federations(name: str, tmp_path: Path) -> None:
    left = [event for event in tried(name, tmp_path) if "left" in event]
    assert all(0 < event["made"] <= 1 for event in left)


def test_kaplan_meier_counts_every_patient_once_in_cells_of_enough(tmp_path: Path) -> None:
    events = tried("kaplan-meier", tmp_path, "--rounds=1", "--rows=200")
    (counts,) = [event["histograms"] for event in events if "federation" in event]
    assert {name: len(cells) for name, cells in counts.items()} == {"observed": 25, "censored": 25}
    assert sum(map(sum, counts.values())) == pytest.approx(3 * 200)
