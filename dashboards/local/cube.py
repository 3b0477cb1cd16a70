"""Curated tables joined and filtered, and the measures over them, meaning what they mean in Power BI.

A measure of a fact shows one value or nothing: where several different rows are in sight there is no number,
because a total over withheld values must not exist.
"""

import io
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from workloads.curation import policy as rules
from workloads.curation.schema import FEDERATION, TABLES

Row = Mapping[str, Any]
"""`table.column` -> value, with the dimensions' columns next to the fact's."""


@dataclass(frozen=True, slots=True)
class Number:
    """What a measure shows: a number, a moment, or nothing and why.

    `unsure`: a difference that may be none, as far as its 95 % interval tells.
    """

    value: float | datetime | None = None
    reason: str = ""
    unsure: bool = False


class TablesError(ValueError):
    """Something that is no set of curated tables."""


class Cube:
    """The tables of one party."""

    def __init__(self, files: Mapping[str, bytes]):
        """From Parquet files by table. Raises TablesError where one is missing or has other columns."""
        if missing := sorted(set(TABLES) - set(files)):
            raise TablesError(f"there is no {', '.join(missing)}")
        tables: dict[str, list[dict[str, Any]]] = {}
        for name, table in TABLES.items():
            try:
                tables[name] = pq.read_table(io.BytesIO(files[name])).to_pylist()
            except pa.ArrowInvalid as broken:
                raise TablesError(f"{name} is no Parquet file: {broken}") from broken
            columns = {column.name for column in table.columns}
            if tables[name] and set(tables[name][0]) != columns:
                raise TablesError(f"{name} has other columns than this version's: {sorted(tables[name][0])}")
        self._tables = tables
        self.rows: dict[str, list[Row]] = {name: list(self._joined(name)) for name in TABLES}
        self.k = max((row["smallest_cell"] for row in tables["dim_run"]), default=0)
        self._federation = {
            (row["run_key"], row["feature_key"], row["statistic"]): row["value"]
            for row in tables["fact_statistics"]
            if row["site_key"] == FEDERATION
        }

    def measure(self, name: str, rows: Sequence[Row]) -> Number:
        """One measure over rows of its table. Raises KeyError for a name that pages.yaml does not have."""
        return MEASURES[name](self, rows)

    def federation(self, row: Row, statistic: str) -> float | None:
        """Return the federation's statistic of the same run and feature."""
        key = (row["fact_statistics.run_key"], row["fact_statistics.feature_key"], statistic)
        return self._federation.get(key)

    def _joined(self, name: str) -> Iterable[Row]:
        table = TABLES[name]
        dimensions = {
            column: {row[column]: row for row in self._tables[dimension]}
            for column, dimension in table.refers_to.items()
        }
        for row in self._tables[name]:
            found = {f"{name}.{column}": value for column, value in row.items()}
            for column, dimension in table.refers_to.items():
                referred = dimensions[column].get(row[column])
                if referred is None:
                    raise TablesError(f"{name}: {row[column]} is not in {dimension}")
                found |= {f"{dimension}.{key}": value for key, value in referred.items()}
            yield found


FILTERS: Mapping[str, Callable[[Row], bool]] = {
    "latest": lambda row: bool(row.get("dim_run.is_latest", True)),
    "final": lambda row: bool(row.get("fact_metric.is_final", True)),
    "roc": lambda row: row["fact_curve.curve"] == "roc",
    "calibration": lambda row: row["fact_curve.curve"] == "calibration",
    "federation": lambda row: row.get("dim_site.kind") == "federation",
    "hospitals": lambda row: row.get("dim_site.kind") == "hospital",
    "own": lambda row: bool(row.get("dim_site.is_own")),
}
"""The words of `where` in pages.yaml."""

Measure = Callable[[Cube, Sequence[Row]], Number]


def _selected(values: Sequence[float | None], reasons: Sequence[str]) -> Number:
    """Return the one value in sight, as SELECTEDVALUE has it; else nothing, with the one reason in sight."""
    if len(set(values)) == 1 and values[0] is not None:
        return Number(values[0], reasons[0] if len(set(reasons)) == 1 else "")
    return Number(None, reasons[0] if values and len(set(reasons)) == 1 else "")


def _of(table: str, kind: str, *names: str, column: str = "value") -> Measure:
    def measure(cube: Cube, rows: Sequence[Row]) -> Number:
        chosen = [row for row in rows if row[f"{table}.{kind}"] in names]
        values = [row[f"{table}.{column}"] for row in chosen]
        return _selected(values, [row[f"{table}.reason"] for row in chosen])

    return measure


def _statistic(name: str) -> Measure:
    return _of("fact_statistics", "statistic", name)


def _metric(*names: str, column: str = "value") -> Measure:
    """Return a metric, by the name that it has in one kind of job or in another."""
    return _of("fact_metric", "metric", *names, column=column)


def _curve(name: str, column: str) -> Measure:
    return _of("fact_curve", "curve", name, column=column)


_RANKED = ("auc", "concordance")
"""How often the patient with the higher risk is the one who has it; of times, who has it first."""
_RANKED_ALONE = tuple(f"own_{name}" for name in _RANKED)
RANKING, ALONE = _metric(*_RANKED), _metric(*_RANKED_ALONE)


def _number(measured: Number) -> float | None:
    return float(measured.value) if isinstance(measured.value, (int, float)) else None


def _difference(cube: Cube, rows: Sequence[Row]) -> Number:
    means = [row for row in rows if row["fact_statistics.statistic"] == "mean"]
    here = _statistic("mean")(cube, means)
    value = _number(here)
    together, deviation = (
        {cube.federation(row, statistic) for row in means} for statistic in ("mean", "stddev")
    )
    if value is None or len(together) != 1 or len(deviation) != 1:
        return Number(None, here.reason)
    centre, spread = together.pop(), deviation.pop()
    if centre is None or not spread:
        return Number(None, here.reason or rules.FEW_HOSPITALS)
    return Number((value - centre) / spread)


def _gain(cube: Cube, rows: Sequence[Row]) -> Number:
    together, alone = RANKING(cube, rows), ALONE(cube, rows)
    first, second = _number(together), _number(alone)
    if first is None or second is None:
        return Number(None, together.reason or alone.reason)
    spread = _gain_spread(cube, rows)
    return Number(first - second, unsure=spread is None or abs(first - second) <= spread)


def _gain_end(sign: int) -> Measure:
    def measure(cube: Cube, rows: Sequence[Row]) -> Number:
        gain, spread = _gain(cube, rows), _gain_spread(cube, rows)
        value = _number(gain)
        return Number(None if value is None or spread is None else value + sign * spread, gain.reason)

    return measure


def _gain_spread(cube: Cube, rows: Sequence[Row]) -> float | None:
    """Half the 95 % interval of a gain, from those of its two AUCs as if they were independent.

    Both are measured on the same patients, so that they rise and fall together: the true interval is not
    wider (Hanley and McNeil 1983, https://doi.org/10.1148/radiology.148.3.6878708).
    """
    ends = [
        _number(_metric(*names, column=end)(cube, rows))
        for names in (_RANKED, _RANKED_ALONE)
        for end in ("low", "high")
    ]
    if any(end is None for end in ends):
        return None
    low, high, own_low, own_high = (float(end) for end in ends if end is not None)
    return math.hypot(high - low, own_high - own_low) / 2


def _share(cube: Cube, rows: Sequence[Row]) -> Number:
    return _selected(
        [row["fact_histogram.share"] for row in rows], [row["fact_histogram.reason"] for row in rows]
    )


def _patients(cube: Cube, rows: Sequence[Row]) -> Number:
    known = [row["dim_site.patients"] for row in rows if row["dim_site.patients"] is not None]
    return Number(float(sum(known))) if known else Number(None, "withheld by the hospital")


def _last_run(cube: Cube, rows: Sequence[Row]) -> Number:
    moments = [row["dim_run.started_at"] for row in rows if row["dim_run.state"] == "finished"]
    return Number(max(moments, default=None))


def _count(test: Callable[[Row], bool]) -> Measure:
    return lambda cube, rows: Number(float(sum(1 for row in rows if test(row))))


def _sum(column: str) -> Measure:
    return lambda cube, rows: Number(float(sum(row[column] or 0 for row in rows)))


def _features(suppressed: bool) -> Measure:
    return _count(
        lambda row: (
            row["fact_statistics.statistic"] == "mean" and row["fact_statistics.suppressed"] is suppressed
        )
    )


MEASURES: Mapping[str, Measure] = {
    "Hospitals": _count(lambda row: row["dim_site.kind"] == "hospital"),
    "Patients": _patients,
    "Finished Jobs": _count(lambda row: row["dim_run.state"] == "finished"),
    "Failed Jobs": _count(lambda row: row["dim_run.state"] != "finished"),
    "Last Run": _last_run,
    "Rounds Done": _sum("dim_run.rounds_done"),
    "Run Seconds": _sum("dim_run.seconds"),
    "Shown Features": _features(suppressed=False),
    "Hidden Features": _features(suppressed=True),
    "Count": _statistic("count"),
    "Mean": _statistic("mean"),
    "Standard Deviation": _statistic("stddev"),
    "Missing": _statistic("missing"),
    "Standardised Difference": _difference,
    "Share of Patients": _share,
    "Hidden Cells": _count(lambda row: bool(row["fact_histogram.suppressed"])),
    "Metric Value": lambda cube, rows: _selected(
        [row["fact_metric.value"] for row in rows], [row["fact_metric.reason"] for row in rows]
    ),
    "C-Statistic": RANKING,
    "C-Statistic Low": _metric(*_RANKED, column="low"),
    "C-Statistic High": _metric(*_RANKED, column="high"),
    "C-Statistic Own Data Only": ALONE,
    "Gain": _gain,
    "Gain Low": _gain_end(-1),
    "Gain High": _gain_end(1),
    "Mean C-Statistic": _metric("mean_site_auc", "mean_concordance"),
    "Mean Gain": _metric("mean_site_auc_gain", "mean_concordance_gain"),
    "Accuracy": _metric("accuracy"),
    "Brier Score": _metric("brier"),
    "Brier Own Data Only": _metric("own_brier"),
    "Calibration in the Large": _metric("calibration_in_the_large"),
    "Test Patients": _metric("n_test"),
    "False Positive Rate": _curve("roc", "x"),
    "True Positive Rate": _curve("roc", "y"),
    "Predicted Risk": _curve("calibration", "x"),
    "Observed Share": _curve("calibration", "y"),
    "Observed Low": _curve("calibration", "low"),
    "Observed High": _curve("calibration", "high"),
    "Group": _curve("calibration", "n"),
    "Seconds per Round": _metric("seconds"),
    "Hospitals in Round": _metric("hospitals"),
}
"""The measures of pages.yaml; dashboards/powerbi says the same in DAX."""
