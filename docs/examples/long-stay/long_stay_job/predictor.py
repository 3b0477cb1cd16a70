"""The risk of a long stay by a finished model; MLflow loads it."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from .model import features


class LongStay:
    """`weights`: intercept and coefficients, shape (5,)."""

    def __init__(self, weights: np.ndarray):
        self._weights = weights

    def predict(self, table: Any) -> np.ndarray:
        """The chance of more than a week, shape (rows,), by a table's columns; NaN where unknown."""
        return 1 / (1 + np.exp(-(self._weights[0] + features(table) @ self._weights[1:])))


def _load_pyfunc(folder: str) -> LongStay:
    """What MLflow calls, with the model's folder."""
    return LongStay(np.array(json.loads((Path(folder) / "model.json").read_text())["weights"]))
