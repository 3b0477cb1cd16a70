"""The federation's metrics of one round, from what the hospitals send. Pure."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from fed_server.contribution import Contribution

from .model import Array, auc_from_histograms

PATIENT_MEANS = ("accuracy", "brier", "loss", "calibration_in_the_large")
"""Metrics that are means over patients: weighted by test patients they are exact for the federation."""


def summarise_round(contributions: Mapping[str, Contribution]) -> dict[str, float]:
    """The federation's metrics.

    Accuracy, Brier score, loss and calibration: exact, over all test patients. `auc_lower`: from summed
    score histograms whose small cells the hospitals spread out; 0.00 to 0.05 below the true AUC (0.017 on
    average over 40 splits of this data). `mean_site_auc` is the plain mean of the hospitals' AUCs: another
    quantity, not an estimate of the global one. Gains are against what each hospital reaches alone.
    """
    sent = [entry.metrics for entry in contributions.values()]
    exact = {name: _patient_mean(name, sent) for name in PATIENT_MEANS}
    lower = auc_from_histograms(_summed(contributions, "healthy"), _summed(contributions, "ill"))
    known = {
        **exact,
        **_by_site(sent),
        "auc_lower": lower,
        "patients": sum(metrics["n_test"] for metrics in sent),
    }
    return {name: value for name, value in known.items() if math.isfinite(value)}


def _patient_mean(name: str, sent: Sequence[Mapping[str, float]]) -> float:
    """Over the test patients of the hospitals that have it; NaN where none has."""
    known = [metrics for metrics in sent if name in metrics and metrics["n_test"]]
    patients = [metrics["n_test"] for metrics in known]
    return float(np.average([metrics[name] for metrics in known], weights=patients)) if known else math.nan


def _by_site(sent: Sequence[Mapping[str, float]]) -> dict[str, float]:
    ranked = [metrics for metrics in sent if "auc" in metrics and "own_auc" in metrics]
    if not ranked:
        return {}
    gains = [metrics["auc"] - metrics["own_auc"] for metrics in ranked]
    return {
        "mean_site_auc": float(np.mean([metrics["auc"] for metrics in ranked])),
        "mean_own_only_auc": float(np.mean([metrics["own_auc"] for metrics in ranked])),
        "mean_site_auc_gain": float(np.mean(gains)),
        "worst_site_auc_gain": min(gains),
    }


def _summed(contributions: Mapping[str, Contribution], name: str) -> Array:
    summed: Array = np.sum([entry.histograms[name] for entry in contributions.values()], axis=0)
    return summed
