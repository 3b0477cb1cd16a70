"""What a hospital sends in a round besides weights. Pure: jobs compute their metrics from it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Contribution:
    """What one hospital sent in one round, besides weights."""

    metrics: Mapping[str, float]
    """Single numbers; `n_test` is the number of patients they were measured on."""
    histograms: Mapping[str, list[float]]
    tags: Mapping[str, str]
    """Texts, such as `data_sha256`."""


def summed(contributions: Mapping[str, Contribution], names: Iterable[str]) -> dict[str, list[float]]:
    """Histogram -> patients in each cell, over all hospitals; of an answer that counts, all have them.

    Each hospital spread its small cells over their neighbours, so counts may be broken numbers.
    """
    return {
        name: [
            sum(cell) for cell in zip(*(one.histograms[name] for one in contributions.values()), strict=True)
        ]
        for name in sorted(names)
    }
