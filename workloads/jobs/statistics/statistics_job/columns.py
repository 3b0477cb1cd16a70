"""The features described, each with its histogram's cells: fixed, so that no minimum or maximum has to be
sent and two runs can be compared.
"""

from collections.abc import Mapping

NUMERIC: Mapping[str, tuple[int, float, float]] = {
    "age": (10, 20.0, 90.0),
    "trestbps": (10, 80.0, 210.0),
    "chol": (10, 80.0, 620.0),
    "thalch": (10, 60.0, 210.0),
    "oldpeak": (10, -3.0, 7.0),
    "ca": (4, -0.5, 3.5),
}
"""Column -> cells, lowest and highest value of its histogram."""
BINARY = ("sex", "fbs", "exang", "disease")
CATEGORIES: Mapping[str, tuple[int, ...]] = {
    "cp": (1, 2, 3),
    "restecg": (1, 2),
    "slope": (1, 2),
    "thal": (3, 6),
}
MAY_BE_MISSING = ("trestbps", "chol", "thalch", "oldpeak", "ca", "fbs", "exang", "restecg", "slope", "thal")

HISTOGRAMS: Mapping[str, dict[str, object]] = {
    **{name: {"bins": cells, "range": [low, high]} for name, (cells, low, high) in NUMERIC.items()},
    "*": {"bins": 2, "range": [-0.5, 1.5]},
}
"""NVFlare's histogram configuration; everything not numeric is an indicator, 0 or 1."""


FEATURES = (
    *NUMERIC,
    *BINARY,
    *(f"{name}={code}" for name, codes in CATEGORIES.items() for code in codes),
    *(f"{name} missing" for name in MAY_BE_MISSING),
)
