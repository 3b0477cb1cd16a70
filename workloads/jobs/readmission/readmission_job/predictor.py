"""The risk of patients by a finished model; MLflow loads it. Numpy only."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from . import model


class ReadmissionModel:
    """`weights` of shape (model.SIZE,)."""

    def __init__(self, weights: model.Array):
        self._weights = weights

    def predict(self, table: Any) -> model.Array:
        """The chance of readmission or death within a year, shape (rows,), by a table's columns SCALES."""
        columns = {name: np.asarray(table[name], dtype=np.float64) for name in model.SCALES}
        return model.risk(model.design(columns), self._weights)


def _load_pyfunc(folder: str) -> ReadmissionModel:
    """What MLflow calls, with the model's folder."""
    return ReadmissionModel(np.array(json.loads((Path(folder) / "model.json").read_text())["weights"]))
