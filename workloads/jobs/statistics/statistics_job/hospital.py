"""A hospital's part: the numbers NVFlare's statistics executor asks for. The hospital's policy filters them
after.
"""

import csv
import io
import os
from pathlib import Path

import numpy as np
from nvflare.apis.fl_context import FLContext
from nvflare.app_common.abstract.statistics_spec import (
    Bin,
    DataType,
    Feature,
    Histogram,
    HistogramType,
    Statistics,
)

from .columns import BINARY, CATEGORIES, NUMERIC, Array, features

DATA_SET = "patients"


class HeartStatistics(Statistics):  # type: ignore[misc]  # nvflare has no types
    """Counts leave missing values out: a mean over "all rows" would be wrong."""

    def initialize(self, fl_ctx: FLContext) -> None:
        """Read this hospital's patients."""
        text = (Path(os.environ.get("FED_DATA", "/data")) / "heart.csv").read_text()
        rows = list(csv.DictReader(io.StringIO(text)))
        names = (*NUMERIC, *BINARY, *CATEGORIES)
        self._values = features(
            {name: np.array([float(row[name] or "nan") for row in rows]) for name in names}
        )

    def features(self) -> dict[str, list[Feature]]:
        """One data set, all of the hospital's patients."""
        return {DATA_SET: [Feature(name, DataType.FLOAT) for name in self._values]}

    def count(self, dataset_name: str, feature_name: str) -> int:
        """Values that are not missing."""
        return len(self._values[feature_name])

    def sum(self, dataset_name: str, feature_name: str) -> float:
        """Their sum."""
        return float(self._values[feature_name].sum())

    def stddev(self, dataset_name: str, feature_name: str) -> float:
        """Their standard deviation (n - 1)."""
        return _deviation(self._values[feature_name])

    def variance_with_mean(
        self, dataset_name: str, feature_name: str, global_mean: float, global_count: float
    ) -> float:
        """This hospital's share of the variance around NVFlare's global mean."""
        return float(((self._values[feature_name] - global_mean) ** 2).sum() / max(global_count - 1, 1))

    def histogram(
        self,
        dataset_name: str,
        feature_name: str,
        num_of_bins: int,
        global_min_value: float,
        global_max_value: float,
    ) -> Histogram:
        """Values in equally wide cells; those outside the range count in the first or last cell."""
        inside = np.clip(self._values[feature_name], global_min_value, global_max_value)
        counts, edges = np.histogram(inside, bins=num_of_bins, range=(global_min_value, global_max_value))
        cells = [
            Bin(float(low), float(high), int(count))
            for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True)
        ]
        return Histogram(HistogramType.STANDARD, cells)


def _deviation(values: Array) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else 0.0
