"""The risk of patients by a finished model; MLflow loads it. Numpy only."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from . import model

INPUTS = (*model.NUMERIC, *model.BINARY, *model.CATEGORIES)


class HeartModel:
    """`weights` of shape (1 + features,), and the federation's scaling."""

    def __init__(self, weights: model.Array, scaling: model.Scaling):
        self._weights = weights
        self._scaling = scaling

    def predict(self, table: Any) -> model.Array:
        """Probability of disease, shape (rows,), of a table with the columns INPUTS; NaN where unknown."""
        columns = {name: np.asarray(table[name], dtype=np.float64) for name in INPUTS}
        rows = len(columns[INPUTS[0]])
        patients = model.Patients(columns, np.zeros(rows, dtype=bool))
        return model.predict(model.design(patients, self._scaling), self._weights)


def _load_pyfunc(folder: str) -> HeartModel:
    """What MLflow calls, with the model's folder."""
    content = json.loads((Path(folder) / "model.json").read_text())
    scaling = model.Scaling(
        mean={name: pair[0] for name, pair in content["scaling"].items()},
        std={name: pair[1] for name, pair in content["scaling"].items()},
    )
    return HeartModel(np.array(content["weights"]), scaling)
