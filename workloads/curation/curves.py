"""ROC and calibration of a model at one hospital and over the federation, from histograms of its scores.

Patients of both classes are counted in the same equal parts of 0 to 1. Neighbouring parts are joined until
each cell holds none or at least k patients of either class, so that a shape is left where single bars would
have to go. docs/adr/0038 says what that keeps back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from . import policy as rules
from .metrics import wilson
from .policy import Policy, rounded

SLACK = 1e-6
"""Hospitals share a small cell out among its neighbours: sums of such parts are a little off."""
OWN_CELL = 10
"""A hospital's own calibration is drawn over groups of so many patients: fewer would be noise."""


@dataclass(frozen=True, slots=True)
class Scores:
    """How many test patients of each class have a score in each of so many equal parts of 0 to 1."""

    negative: tuple[float, ...]
    positive: tuple[float, ...]

    @property
    def parts(self) -> int:
        """Into how many parts 0 to 1 is divided."""
        return len(self.negative)

    @classmethod
    def read(cls, sent: Mapping[str, Sequence[float]], patients: float) -> "Scores":
        """Of one hospital. Raises ValueError where no `patients` can have such scores."""
        found = cls(tuple(map(float, sent["negative"])), tuple(map(float, sent["positive"])))
        counts = (*found.negative, *found.positive)
        if len(found.negative) != len(found.positive) or not found.negative:
            raise ValueError("the scores of the two classes are in other parts")
        if not all(count >= 0 for count in counts) or not sum(counts) <= patients + 0.5:
            raise ValueError(f"scores of {sum(counts)} patients, measured were {patients}")
        return found


@dataclass(frozen=True, slots=True)
class Point:
    """A point of a curve; of a calibration also the patients behind it and the ends of y's 95 % interval."""

    x: float
    y: float
    n: int | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Curve:
    """Points from left to right, or none and the reason."""

    points: tuple[Point, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Merged:
    """Scores that may be seen, and the parts at which they are divided, each from 0 to the last."""

    scores: Scores
    cuts: tuple[int, ...]
    """Where both classes are divided."""
    divided: tuple[tuple[int, ...], ...]
    """Where the negative are divided, and where the positive."""


def merged(scores: Scores, policy: Policy) -> Merged | None:
    """The scores in cells that may be seen, counts to the nearest 5; None where a class is too few."""
    classes = (scores.negative, scores.positive)
    if min(map(sum, classes)) < policy.k - SLACK:
        return None
    cuts = _cuts(classes, policy.k)
    divided = tuple(_within(counts, cuts, policy.k) for counts in classes)
    shared = [_shared(counts, found) for counts, found in zip(classes, divided, strict=True)]
    return Merged(Scores(*shared), cuts, divided)


def own(scores: Scores) -> dict[str, Curve]:
    """What a hospital sees of itself: every part as it sent it."""
    if not min(sum(scores.negative), sum(scores.positive)):
        return dict.fromkeys(("roc", "calibration"), Curve(reason=rules.WITHHELD))
    everyone = tuple(a + b for a, b in zip(scores.negative, scores.positive, strict=True))
    cuts = _cuts((everyone,), OWN_CELL)
    return {"roc": _roc(scores, range(scores.parts + 1)), "calibration": _calibration(scores, cuts)}


def shown(seen: Merged | None) -> dict[str, Curve]:
    """What others see of a hospital. A class in one cell has no shape: its curve would say what is not so."""
    if seen is None:
        return dict.fromkeys(("roc", "calibration"), Curve(reason=rules.FEW))
    few, steps = Curve(reason=rules.FEW), sorted({step for divided in seen.divided for step in divided})
    return {
        "roc": few if min(map(len, seen.divided)) < 3 else _roc(seen.scores, steps),
        "calibration": few if len(seen.cuts) < 3 else _calibration(seen.scores, seen.cuts),
    }


def federation(hospitals: Sequence[Merged | None]) -> dict[str, Curve]:
    """Of all hospitals together: computed from what may be seen of each, so that it says no more.

    Within a cell patients are taken to be spread evenly, so the ROC curve lies at the true one or below it. A
    calibration cannot be told that way: it is given over groups whose ends all hospitals have.
    """
    seen = [one for one in hospitals if one is not None]
    if len(seen) < rules.MINIMUM_HOSPITALS or len({one.scores.parts for one in seen}) != 1:
        return dict.fromkeys(("roc", "calibration"), Curve(reason=rules.FEW_HOSPITALS))
    total = Scores(
        *(tuple(map(sum, zip(*counts, strict=True))) for counts in zip(*map(_classes, seen), strict=True))
    )
    cuts = sorted(set.intersection(*(set(one.cuts) for one in seen)))
    return {
        "roc": _roc(total, range(total.parts + 1)),
        "calibration": _calibration(total, cuts) if len(cuts) > 2 else Curve(reason=rules.HIDDEN_PART),
    }


def _classes(seen: Merged) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return seen.scores.negative, seen.scores.positive


def _within(counts: Sequence[float], cuts: Sequence[int], k: float) -> tuple[int, ...]:
    """One class divided further inside each cell of both."""
    found = [0]
    for low, high in pairwise(cuts):
        found += [low + place for place in _cuts((counts[low:high],), k)[1:]]
    return tuple(found)


def _cuts(classes: Sequence[Sequence[float]], k: float) -> tuple[int, ...]:
    """The parts between which each class has none or at least k patients, and somebody is."""
    last, found = len(classes[0]), [0]
    for place in range(1, last + 1):
        counts = [sum(counts[found[-1] : place]) for counts in classes]
        if max(counts) > SLACK and not any(SLACK < count < k - SLACK for count in counts):
            found.append(place)
    while found[-1] != last:  # what is left over at the end goes to the cells before
        left = [sum(counts[found[-1] :]) for counts in classes]
        if max(left) <= SLACK and len(found) > 1:
            found[-1] = last
        elif len(found) > 1 and any(SLACK < count < k - SLACK for count in left):
            found.pop()
        else:
            found.append(last)
    return tuple(found)


def _shared(counts: Sequence[float], cuts: Sequence[int]) -> tuple[float, ...]:
    """Each cell's patients, to the nearest 5, over its parts."""
    return tuple(
        rounded(sum(counts[low:high])) / (high - low)
        for low, high in pairwise(cuts)
        for _ in range(low, high)
    )


def _roc(scores: Scores, steps: Sequence[int]) -> Curve:
    """Share of the negative (x) and of the positive (y) at or above each of `steps`, highest first."""
    negative, positive = sum(scores.negative), sum(scores.positive)
    return Curve(
        tuple(
            Point(
                round(sum(scores.negative[cut:]) / negative, 3),
                round(sum(scores.positive[cut:]) / positive, 3),
            )
            for cut in sorted(steps, reverse=True)
        )
    )


def _calibration(scores: Scores, cuts: Sequence[int]) -> Curve:
    """In each cell that holds somebody: the mean score (x) and the share that is positive (y)."""
    points = []
    for low, high in pairwise(cuts):
        ill = sum(scores.positive[low:high])
        patients = ill + sum(scores.negative[low:high])
        if patients < 1:
            continue
        middles = [(part + 0.5) / scores.parts for part in range(low, high)]
        both = [scores.negative[part] + scores.positive[part] for part in range(low, high)]
        mean = sum(a * b for a, b in zip(middles, both, strict=True)) / patients
        bottom, top = wilson(ill / patients, patients)
        points.append(Point(round(mean, 3), round(ill / patients, 3), round(patients), bottom, top))
    return Curve(tuple(points))
