"""A discrete-time survival model: the chance of the event in each interval, for whoever has come so far.

A logistic regression over all intervals that a patient lived through, one intercept an interval (Singer and
Willett 1993, "It's about time: using discrete-time survival analysis to study duration and the timing of
events"). Numpy only; pure functions.
"""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

EDGES = (0, 30, 60, 90, 180, 365)
"""Days: an interval is from one edge to the next, that day included."""
INTERVALS = len(EDGES) - 1
SCALES: Mapping[str, tuple[float, float]] = {
    "age": (70, 10),
    "sex": (0.5, 1),
    "ejection": (42, 12),
    "creatinine": (1.25, 0.5),
    "sodium": (138.5, 3.5),
    "diabetes": (0.5, 1),
    "admissions": (0.5, 1),
    "stay": (7, 6),
}
"""Column -> its middle and spread, as a cardiologist would guess them: the same at every hospital."""
MAY_BE_MISSING = ("ejection", "creatinine", "sodium")
FEATURES = (*SCALES, *(f"{name} missing" for name in MAY_BE_MISSING))
SIZE = INTERVALS + len(FEATURES)
"""Numbers of the model: an intercept for each interval, then a coefficient for each feature."""
LARGEST = 3.0
"""A scaled value is not larger than this, so that nobody alone pulls the model far."""
L2 = 0.01
RATE = 0.4


@dataclass(frozen=True)
class Patients:
    """Rows of one file: column -> values of shape (rows,), NaN where missing; `test` marks the test rows."""

    columns: Mapping[str, Array]
    days: Array
    event: Array
    test: NDArray[np.bool_]


def read_patients(text: str) -> Patients:
    """Parse a hospital's `readmission.csv`. Raises KeyError or ValueError on other files."""
    rows = list(csv.DictReader(io.StringIO(text)))
    columns = {
        name: np.array([float(row[name] or "nan") for row in rows]) for name in (*SCALES, "days", "event")
    }
    test = np.array([row["split"] == "test" for row in rows])
    return Patients(columns, columns["days"], columns["event"], test)


def design(columns: Mapping[str, Array]) -> Array:
    """FEATURES, scaled, shape (rows, features); what is missing is in the middle, and marked."""
    scaled = [
        np.nan_to_num(np.clip((columns[name] - middle) / spread, -LARGEST, LARGEST))
        for name, (middle, spread) in SCALES.items()
    ]
    missing = [np.isnan(columns[name]).astype(float) for name in MAY_BE_MISSING]
    return np.column_stack([*scaled, *missing])


def lived(days: Array, event: Array) -> tuple[Array, Array]:
    """Which intervals each patient lived through or had the event in, and in which it was: 0 or 1.

    Both have the shape (rows, INTERVALS). One in which somebody was last seen well does not count: nobody
    knows how it ended.
    """
    starts, ends = np.array(EDGES[:-1]), np.array(EDGES[1:])
    begun, within = days[:, None] > starts, days[:, None] <= ends
    happened = begun & within & (event[:, None] == 1)
    through = ~within | (days[:, None] == ends)
    return (begun & (through | happened)).astype(float), happened.astype(float)


def hazards(features: Array, weights: Array) -> Array:
    """The chance of the event in each interval for whoever has come so far, shape (rows, INTERVALS)."""
    logits = weights[:INTERVALS] + (features @ weights[INTERVALS:])[:, None]
    return np.asarray(1.0 / (1.0 + np.exp(-logits)))


def risk(features: Array, weights: Array) -> Array:
    """The chance of the event within a year, shape (rows,)."""
    return np.asarray(1.0 - np.prod(1.0 - hazards(features, weights), axis=1))


def descend(features: Array, days: Array, event: Array, weights: Array, steps: int) -> Array:
    """`steps` of full-batch gradient descent from `weights`; intercepts are not regularised."""
    at_risk, happened = lived(days, event)
    penalty = L2 * np.r_[np.zeros(INTERVALS), np.ones(features.shape[1])]
    for _ in range(steps):
        residual = at_risk * (hazards(features, weights) - happened)
        slopes = np.r_[residual.sum(axis=0), features.T @ residual.sum(axis=1)] / len(days)
        weights = weights - RATE * (slopes + penalty * weights)
    return weights


def loss(features: Array, days: Array, event: Array, weights: Array) -> float:
    """The mean over patients of minus the logarithm of what the model gave to what happened."""
    at_risk, happened = lived(days, event)
    chance = np.clip(hazards(features, weights), 1e-7, 1 - 1e-7)
    terms = at_risk * (happened * np.log(chance) + (1 - happened) * np.log(1 - chance))
    return float(-terms.sum() / len(days))


def concordance(days: Array, event: Array, scores: Array) -> float:
    """Harrell's C: of two patients of whom it is known who had the event first, how often it was the one with
    the higher score; equal scores count half. NaN where there is no such pair.
    """
    first = (days[:, None] < days[None, :]) & (event[:, None] == 1)
    if not first.any():
        return float("nan")
    above = (scores[:, None] > scores[None, :]) + 0.5 * (scores[:, None] == scores[None, :])
    return float(above[first].mean())
