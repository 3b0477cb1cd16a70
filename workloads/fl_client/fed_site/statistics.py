"""NVFlare's statistics of the hospital's own columns, counted by our code: no job brings any."""

from typing import Any

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
from nvflare.app_common.executors.statistics.statistics_executor import StatisticsExecutor
from nvflare.app_common.executors.statistics.statistics_task_handler import StatisticsTaskHandler

from fed_site.announced import manifest_of
from fed_site.patients import Array, OwnFiles, own_files


class OwnColumns(Statistics):  # type: ignore[misc]  # nvflare has no types
    """The numbers that NVFlare's handler asks for, of features that are columns here; the airlock counts what
    leaves again.

    `column` leaves missing values out (those of `indicators`, which are 0 or 1, count as 0), `column=value`
    and `column missing` are 0 or 1 for every patient.
    """

    def __init__(self, data_set: str, features: list[str], indicators: list[str], files: OwnFiles):
        self._data_set = data_set
        readings = {
            feature: files.reading(feature, missing_is_0=feature in indicators) for feature in features
        }
        self._values: dict[str, Array] = {
            feature: values for feature, values in readings.items() if values is not None and len(values) > 1
        }

    def features(self) -> dict[str, list[Feature]]:
        """One data set, all of the hospital's patients."""
        return {self._data_set: [Feature(name, DataType.FLOAT) for name in self._values]}

    def count(self, dataset_name: str, feature_name: str) -> int:
        """Values that are not missing."""
        return len(self._values[feature_name])

    def sum(self, dataset_name: str, feature_name: str) -> float:
        """Their sum."""
        return float(self._values[feature_name].sum())

    def stddev(self, dataset_name: str, feature_name: str) -> float:
        """Their standard deviation (n - 1)."""
        return float(self._values[feature_name].std(ddof=1))

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


class OwnStatisticsExecutor(StatisticsExecutor):  # type: ignore[misc]  # nvflare has no types
    """NVFlare's executor with our generator in place of one that a job brings."""

    def __init__(self, data_set: str, features: list[str], indicators: list[str]):
        super().__init__(generator_id="")
        self.data_set = data_set
        self.features = features
        self.indicators = indicators

    def get_task_handler(self, fl_ctx: FLContext) -> Any:
        """See TaskHandlerExecutor."""
        handler = StatisticsTaskHandler(self.generator_id, self.precision)
        files = own_files().of(manifest_of(fl_ctx).data)
        handler.stats_generator = OwnColumns(self.data_set, self.features, self.indicators, files)
        return handler
