"""Logistic regression on the heart data: features, fit, metrics. Numpy only; pure functions, no files, no
network.

Shared by the hospitals' trainer, the server's report and the operator's pooled reference, so that all three
mean the same by "feature" and by "AUC".
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

NUMERIC = ("age", "trestbps", "chol", "thalch", "oldpeak", "ca")
BINARY = ("sex", "fbs", "exang")
CATEGORIES: Mapping[str, tuple[int, ...]] = {
    "cp": (1, 2, 3),
    "restecg": (1, 2),
    "slope": (1, 2),
    "thal": (3, 6),
}
"""Column -> the codes that get an indicator (the code left out is the reference)."""
COMPLETE = ("age", "sex", "cp")
"""Columns without a missing value in any hospital: they need no indicator of missingness."""
LABEL = "disease"

_FLAGGED = tuple(name for name in (*NUMERIC, *BINARY, *CATEGORIES) if name not in COMPLETE)

FEATURES = (
    *NUMERIC,
    *BINARY,
    *(f"{name}={code}" for name, codes in CATEGORIES.items() for code in codes),
    *(f"{name} missing" for name in _FLAGGED),
)
"""Names of the model's coefficients, in order; the intercept comes before them."""

LEARNING_RATE = 0.3
L2 = 0.01
LONGEST_PATIENT = 5.0
"""A patient's features are no longer than this (L2 norm), so that nobody alone can pull a model far."""
SCORE_BINS = 20
"""Bins of the score histograms, equally wide over 0..1."""


@dataclass(frozen=True)
class Patients:
    """Rows of one file: column -> values of shape (rows,), NaN where missing; `test` marks the test rows."""

    columns: Mapping[str, Array]
    test: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.test)

    @property
    def labels(self) -> Array:
        """0 or 1, shape (rows,)."""
        return self.columns[LABEL]


@dataclass(frozen=True)
class Scaling:
    """Mean and standard deviation of every feature over the whole federation, in the feature's own unit.

    One scale for all hospitals: scaling each by its own would hide the differences between them and costs
    0.04 to 0.07 AUC on this data.
    """

    mean: Mapping[str, float]
    std: Mapping[str, float]

    @classmethod
    def of(cls, patients: Patients) -> "Scaling":
        """Those of one file, missing values left out; a feature without values or spread gets 0 and 1."""
        seen = {name: values[~np.isnan(values)] for name, values in raw_features(patients).items()}
        return cls(
            mean={name: float(values.mean()) if values.size else 0.0 for name, values in seen.items()},
            std={name: (float(values.std()) if values.size else 0.0) or 1.0 for name, values in seen.items()},
        )


def read_patients(text: str) -> Patients:
    """Parse a hospital's CSV (docs/jobs.md lists its columns). Raises KeyError or ValueError on other
    files.
    """
    rows = list(csv.DictReader(io.StringIO(text)))
    names = (*NUMERIC, *BINARY, *CATEGORIES, LABEL)
    columns = {name: np.array([float(row[name] or "nan") for row in rows]) for name in names}
    return Patients(columns, np.array([row["split"] == "test" for row in rows]))


def join(files: Sequence[Patients]) -> Patients:
    """The rows of several files as one, in order."""
    names = files[0].columns
    return Patients(
        {name: np.concatenate([file.columns[name] for file in files]) for name in names},
        np.concatenate([file.test for file in files]),
    )


def raw_features(patients: Patients) -> dict[str, Array]:
    """FEATURES before scaling: name -> values of shape (rows,). Numeric ones keep NaN where missing; the
    others are indicators, 0 where missing.
    """
    columns = patients.columns
    return {
        **{name: columns[name] for name in NUMERIC},
        **{name: np.nan_to_num(columns[name]) for name in BINARY},
        **{
            f"{name}={code}": (columns[name] == code).astype(float)
            for name, codes in CATEGORIES.items()
            for code in codes
        },
        **{f"{name} missing": np.isnan(columns[name]).astype(float) for name in _FLAGGED},
    }


def design(patients: Patients, scaling: Scaling) -> Array:
    """The design matrix, shape (rows, 1 + len(FEATURES)): intercept, then scaled features; missing = the
    mean. A row longer than LONGEST_PATIENT is scaled down to it.
    """
    scaled = [
        np.nan_to_num((values - scaling.mean[name]) / scaling.std[name])
        for name, values in raw_features(patients).items()
    ]
    rows = np.column_stack([np.ones(len(patients)), *scaled])
    bounded: Array = rows * np.minimum(1.0, LONGEST_PATIENT / np.linalg.norm(rows, axis=1, keepdims=True))
    return bounded


def predict(features: Array, weights: Array) -> Array:
    """Probability of disease, shape (rows,)."""
    return 1.0 / (1.0 + np.exp(-features @ weights))


def descend(features: Array, labels: Array, weights: Array, steps: int) -> Array:
    """`steps` of full-batch gradient descent from `weights`; the intercept is not regularised."""
    penalty = L2 * np.r_[0.0, np.ones(features.shape[1] - 1)]
    for _ in range(steps):
        gradient = features.T @ (predict(features, weights) - labels) / len(labels) + penalty * weights
        weights = weights - LEARNING_RATE * gradient
    return weights


def patient_change(patients: int, steps: int) -> float:
    """By how much `descend` answers differently, at most (L2 norm), if one patient is replaced by another.

    The patient changes each gradient by at most 2 * LONGEST_PATIENT / patients, and a step brings two models
    no further apart, as LEARNING_RATE is below 2 over the loss's smoothness (LONGEST_PATIENT**2 / 4 + L2):
    Hardt, Recht and Singer 2016, "Train faster, generalize better", lemma 3.7.
    """
    return steps * LEARNING_RATE * 2 * LONGEST_PATIENT / patients


def solve(features: Array, labels: Array, iterations: int = 50) -> Array:
    """The minimum of the same loss, by Newton's method: what enough steps of `descend` would reach."""
    penalty = L2 * np.r_[0.0, np.ones(features.shape[1] - 1)]
    weights = np.zeros(features.shape[1])
    for _ in range(iterations):
        risk = predict(features, weights)
        gradient = features.T @ (risk - labels) / len(labels) + penalty * weights
        curvature = (features.T * (risk * (1 - risk))) @ features / len(labels) + np.diag(penalty + 1e-9)
        step = np.linalg.solve(curvature, gradient)
        weights = weights - step
        if np.abs(step).max() < 1e-9:
            break
    return weights


def auc(labels: Array, scores: Array) -> float:
    """Area under the ROC curve, ties counted half; NaN when one of the two classes is absent."""
    ill, healthy = scores[labels == 1], scores[labels == 0]
    if not ill.size or not healthy.size:
        return float("nan")
    ordered = np.sort(healthy)
    below = np.searchsorted(ordered, ill, side="left")
    equal = np.searchsorted(ordered, ill, side="right") - below
    return float((below + 0.5 * equal).sum() / (ill.size * healthy.size))


def evaluate(labels: Array, scores: Array) -> dict[str, float]:
    """AUC, accuracy, Brier score, log loss, sensitivity and specificity at 0.5, calibration error (10 bins)
    and calibration-in-the-large (mean score minus prevalence).
    """
    called = scores > 0.5
    clipped = np.clip(scores, 1e-7, 1 - 1e-7)
    cells = np.minimum((scores * 10).astype(int), 9)
    gaps = [
        abs(scores[cells == cell].mean() - labels[cells == cell].mean()) * (cells == cell).mean()
        for cell in range(10)
        if (cells == cell).any()
    ]
    return {
        "auc": auc(labels, scores),
        "accuracy": float((called == labels).mean()),
        "brier": float(((scores - labels) ** 2).mean()),
        "loss": float(-(labels * np.log(clipped) + (1 - labels) * np.log(1 - clipped)).mean()),
        "sensitivity": float(called[labels == 1].mean()) if (labels == 1).any() else float("nan"),
        "specificity": float((~called)[labels == 0].mean()) if (labels == 0).any() else float("nan"),
        "ece": float(sum(gaps)),
        "calibration_in_the_large": float(scores.mean() - labels.mean()),
    }


def score_histogram(labels: Array, scores: Array, label: int, bins: int = SCORE_BINS) -> list[int]:
    """How many patients of one class have a score in each of `bins` equal parts of 0..1."""
    counts, _ = np.histogram(scores[labels == label], bins=bins, range=(0.0, 1.0))
    return [int(count) for count in counts]
