"""What a training job measured at one hospital -> what others may see of it, and of the federation."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from . import policy as rules
from .features import Value
from .policy import Policy, rounded
from .schema import SITE_METRICS

Sent = Mapping[str, float]
"""Metric -> value, as one hospital sent them in one round."""

COUNTS = ("n_train", "n_test")
RATES = ("accuracy", "own_accuracy")
"""Shares of test patients: with their number they tell how many were classified wrongly."""
SHARES = (
    *("auc", "accuracy", "brier", "own_auc", "own_accuracy", "own_brier", "prevalence"),
    *("concordance", "own_concordance"),
)
"""What is between 0 and 1."""
PATIENT_MEANS = ("accuracy", "brier", "loss", "calibration_in_the_large")
"""Means over test patients: weighted by them they hold for the federation."""
COMPARED = {
    "auc": ("own_auc", "mean_site_auc", "mean_own_only_auc", "mean_site_auc_gain"),
    "concordance": ("own_concordance", "mean_concordance", "mean_own_concordance", "mean_concordance_gain"),
}
"""Metric -> of the hospital's own model; then over hospitals: the mean, the mean alone, the mean gain."""
_Z = 1.96


@dataclass(frozen=True, slots=True)
class Measured:
    """A metric with the patients it was measured on and the ends of its 95 % interval, where known."""

    value: Value
    n: int | None = None
    low: float | None = None
    high: float | None = None


class HospitalMetrics:
    """Judges the runs of one hospital in their order, and remembers over how many patients it let be seen."""

    def __init__(self, policy: Policy):
        self.policy = policy
        self._shown: list[tuple[float, ...]] = []

    def judge(self, rounds: Sequence[Sent]) -> list[dict[str, Measured]]:
        """One run: what is shown of each round. Where one round may not be seen, none is."""
        shown = list(self._shown)
        for sent in rounds:
            if reason := self._reason(sent, shown):
                return [self._round(one, reason) for one in rounds]
            if (table := _table(sent)) not in shown:
                shown.append(table)
        self._shown = shown
        return [self._round(sent, "") for sent in rounds]

    def _reason(self, sent: Sent, shown: Sequence[tuple[float, ...]]) -> str:
        """Why nothing of this round may be seen, or nothing."""
        train, test = sent.get("n_train", 0.0), sent.get("n_test", 0.0)
        if train < self.policy.k or test < self.policy.k:
            return rules.FEW
        ill = sent.get("prevalence")
        if ill is not None and round(min(ill, 1 - ill) * test) < self.policy.k:
            return rules.ONE_SIDE
        if any(rules.changed_too_little(_table(sent), before, self.policy) for before in shown):
            return rules.CHANGED
        return ""

    def _round(self, sent: Sent, reason: str) -> dict[str, Measured]:
        known = [name for name in SITE_METRICS if name in sent]
        if reason:
            return {name: Measured(Value(None, reason)) for name in known}
        return {name: self._metric(name, sent) for name in known}

    def _metric(self, name: str, sent: Sent) -> Measured:
        value, patients = sent[name], rounded(sent["n_test"])
        if name in COUNTS:
            return Measured(Value(rounded(value)))
        if name == "prevalence":
            everyone = rounded(sent["n_train"] + sent["n_test"])
            ill = rounded(value * (sent["n_train"] + sent["n_test"]))
            return Measured(Value(round(ill / everyone, 3)), everyone)
        if name in RATES and self.policy.small(round(min(value, 1 - value) * sent["n_test"])):
            return Measured(Value(None, rules.ONE_SIDE))
        decimals = SITE_METRICS[name].decimals
        low, high = interval(name, round(value, decimals), patients, sent.get("prevalence"))
        return Measured(Value(round(value, decimals)), patients, low, high)


def _table(sent: Sent) -> tuple[float, ...]:
    """For comparison with another round: all patients, then the parts."""
    train, test = sent["n_train"], sent["n_test"]
    positive = round(sent.get("prevalence", 0.0) * (train + test))
    return (train + test, train, test, positive, train + test - positive)


def own(sent: Sent) -> dict[str, Measured]:
    """What a hospital sees of itself in one round: as it was measured."""
    found = {}
    for name in SITE_METRICS:
        if name in sent:
            counted = name in COUNTS
            n = None if counted else round(sent["n_test"])
            low, high = interval(name, sent[name], n or 0, sent.get("prevalence"))
            found[name] = Measured(Value(sent[name]), n, low, high)
    return found


def federation(hospitals: Mapping[str, Mapping[str, Measured]]) -> dict[str, Measured]:
    """The federation's metrics of one round, from what is shown of at least three hospitals."""
    known = {name for sent in hospitals.values() for name in sent}
    found = {name: _mean(name, hospitals, weighted=True) for name in PATIENT_MEANS if name in known}
    for name, (own_name, *over_hospitals) in COMPARED.items():
        if {name, own_name} <= known:
            found |= dict(zip(over_hospitals, _compared(name, own_name, hospitals), strict=True))
    return found


def _compared(
    name: str, own_name: str, hospitals: Mapping[str, Mapping[str, Measured]]
) -> tuple[Measured, Measured, Measured]:
    """Plain means over hospitals of a metric and of what each reaches alone, and the gain."""
    together, alone = (_mean(one, hospitals, weighted=False) for one in (name, own_name))
    if together.value.value is None or alone.value.value is None:
        gain = Value(None, together.value.reason or alone.value.reason)
    else:
        gain = Value(round(together.value.value - alone.value.value, 3))
    return together, alone, Measured(gain, together.n)


def interval(name: str, value: float, n: int, prevalence: float | None) -> tuple[float | None, float | None]:
    """Ends of the 95 % interval of a metric over `n` patients, or none.

    Wilson's for shares, Hanley and McNeil's for AUCs:
    https://doi.org/10.1148/radiology.143.1.7063747; ill and healthy test patients by the prevalence.
    """
    if name in RATES and n:
        return wilson(value, n)
    if name.endswith("auc") and n and prevalence:
        ill = max(1.0, n * prevalence)
        healthy = max(1.0, n - ill)
        q1, q2 = value / (2 - value), 2 * value**2 / (1 + value)
        spread = value * (1 - value) + (ill - 1) * (q1 - value**2) + (healthy - 1) * (q2 - value**2)
        centre, half = value, _Z * math.sqrt(max(0.0, spread) / (ill * healthy))
    else:
        return None, None
    return _ends(centre, half)


def wilson(share: float, n: float) -> tuple[float, float]:
    """Ends of the 95 % interval of a share of `n` patients, by Wilson's score."""
    centre = (share + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    return _ends(centre, _Z / (1 + _Z**2 / n) * math.sqrt(share * (1 - share) / n + _Z**2 / (4 * n * n)))


def _ends(centre: float, half: float) -> tuple[float, float]:
    return round(max(0.0, centre - half), 3), round(min(1.0, centre + half), 3)


def _mean(name: str, hospitals: Mapping[str, Mapping[str, Measured]], *, weighted: bool) -> Measured:
    parts = [
        (one.value.value, one.n)
        for sent in hospitals.values()
        if (one := sent.get(name)) and one.value.value is not None and one.n
    ]
    if len(parts) < rules.MINIMUM_HOSPITALS:
        return Measured(Value(None, rules.FEW_HOSPITALS))
    total = sum(n for _, n in parts)
    if weighted:
        mean = sum(value * n for value, n in parts) / total
    else:
        mean = sum(value for value, _ in parts) / len(parts)
    return Measured(Value(round(mean, 3) + 0.0), total)  # no -0.0
