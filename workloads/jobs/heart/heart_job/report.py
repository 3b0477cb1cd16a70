"""The centre's part: tracks the run and writes the model in a readable form."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from fed_server.contribution import Contribution
from fed_server.mlflow_model import Predictor
from fed_server.tracking import RunTracker

from .model import FEATURES, SCORE_BINS
from .predictor import EXAMPLE, INPUTS, OUTPUT
from .summary import summarise_round


class HeartReport(RunTracker):
    """Adds model.json and the metrics (summary.py) that the gates of job.yaml name."""

    centre_alone = ("worst_site_auc_gain",)
    predictor = Predictor(
        module="predictor",
        uses=("model",),
        inputs=INPUTS,
        output=OUTPUT,
        example=EXAMPLE,
    )
    needed_metrics = ("n_test", "n_train")
    histogram_cells = MappingProxyType({"healthy": SCORE_BINS, "ill": SCORE_BINS})

    def __init__(self, request: dict[str, Any], scaling: dict[str, list[float]]):
        super().__init__(request)
        self.scaling = scaling

    def complete(self, run_folder: Path) -> bool:
        """Complete once the final model was measured: in the round numbered `rounds`."""
        history = self._progress["history"]
        return bool(history and history[-1]["round"] >= self.request["rounds"] and history[-1]["sites"])

    def summarise(self, contributions: Mapping[str, Contribution]) -> dict[str, float]:
        """See `summarise_round`."""
        return summarise_round(contributions)

    def blank(self, metric: str, contribution: Contribution) -> str:
        """An AUC needs both classes; histograms of fewer than the hospital's smallest cell arrive empty."""
        absent = [name for name, counts in sorted(contribution.histograms.items()) if not sum(counts)]
        named = " and ".join(absent)
        return (
            f"no {named} test patients, or too few to be shown"
            if named
            else super().blank(metric, contribution)
        )

    def write_results(self, folder: Path, run_folder: Path) -> None:
        """results/global/model.json: features, coefficients, scaling."""
        weights = np.load(folder / "global" / "model.npy")
        content = {
            "kind": "logistic regression",
            "features": ["intercept", *FEATURES],
            "weights": [float(weight) for weight in weights],
            "scaling": self.scaling,
        }
        (folder / "global" / "model.json").write_text(json.dumps(content, indent=1) + "\n")
