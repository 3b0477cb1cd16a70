"""What the centre says of a run: the federation's metrics of each round and the files of its results.

A job names one of these reports, or none and gets `Report`; none of them is code of a job's.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fed_server.contribution import Contribution
from fed_server.plan import Plan


class Report:
    """Means over hospitals, and the model in a form that people can read where the job says what it is."""

    registers_model = True
    """Whether a run that passes its gates becomes the next version of the model named after the job."""
    centre_alone: tuple[str, ...] = ()
    """Metrics of the federation that speak of one hospital: no other hospital gets them."""

    def __init__(self, plan: Plan):
        self.plan = plan

    def summarise(self, contributions: Mapping[str, Contribution]) -> dict[str, float]:
        """The federation's metrics of one round: the mean of each metric over hospitals, `mean_<metric>`."""
        names = set().union(*(entry.metrics for entry in contributions.values()))
        return {
            f"mean_{name}": sum(values) / len(values)
            for name in sorted(names - {"n_test", "n_train"})
            if (values := [entry.metrics[name] for entry in contributions.values() if name in entry.metrics])
        }

    def blank(self, metric: str, contribution: Contribution) -> str:
        """Why a hospital has no number for a metric that others have."""
        return "could not be computed there"

    def scores(self, contributions: Mapping[str, Contribution]) -> dict[str, dict[str, list[float]]]:
        """Hospital -> the histograms of its test patients' scores, of a report that has them.

        `negative` and `positive`: patients without and with what is looked for, in equal parts of 0 to 1.
        """
        return {}

    def complete(self, history: list[Mapping[str, Any]], rounds_done: int, run_folder: Path) -> bool:
        """Whether the job did all it was asked: every round, and the one that measures where there is one."""
        if self.plan.measuring is None:
            return rounds_done >= self.plan.rounds
        return bool(history and history[-1]["round"] >= self.plan.measuring and history[-1]["sites"])

    def write_results(self, folder: Path, run_folder: Path, model: Mapping[str, Any]) -> set[str] | None:
        """Add files to results/ (`folder`); the hospitals that are in them, None where all are that answered.

        model.json: kind, features and weights of a model that is one array, and the script's settings.
        """
        if "kind" in self.plan.model:
            (weights,) = model.values()
            content = {**self.plan.model, "weights": weights.tolist(), **self.plan.settings}
            (folder / "global" / "model.json").write_text(json.dumps(content, indent=1) + "\n")
        return None

    def final_metrics(self, run_folder: Path) -> dict[str, dict[str, float]]:
        """Metrics known only at the end: `global` or a hospital -> name -> value, logged to MLflow."""
        return {}
