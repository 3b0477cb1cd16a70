"""Global statistics recomputed from the hospitals that published a feature. Pure.

NVFlare's own global mean divides the sum of some by the count of all when a hospital withholds a feature.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

DATA_SET = "patients"
MINIMUM_HOSPITALS = 3
"""As on the dashboards (workloads/curation): with two, each could subtract itself and see the other."""
K = 10
"""Fewest patients on a side of an indicator."""
INDICATOR_TOLERANCE = 0.03

Published = Mapping[str, Mapping[str, Mapping[str, Mapping[str, Any]]]]
"""Feature -> statistic -> hospital -> data set -> value."""


def by_hospital(published: Published) -> dict[str, dict[str, dict[str, Any]]]:
    """Hospital -> feature -> statistic -> value, without NVFlare's globals."""
    turned: dict[str, dict[str, dict[str, Any]]] = {}
    for feature, statistics in published.items():
        for statistic, hospitals in statistics.items():
            for hospital, data_sets in hospitals.items():
                if hospital != "Global" and DATA_SET in data_sets:
                    turned.setdefault(hospital, {}).setdefault(feature, {})[statistic] = data_sets[DATA_SET]
    return turned


def pool(statistics: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """One feature over the hospitals that published count, sum and deviation: count, mean, std (n),
    histogram.

    `hospitals` names them; a feature nobody published has none.
    """
    whole = [
        hospital
        for hospital in sorted(statistics.get("count", {}))
        if hospital != "Global"
        and all(DATA_SET in statistics.get(name, {}).get(hospital, {}) for name in ("count", "sum", "stddev"))
    ]
    values = {
        name: [float(statistics[name][hospital][DATA_SET]) for hospital in whole]
        for name in ("count", "sum", "stddev")
    }
    count = sum(values["count"])
    if not count:
        return {"hospitals": []}
    mean = sum(values["sum"]) / count
    spread = sum(
        (number - 1) * deviation**2 + number * (total / number - mean) ** 2
        for number, total, deviation in zip(values["count"], values["sum"], values["stddev"], strict=True)
    )
    return {
        "hospitals": whole,
        "count": int(count),
        "mean": mean,
        "std": math.sqrt(spread / count),
        "histogram": _summed_histogram(statistics.get("histogram", {})),
    }


def scaling(published: Published) -> dict[str, list[float]]:
    """Feature -> [mean, standard deviation] over the federation, for every hospital to read.

    A hospital knows its own numbers and may know another's: minus those, the federation's are the third
    one's. So a feature is given where at least three hospitals contribute and at each of them at least K
    patients are on both sides of an indicator, and no finer than scaling needs: the mean to a tenth of the
    deviation.
    """
    found = {}
    for feature, statistics in published.items():
        pooled = pool(statistics)
        if len(pooled["hospitals"]) >= MINIMUM_HOSPITALS and not _few_on_a_side(
            statistics, pooled["hospitals"]
        ):
            found[feature] = _coarse(pooled["mean"], pooled["std"])
    return found


def _few_on_a_side(statistics: Mapping[str, Mapping[str, Any]], hospitals: Sequence[str]) -> bool:
    for hospital in hospitals:
        count, total, deviation = (
            float(statistics[name][hospital][DATA_SET]) for name in ("count", "sum", "stddev")
        )
        # The deviation of an indicator follows from its mean, within what hospitals round.
        share = total / count if count else 0.0
        indicator = 0 <= share <= 1 and abs(deviation**2 - share * (1 - share)) < INDICATOR_TOLERANCE
        if count < K or (indicator and min(total, count - total) < K):
            return True
    return False


def _coarse(mean: float, std: float) -> list[float]:
    """Both as coarse as scaling allows; 1 in place of a deviation of 0 (nothing to scale)."""
    if std <= 0:
        return [float(f"{mean:.2g}"), 1.0]
    step = 10.0 ** math.floor(math.log10(std / 5))
    return [round(step * round(mean / step), 6), float(f"{std:.2g}")]


def _summed_histogram(histograms: Mapping[str, Mapping[str, Any]]) -> list[list[float]]:
    """Cells [low, high, count] summed over hospitals; hidden cells count 0, so sums are lower bounds."""
    cells: dict[tuple[float, float], float] = {}
    for hospital, data_sets in histograms.items():
        if hospital == "Global":
            continue
        for low, high, count in data_sets.get(DATA_SET, []):
            cells[low, high] = cells.get((low, high), 0.0) + count
    return [[low, high, count] for (low, high), count in sorted(cells.items())]
