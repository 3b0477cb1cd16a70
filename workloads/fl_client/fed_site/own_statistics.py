"""NVFlare's statistics, counted again from the hospital's own columns. No NVFlare.

A job says which features it described; the numbers that leave are ours. So a feature that is no column of the
hospital's files (one for each patient, an indicator of one patient in other numbers) has no numbers at all.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from fed_site.airlock import is_number, rounded
from fed_site.patients import Array, OwnFiles
from fed_site.small_cells import gives_away_few, hide

Cells = Sequence[tuple[float, float, int]]
"""A histogram: low, high, patients."""
Statistics = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""Statistic -> data set -> feature -> value, as NVFlare's statistics executor sends it."""
Middles = Mapping[tuple[str, str], tuple[float, float]]
"""(data set, feature) -> mean and count over the federation, which NVFlare sends with its second question."""

_PRECISION = 4
"""Decimals of NVFlare's statistics executor."""
_DATA_SET = re.compile(r"[a-z][a-z0-9_-]{0,30}")
_MOST_DATA_SETS = 3


@final
@dataclass(frozen=True, kw_only=True)
class StatisticsLimits:
    """How small numbers of patients are kept out of statistics."""

    min_count: int = 10
    """A feature of fewer values is withheld, its count as well: NVFlare's own cleanser leaves the count, and
    its global mean is then wrong.
    """
    min_cell: int = 5
    """A sum that counts fewer patients on one side is withheld; so are smaller cells of histograms."""
    patients_a_cell: int = 10
    """A histogram has at most one cell for so many patients."""


@final
class OwnStatistics:
    """Counts what one job describes. Remembers which feature is which column: NVFlare asks in two steps."""

    def __init__(self, files: OwnFiles, limits: StatisticsLimits):
        self._files = files
        self._limits = limits
        self._known: dict[tuple[str, str], Array] = {}

    def features(self) -> dict[str, list[str]]:
        """Data set -> features that are columns of the hospital's, in the order in which they were met."""
        found: dict[str, list[str]] = {}
        for data_set, feature in self._known:
            found.setdefault(data_set, []).append(feature)
        return found

    def counted(self, claimed: Statistics, middles: Middles) -> dict[str, dict[str, dict[str, Any]]]:
        """The statistics that may leave, in the form of those that the job claims; histograms as `Cells`."""
        self._meet(claimed)
        return {
            statistic: {
                data_set: {
                    feature: value
                    for feature, claim in features.items()
                    if (value := self._value(statistic, (data_set, feature), claim, middles)) is not None
                }
                for data_set, features in data_sets.items()
                if self._usable(data_set)
            }
            for statistic, data_sets in claimed.items()
            if statistic in _COUNTED or statistic in ("histogram", "var")
        }

    def _usable(self, data_set: str) -> bool:
        met = {name for name, _ in self._known}
        return bool(_DATA_SET.fullmatch(data_set)) and (data_set in met or len(met) < _MOST_DATA_SETS)

    def _meet(self, claimed: Statistics) -> None:
        for data_set, counts in claimed.get("count", {}).items():
            for feature, count in counts.items():
                total = self._claimed_total(claimed, data_set, feature, count)
                if total is None or (data_set, feature) in self._known or not self._usable(data_set):
                    continue
                for values in self._files.readings(feature):
                    if len(values) == count and math.isclose(values.sum(), total, rel_tol=1e-4, abs_tol=0.1):
                        self._known[data_set, feature] = values
                        break

    @staticmethod
    def _claimed_total(claimed: Statistics, data_set: str, feature: str, count: Any) -> float | None:
        total = claimed.get("sum", {}).get(data_set, {}).get(feature)
        mean = claimed.get("mean", {}).get(data_set, {}).get(feature)
        if is_number(total):
            return float(total)
        return float(mean) * count if is_number(mean) and is_number(count) else None

    def _value(self, statistic: str, key: tuple[str, str], claim: Any, middles: Middles) -> Any:
        values = self._known.get(key)
        if values is None or self._few(values):
            return None
        if statistic == "histogram":
            return self._histogram(values, claim)
        return _share(values, middles.get(key)) if statistic == "var" else _COUNTED[statistic](values)

    def _few(self, values: Array) -> bool:
        few = len(values) < self._limits.min_count
        return few or gives_away_few(len(values), float(values.sum()), self._limits.min_cell)

    def _histogram(self, values: Array, claim: Cells) -> Cells | None:
        """Cells of equal width over the claimed range; values outside count in the first or last one."""
        cells = len(claim)
        if not cells or cells * self._limits.patients_a_cell > len(values):
            return None
        low, high = (float(rounded(np.array(edge), 4)) for edge in (claim[0][0], claim[-1][1]))
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            return None
        counts, edges = np.histogram(np.clip(values, low, high), bins=cells, range=(low, high))
        shown = hide([int(count) for count in counts], self._limits.min_cell)
        return [(float(a), float(b), count) for a, b, count in zip(edges[:-1], edges[1:], shown, strict=True)]


def _share(values: Array, middle: tuple[float, float] | None) -> float | None:
    """This hospital's share of the federation's variance."""
    if middle is None:
        return None
    mean, count = middle
    return round(float(((values - mean) ** 2).sum()) / max(count - 1, 1), _PRECISION)


def _outward(value: float, direction: int) -> float:
    """The next number of one significant digit at or below (-1) or above (1) a value."""
    if value == 0:
        return 0.0
    step = 10.0 ** math.floor(math.log10(abs(value)))
    return float((math.floor if direction < 0 else math.ceil)(value / step) * step)


_COUNTED = {
    "count": len,
    "failure_count": lambda values: 0,
    "sum": lambda values: round(float(values.sum()), _PRECISION),
    "mean": lambda values: round(float(values.mean()), _PRECISION),
    "stddev": lambda values: round(float(values.std(ddof=1)), _PRECISION),
    "min": lambda values: _outward(float(values.min()), -1),
    "max": lambda values: _outward(float(values.max()), 1),
}
"""Statistic -> how it is counted. Quantiles are not among them: they never leave."""
