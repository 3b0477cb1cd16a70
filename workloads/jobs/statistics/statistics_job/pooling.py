"""Global statistics recomputed from the hospitals that published a feature. Pure.

NVFlare's own global mean divides the sum of some by the count of all when a hospital withholds a feature.
"""

import math
from collections.abc import Mapping
from typing import Any

DATA_SET = "patients"

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


def scaling(pooled: Mapping[str, Mapping[str, Any]]) -> dict[str, list[float]]:
    """Feature -> [mean, standard deviation]; 1 in place of a deviation of 0 (nothing to scale)."""
    return {feature: [entry["mean"], entry["std"] or 1.0] for feature, entry in pooled.items()}


def _summed_histogram(histograms: Mapping[str, Mapping[str, Any]]) -> list[list[float]]:
    """Cells [low, high, count] summed over hospitals; hidden cells count 0, so sums are lower bounds."""
    cells: dict[tuple[float, float], float] = {}
    for hospital, data_sets in histograms.items():
        if hospital == "Global":
            continue
        for low, high, count in data_sets.get(DATA_SET, []):
            cells[low, high] = cells.get((low, high), 0.0) + count
    return [[low, high, count] for (low, high), count in sorted(cells.items())]
