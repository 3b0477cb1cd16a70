"""NVFlare's statistics, counted again from the hospital's own columns. No NVFlare.

A job says which features it described; the numbers that leave are ours. So a feature that is no column of the
hospital's files (one for each patient, an indicator of one patient in other numbers) has no numbers at all.

Sums and deviations leave rounded, so that no patient shows in them: counts of an indicator to the nearest 5,
other sums to about what two standard deviations are, which costs a mean over 300 patients 0.01 deviations.
What left of a version of the data before is repeated (released.py).
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np

from fed_site.airlock import is_number, rounded
from fed_site.alone import alone_at
from fed_site.kept import Keep
from fed_site.patients import Array, OwnFiles
from fed_site.released import Release, Releases
from fed_site.small_cells import gives_away_few, hide

Cells = Sequence[tuple[float, float, int]]
"""A histogram: low, high, patients."""
Statistics = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""Statistic -> data set -> feature -> value, as NVFlare's statistics executor sends it."""
Place = tuple[str, str]
"""A file, and a way to read a column of it."""
Middles = Mapping[tuple[str, str], tuple[float, float]]
"""(data set, feature) -> mean and count over the federation, which NVFlare sends with its second question."""

_PRECISION = 4
"""Decimals of NVFlare's statistics executor."""
_DIGITS = 3
"""Significant digits of a deviation."""
_COUNTS_TO = 5
"""Patients who have something are given to the nearest 5, as on the dashboards."""
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
    changed: int = 10
    """Data that differ by fewer rows from a version of which something left get that version's answers."""


@final
class OwnStatistics:
    """Counts what one job describes. Remembers which feature is which column: NVFlare asks in two steps."""

    def __init__(self, files: OwnFiles, limits: StatisticsLimits, ledger: Path, keep: Keep):
        """`ledger` is the file in which is remembered what left; `keep` returns when it is safe."""
        self._keep = keep
        self._files = files
        self._limits = limits
        self._ledger = ledger
        self._known: dict[tuple[str, str], _Reading] = {}

    def features(self) -> dict[str, list[str]]:
        """Data set -> features that are columns of the hospital's, in the order in which they were met."""
        found: dict[str, list[str]] = {}
        for data_set, feature in self._known:
            found.setdefault(data_set, []).append(feature)
        return found

    def counted(self, claimed: Statistics, middles: Middles) -> dict[str, dict[str, dict[str, Any]]]:
        """The statistics that may leave, in the form of those that the job claims; histograms as `Cells`.

        Raises ValueError or OSError where the ledger cannot be read, written or kept: then nothing leaves.
        """
        self._meet(claimed)
        with alone_at(self._ledger):
            releases = Releases(self._ledger, self._limits.changed)
            # Of each reading alone: changes of another one are no reason to answer again.
            known = {
                (reading.file, reading.name): self._release(releases, reading)
                for reading in self._known.values()
            }
            answers = self._answers(claimed, middles, known)
            releases.save()
            self._keep(self._ledger)
            return answers

    def _release(self, releases: Releases, reading: "_Reading") -> Release:
        values = map(repr, reading.values.tolist())
        return releases.of(reading.file, reading.name, values, lambda: self._files.rows(reading.file))

    def _answers(
        self, claimed: Statistics, middles: Middles, known: Mapping[Place, Release]
    ) -> dict[str, dict[str, dict[str, Any]]]:
        return {
            statistic: {
                data_set: {
                    feature: value
                    for feature, claim in features.items()
                    if (value := self._value(statistic, (data_set, feature), claim, middles, known))
                    is not None
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
                if meant := self._meant(feature, count, total):
                    self._known[data_set, feature] = meant

    def _meant(self, feature: str, count: Any, total: float) -> "_Reading | None":
        """The reading with that many values and that sum."""
        for file, ways in self._files.readings(feature):
            for number, values in enumerate(ways):
                if len(values) == count and math.isclose(values.sum(), total, rel_tol=1e-4, abs_tol=0.1):
                    return _Reading(file, f"{feature} {number}", values)
        return None

    @staticmethod
    def _claimed_total(claimed: Statistics, data_set: str, feature: str, count: Any) -> float | None:
        total = claimed.get("sum", {}).get(data_set, {}).get(feature)
        mean = claimed.get("mean", {}).get(data_set, {}).get(feature)
        if is_number(total):
            return float(total)
        return float(mean) * count if is_number(mean) and is_number(count) else None

    def _value(
        self,
        statistic: str,
        key: tuple[str, str],
        claim: Any,
        middles: Middles,
        known: Mapping[Place, Release],
    ) -> Any:
        reading = self._known.get(key)
        if reading is None or self._few(reading.values):
            return None
        release = known[reading.file, reading.name]
        if statistic == "histogram":
            return self._histogram(reading, claim, release)
        if statistic == "var":
            return self._share(reading, middles.get(key), release)
        return self._counted(reading, statistic, release)

    def _counted(self, reading: "_Reading", statistic: str, release: Release) -> Any:
        values = reading.values
        return release.answer(f"{statistic} of {reading.name}", lambda: _COUNTED[statistic](values))

    def _share(
        self, reading: "_Reading", middle: tuple[float, float] | None, release: Release
    ) -> float | None:
        """This hospital's share of the federation's variance: from what left of it, so it says no more."""
        known = [self._counted(reading, name, release) for name in ("count", "mean", "stddev")]
        if middle is None or None in known:
            return None
        (count, mean, deviation), (whole, everybody) = known, middle
        squares = (count - 1) * deviation**2 + count * (mean - whole) ** 2
        return float(rounded(np.array(squares / max(everybody - 1, 1)), _DIGITS))

    def _few(self, values: Array) -> bool:
        few = len(values) < self._limits.min_count
        return few or gives_away_few(len(values), float(values.sum()), self._limits.min_cell)

    def _histogram(self, reading: "_Reading", claim: Cells, release: Release) -> Cells | None:
        """Cells of equal width over the claimed range; values outside count in the first or last one."""
        cells, values = len(claim), reading.values
        if not cells or cells * self._limits.patients_a_cell > len(values):
            return None
        low, high = (float(rounded(np.array(edge), 4)) for edge in (claim[0][0], claim[-1][1]))
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            return None

        def count() -> list[int]:
            counts, _ = np.histogram(np.clip(values, low, high), bins=cells, range=(low, high))
            return hide([int(number) for number in counts], self._limits.min_cell)

        shown = release.answer(f"histogram of {reading.name}", count, detail=[low, high, cells])
        if shown is None:
            return None
        edges = np.linspace(low, high, cells + 1)
        return [
            (float(a), float(b), number) for a, b, number in zip(edges[:-1], edges[1:], shown, strict=True)
        ]


@final
@dataclass(frozen=True)
class _Reading:
    """A way to read a column of a file, and its values."""

    file: str
    name: str
    values: Array


def _sum(values: Array) -> float:
    """The sum, so coarse that one patient more or less does not show."""
    total = float(values.sum())
    if np.isin(values, (0.0, 1.0)).all():
        return float(min(_COUNTS_TO * round(total / _COUNTS_TO), len(values)))
    step = _step(2 * float(values.std()))
    return round(step * round(total / step), _PRECISION) if step else round(total, _PRECISION)


def _step(least: float) -> float:
    """The smallest of 1, 2 and 5 times a power of ten that is at least so much; 0 for nothing."""
    if least <= 0:
        return 0.0
    power = 10.0 ** math.floor(math.log10(least))
    return next(power * digit for digit in (1, 2, 5, 10) if power * digit >= least * (1 - 1e-9))


def _mean(values: Array) -> float:
    return round(_sum(values) / len(values), _PRECISION)


def _deviation(values: Array) -> float:
    return float(rounded(np.array(values.std(ddof=1)), _DIGITS))


def _outward(value: float, direction: int) -> float:
    """The next number of one significant digit at or below (-1) or above (1) a value."""
    if value == 0:
        return 0.0
    step = 10.0 ** math.floor(math.log10(abs(value)))
    return float((math.floor if direction < 0 else math.ceil)(value / step) * step)


_COUNTED: dict[str, Callable[[Array], float]] = {
    "count": len,
    "failure_count": lambda values: 0,
    "sum": _sum,
    "mean": _mean,
    "stddev": _deviation,
    "min": lambda values: _outward(float(values.min()), -1),
    "max": lambda values: _outward(float(values.max()), 1),
}
"""Statistic -> how it is counted. Quantiles are not among them: they never leave."""
