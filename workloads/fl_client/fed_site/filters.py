"""The hospital's own filters, named in its privacy.json: they run on every result of any job."""

import math
from typing import Any

from nvflare.apis.dxo import DXO, DataKind, MetaKey
from nvflare.apis.dxo_filter import DXOFilter
from nvflare.apis.fl_component import FLComponent
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable
from nvflare.app_common.abstract.statistics_spec import Bin, Histogram, HistogramType
from nvflare.app_common.app_constant import StatisticsConstants
from nvflare.app_common.statistics.statistics_privacy_cleanser import StatisticsPrivacyCleanser

from fed_site.small_cells import gives_away_few, hide, spread

Statistics = dict[str, dict[str, dict[str, Any]]]
"""Statistic -> data set -> feature -> value, as NVFlare's statistics executor sends it."""

HISTOGRAMS_KEY = "score_histograms"
"""Meta key under which a job may send `{name: [counts]}` beside its weights."""


class ContentRefusedError(ValueError):
    """A result that this hospital's policy does not let out."""


class SmallCells(FLComponent, StatisticsPrivacyCleanser):  # type: ignore[misc]  # nvflare has no types
    """Removes, from statistics, every feature and histogram cell that few patients stand behind.

    A feature of fewer than `min_count` values goes entirely, its count included (NVFlare's own cleanser
    leaves the count, and its global mean is then wrong). So does one whose sum counts fewer than `min_cell`
    patients on one side. Histogram cells below `min_cell` become 0.
    """

    def __init__(self, min_count: int = 10, min_cell: int = 5):
        super().__init__()
        self.min_count = min_count
        self.min_cell = min_cell
        self._withheld: set[tuple[str, str]] = set()

    def apply(self, statistics: Statistics, client_name: str) -> tuple[Statistics, bool]:
        """The statistics that may leave, and True: they always replace the original."""
        self._withheld |= self._few(statistics)
        for data_sets in statistics.values():
            for data_set, features in data_sets.items():
                for feature in [name for name in features if (data_set, name) in self._withheld]:
                    del features[feature]
        for features in statistics.get(StatisticsConstants.STATS_HISTOGRAM, {}).values():
            for feature, histogram in features.items():
                features[feature] = self._hidden(histogram)
        return statistics, True

    def _few(self, statistics: Statistics) -> set[tuple[str, str]]:
        few = set()
        sums = statistics.get(StatisticsConstants.STATS_SUM, {})
        for data_set, features in statistics[StatisticsConstants.STATS_COUNT].items():
            for feature, count in features.items():
                total = sums.get(data_set, {}).get(feature)
                if count < self.min_count or (
                    total is not None and gives_away_few(count, total, self.min_cell)
                ):
                    few.add((data_set, feature))
        return few

    def _hidden(self, histogram: Histogram) -> Histogram:
        counts = hide([cell.sample_count for cell in histogram.bins], self.min_cell)
        cells = [
            Bin(cell.low_value, cell.high_value, count)
            for cell, count in zip(histogram.bins, counts, strict=True)
        ]
        return Histogram(HistogramType.STANDARD, cells, histogram.hist_name)


class TrainingResults(DXOFilter):  # type: ignore[misc]  # nvflare has no types
    """Lets out differences of weights, single numbers and histograms without small cells; nothing else.

    Full weights are refused: the filters after this one are made for differences and would silently ruin
    the model.
    """

    def __init__(self, min_cell: int = 5):
        kinds = [DataKind.WEIGHTS, DataKind.WEIGHT_DIFF, DataKind.METRICS]
        super().__init__(supported_data_kinds=kinds, data_kinds_to_filter=kinds)
        self.min_cell = min_cell

    def process_dxo(self, dxo: DXO, shareable: Shareable, fl_ctx: FLContext) -> DXO:
        """The result with its metadata reduced. Raises ContentRefusedError for full weights."""
        if dxo.data_kind == DataKind.WEIGHTS:
            raise ContentRefusedError(
                "this hospital lets out differences of weights only: have the job send WEIGHT_DIFF"
                " (params_transfer_type=TransferType.DIFF)"
            )
        kept = {key: value for key, value in dxo.meta.items() if self._may_leave(key, value)}
        if histograms := dxo.meta.get(HISTOGRAMS_KEY):
            kept[HISTOGRAMS_KEY] = {
                str(name): spread([float(count) for count in counts], self.min_cell)
                for name, counts in histograms.items()
            }
        dxo.meta = kept
        return dxo

    @staticmethod
    def _may_leave(key: str, value: Any) -> bool:
        if key == MetaKey.FILTER_HISTORY or isinstance(value, str | bool):
            return True
        if isinstance(value, dict):
            return key != HISTOGRAMS_KEY and all(_is_number(entry) for entry in value.values())
        return _is_number(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
