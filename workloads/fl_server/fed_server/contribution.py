"""What a hospital sends in a round besides weights. Pure: jobs compute their metrics from it."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Contribution:
    """What one hospital sent in one round, besides weights."""

    metrics: Mapping[str, float]
    """Single numbers; `n_test` is the number of patients they were measured on."""
    histograms: Mapping[str, list[float]]
    tags: Mapping[str, str]
    """Texts, such as `data_sha256`."""
