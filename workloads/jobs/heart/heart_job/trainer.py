"""A hospital's part: a few steps of gradient descent on its own patients, and what they say about the
model.
"""

import math
import os
from pathlib import Path
from typing import Any

import numpy as np
from nvflare.apis.dxo import DXO, DataKind, MetaKey, from_shareable
from nvflare.apis.event_type import EventType
from nvflare.apis.executor import Executor
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable
from nvflare.apis.signal import Signal
from nvflare.app_common.app_constant import AppConstants

from . import model

WEIGHTS = "numpy_key"
"""NVFlare's key of the one array of its numpy persistor."""


class HeartTrainer(Executor):  # type: ignore[misc]  # nvflare has no types
    """Answers each `train` task with the difference its steps make and with the metrics of the model it was
    given.

    In the round numbered `rounds` it only measures. The aggregate is weighted by training patients
    (NUM_STEPS_CURRENT_ROUND). `scaling` is feature -> [mean, standard deviation].
    """

    def __init__(self, rounds: int, steps: int, scaling: dict[str, list[float]]):
        super().__init__()
        self.rounds = rounds
        self.steps = steps
        self.scaling = scaling

    def handle_event(self, event_type: str, fl_ctx: FLContext) -> None:
        """Read the patients once, and fit the model this hospital would have alone."""
        if event_type == EventType.START_RUN:
            text = (Path(os.environ.get("FED_DATA", "/data")) / "heart.csv").read_text()
            self._patients = model.read_patients(text)
            shared = model.Scaling(
                mean={name: pair[0] for name, pair in self.scaling.items()},
                std={name: pair[1] for name, pair in self.scaling.items()},
            )
            self._features = model.design(self._patients, shared)
            self._own = own_only(self._patients)

    def execute(
        self, task_name: str, shareable: Shareable, fl_ctx: FLContext, abort_signal: Signal
    ) -> Shareable:
        """One round."""
        weights = np.asarray(from_shareable(shareable).data[WEIGHTS], dtype=float)
        train = ~self._patients.test
        trained = weights
        if int(shareable.get_header(AppConstants.CURRENT_ROUND)) < self.rounds:
            trained = model.descend(self._features[train], self._patients.labels[train], weights, self.steps)
        meta = {
            MetaKey.NUM_STEPS_CURRENT_ROUND: int(train.sum()),
            "patient_change": model.patient_change(int(train.sum()), self.steps),
            **self._measured(weights),
        }
        result: Shareable = DXO(DataKind.WEIGHT_DIFF, {WEIGHTS: trained - weights}, meta).to_shareable()
        return result

    def _measured(self, weights: model.Array) -> dict[str, Any]:
        test = self._patients.test
        labels = self._patients.labels[test]
        scores = model.predict(self._features[test], weights)
        metrics = {
            **model.evaluate(labels, scores),
            **{f"own_{name}": value for name, value in self._own.items()},
            "n_train": float((~test).sum()),
            "n_test": float(test.sum()),
            "prevalence": float(self._patients.labels.mean()),
        }
        return {
            # What cannot be computed (an AUC of one class) is left out: NaN would be no answer at all.
            MetaKey.INITIAL_METRICS: {name: value for name, value in metrics.items() if math.isfinite(value)},
            "score_histograms": {
                "healthy": model.score_histogram(labels, scores, 0),
                "ill": model.score_histogram(labels, scores, 1),
            },
        }


def own_only(patients: model.Patients) -> dict[str, float]:
    """AUC, accuracy and Brier score, on the test rows, of the best model the training rows alone allow."""
    features = model.design(patients, model.Scaling.of(patients))
    train, labels = ~patients.test, patients.labels
    weights = model.solve(features[train], labels[train])
    measured = model.evaluate(labels[~train], model.predict(features[~train], weights))
    return {name: measured[name] for name in ("auc", "accuracy", "brier")}
