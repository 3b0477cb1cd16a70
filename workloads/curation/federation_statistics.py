"""What is said of the federation: computed from what is shown of its hospitals, and from nothing else.

So no total gives a hidden part away, whatever is subtracted from it, and a hospital that joins or leaves
changes it by what is shown of that hospital. NVFlare's own divides the sum of some by the count of all.
"""

import math
from collections.abc import Mapping, Sequence

from . import policy as rules
from .features import Cell, Described, Feature, Value, hidden
from .hospital_statistics import SHARE_DECIMALS

ENOUGH = rules.MINIMUM_HOSPITALS


def pooled(feature: Feature, hospitals: Mapping[str, Described]) -> Described:
    """One feature over the hospitals that show it; nothing where they are fewer than three."""
    parts = [one for one in hospitals.values() if one.shown]
    if len(parts) < ENOUGH:
        return hidden(feature, rules.FEW_HOSPITALS)
    counts, means, deviations = (
        [_number(one, name) for one in parts] for name in ("count", "mean", "stddev")
    )
    total = sum(counts)
    mean = sum(n * m for n, m in zip(counts, means, strict=True)) / total
    squares = sum(
        (n - 1) * s**2 + n * (m - mean) ** 2 for n, m, s in zip(counts, means, deviations, strict=True)
    )
    statistics = {
        "count": Value(total),
        "mean": Value(round(mean, feature.decimals)),
        "stddev": Value(round(math.sqrt(squares / (total - 1)), feature.decimals)),
        "missing": _missing(parts),
    }
    cells = tuple(_cell([one.cells[cell] for one in parts], total) for cell in range(feature.cells))
    return Described(statistics, cells, len(parts))


def _missing(parts: Sequence[Described]) -> Value:
    known = [
        (_number(one, "count"), share)
        for one in parts
        if (share := one.statistics["missing"].value) is not None and share < 1
    ]
    if len(known) < ENOUGH:
        return Value(None, rules.HIDDEN_PART)
    everyone = [count / (1 - share) for count, share in known]
    lacking = sum(n * share for n, (_, share) in zip(everyone, known, strict=True))
    return Value(round(lacking / sum(everyone), SHARE_DECIMALS))


def _cell(cells: Sequence[Cell], total: float) -> Cell:
    counts = [cell.count.value for cell in cells if cell.count.value is not None]
    if len(counts) < len(cells):
        return Cell(Value(None, rules.HIDDEN_PART))
    return Cell(Value(sum(counts)), round(sum(counts) / total, SHARE_DECIMALS))


def _number(described: Described, name: str) -> float:
    value = described.statistics[name].value
    if value is None:
        raise ValueError(f"{name} is hidden: {described.statistics[name].reason}")
    return value
