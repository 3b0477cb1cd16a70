"""One hospital's statistics as it published them -> what others may see of them.

A column of the hospital's table is judged as a whole: its categories, the patients without a value and the
rest add up to all patients. A run that differs from an earlier one by few patients repeats what that showed.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeGuard

from . import policy as rules
from .features import Cell, Described, Feature, Value, hidden, hidden_cells, repeated_cells
from .policy import Policy, rounded

Published = Mapping[str, Mapping[str, Any]]
"""Feature -> `count`, `sum`, `stddev`, `histogram` ([low, high, patients] each); absent: withheld."""

SHARE_DECIMALS = 3


@dataclass(frozen=True, slots=True)
class Column:
    """How one column of a hospital divides its patients. `counts`: indicators, and those without a value."""

    everyone: float
    counts: Mapping[str, float]
    values: tuple[float, ...]
    """Sums and deviations of its numbers."""

    @property
    def rest(self) -> float:
        """Patients in none of `counts`."""
        return self.everyone - sum(self.counts.values())

    @property
    def table(self) -> tuple[float, ...]:
        """For comparison with another run: all patients, then the parts."""
        return (self.everyone, *self.counts.values(), self.rest)


class HospitalStatistics:
    """Judges the runs of one hospital in their order, and remembers what it let be seen."""

    def __init__(self, policy: Policy):
        self._policy = policy
        self._columns: dict[str, list[tuple[Column, dict[str, tuple[Feature, Described]]]]] = {}
        self._histograms: dict[str, list[tuple[Feature, tuple[float, ...], tuple[Cell, ...]]]] = {}

    def judge(self, features: Sequence[Feature], published: Published) -> dict[str, Described]:
        """Feature -> what is shown of it."""
        found: dict[str, Described] = {}
        for name in dict.fromkeys(feature.column for feature in features):
            members = [feature for feature in features if feature.column == name]
            found |= self._column(name, members, published)
        return found

    def _column(self, name: str, features: list[Feature], published: Published) -> dict[str, Described]:
        column = column_of(features, published)
        earlier = self._columns.setdefault(name, [])
        for before, seen in earlier:
            if before == column:
                return _again(features, seen)
        if any(self._too_close(column, before) for before, _ in earlier):
            return {key: one.repeated() for key, one in _again(features, earlier[-1][1]).items()}
        reasons = rules.hide(column.counts, column.rest, self._policy)
        shown = {one.key: self._described(one, published.get(one.key), column, reasons) for one in features}
        earlier.append((column, {one.key: (one, shown[one.key]) for one in features}))
        return shown

    def _too_close(self, now: Column, before: Column) -> bool:
        same_patients = now.table == before.table and set(now.counts) == set(before.counts)
        return same_patients or rules.changed_too_little(now.table, before.table, self._policy)

    def _described(
        self, feature: Feature, entry: Mapping[str, Any] | None, column: Column, reasons: Mapping[str, str]
    ) -> Described:
        missing = _missing(feature, column, reasons)
        if not is_whole(entry):
            return hidden(feature, rules.WITHHELD, missing)
        if self._policy.small(entry["count"]):
            return hidden(feature, rules.FEW, missing)
        if feature.kind == "indicator":
            if feature.key in reasons:
                return hidden(feature, reasons[feature.key], missing)
            return _indicator(entry, missing)
        count = rounded(entry["count"])
        statistics = {
            "count": Value(count),
            "mean": Value(round(entry["sum"] / entry["count"], feature.decimals)),
            "stddev": Value(round(entry["stddev"], feature.decimals)),
            "missing": missing,
        }
        return Described(statistics, self._histogram(feature, entry, count))

    def _histogram(self, feature: Feature, entry: Mapping[str, Any], base: int) -> tuple[Cell, ...]:
        if "histogram" not in entry:
            return hidden_cells(feature, rules.WITHHELD)
        counts = [float(count) for _, _, count in entry["histogram"]]
        table = (entry["count"], *counts)
        earlier = self._histograms.setdefault(feature.key, [])
        for described, before, shown in earlier:
            if before == table and described.grid == feature.grid:
                return shown
        if any(described.grid != feature.grid for described, _, _ in earlier):
            # The same patients in other cells: where two grids differ, a few patients stand alone.
            return hidden_cells(feature, rules.CHANGED)
        if any(rules.changed_too_little(table, before, self._policy) for _, before, _ in earlier):
            return repeated_cells(earlier[-1][2])
        shown = _cells(feature, counts, entry["count"], base, self._policy)
        earlier.append((feature, table, shown))
        return shown


def _again(
    features: Sequence[Feature], shown: Mapping[str, tuple[Feature, Described]]
) -> dict[str, Described]:
    """What was shown before, of features as a later job describes them: nothing of new ones or new cells."""
    found = {}
    for feature in features:
        before, described = shown.get(feature.key, (feature, hidden(feature, rules.CHANGED)))
        same = before.grid == feature.grid
        found[feature.key] = (
            described if same else replace(described, cells=hidden_cells(feature, rules.CHANGED))
        )
    return found


def column_of(features: Sequence[Feature], published: Published) -> Column:
    """One column of a hospital in one run."""
    everyone = max((entry["count"] for entry in published.values() if "count" in entry), default=0.0)
    counts: dict[str, float] = {}
    values: list[float] = []
    for feature in features:
        entry = published.get(feature.key)
        if not is_whole(entry):
            continue
        if feature.kind == "indicator":
            counts[feature.key] = entry["sum"]
        else:
            counts[feature.missing] = everyone - entry["count"]
            values += [entry["sum"], entry["stddev"]]
    if is_whole(flag := published.get(features[0].missing)):
        counts[features[0].missing] = flag["sum"]
    return Column(everyone, counts, tuple(values))


def own(features: Sequence[Feature], published: Published) -> dict[str, Described]:
    """What a hospital sees of itself: what it published, as it is."""
    found = {}
    for feature in features:
        entry = published.get(feature.key)
        column = column_of([feature], published)
        missing = _missing(feature, column, {}, exact=True)
        if not is_whole(entry):
            found[feature.key] = hidden(feature, rules.WITHHELD, missing)
            continue
        statistics = {
            "count": Value(entry["count"]),
            "mean": Value(entry["sum"] / entry["count"]),
            "stddev": Value(entry["stddev"]),
            "missing": missing,
        }
        cells = hidden_cells(feature, rules.WITHHELD)
        if "histogram" in entry:
            counts = [float(count) for _, _, count in entry["histogram"]]
            cells = _own_cells(counts, entry["count"])
        found[feature.key] = Described(statistics, cells)
    return found


def is_whole(entry: Mapping[str, Any] | None) -> TypeGuard[Mapping[str, Any]]:
    """Whether count, sum and deviation of a feature were published."""
    return entry is not None and {"count", "sum", "stddev"} <= set(entry) and entry["count"] > 0


def _missing(feature: Feature, column: Column, reasons: Mapping[str, str], exact: bool = False) -> Value:
    if not feature.may_be_missing:
        return Value(0.0)
    if feature.missing not in column.counts:
        return Value(None, rules.WITHHELD)
    if feature.missing in reasons:
        return Value(None, reasons[feature.missing])
    count, everyone = column.counts[feature.missing], column.everyone
    return Value(count / everyone if exact else _share(rounded(count), rounded(everyone)))


def _indicator(entry: Mapping[str, Any], missing: Value) -> Described:
    """From rounded counts alone: a share to more digits would tell the count itself."""
    count, positive = rounded(entry["count"]), rounded(entry["sum"])
    share = _share(positive, count)
    deviation = math.sqrt(share * (1 - share) * count / (count - 1))
    statistics = {
        "count": Value(count),
        "mean": Value(share),
        "stddev": Value(round(deviation, SHARE_DECIMALS)),
        "missing": missing,
    }
    cells = tuple(Cell(Value(part), _share(part, count)) for part in (count - positive, positive))
    return Described(statistics, cells)


def _cells(
    feature: Feature, counts: list[float], total: float, base: int, policy: Policy
) -> tuple[Cell, ...]:
    """Cells of a number. Where the hospital hid some, an empty cell may be one of those."""
    rest = total - sum(counts)
    known = {str(cell): count for cell, count in enumerate(counts) if count or not rest}
    reasons = rules.hide(known, rest, policy)
    if feature.whole and (reasons or rest):
        # Mean and deviation are two more equations over these cells: with few of them hidden they solve it.
        return hidden_cells(feature, rules.COMPLEMENT)
    return tuple(
        Cell(Value(None, rules.WITHHELD))
        if str(cell) not in known
        else Cell(Value(None, reasons[str(cell)]))
        if str(cell) in reasons
        else Cell(Value(rounded(count)), _share(rounded(count), base))
        for cell, count in enumerate(counts)
    )


def _own_cells(counts: list[float], total: float) -> tuple[Cell, ...]:
    rest = total - sum(counts)
    return tuple(
        Cell(Value(count), count / total) if count or not rest else Cell(Value(None, rules.WITHHELD))
        for count in counts
    )


def _share(part: float, whole: float) -> float:
    return round(part / whole, SHARE_DECIMALS) if whole else 0.0
