"""What training and prediction share: the features of a patient."""

from typing import Any

import numpy as np

SCALES = {"age": (65.0, 13.0), "sex": (0.5, 0.5), "emergency": (0.4, 0.5), "albumin": (38.0, 5.0)}
"""Column -> its middle and spread, as a clinician would guess them: the same at every hospital."""


def features(table: Any) -> np.ndarray:
    """Of a table with the columns SCALES, shape (rows, 4): scaled, and 0 where unknown."""
    return np.column_stack(
        [
            np.nan_to_num((np.asarray(table[name], dtype=float) - middle) / spread)
            for name, (middle, spread) in SCALES.items()
        ]
    )
