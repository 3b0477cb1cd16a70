"""How the hospitals' updates become one, by name: what a job says in `aggregation`. Pure.

`weighted-mean` weighs by patients, and no hospital decides alone: an update longer than NORM_BOUND times the
median length is scaled down to that, and where three or more answer none has more than half of the weight.
`fedprox` is the same at the server (Li and others 2020, "Federated optimization in heterogeneous networks"):
its term is in the loss of the hospitals' script. `norm-bounded` scales by a length that the job names (Sun
and others 2019, "Can you really backdoor federated learning?"). `median` and `trimmed-mean` look at each
number by itself and give every hospital one voice: a minority cannot move them far, at the price of ignoring
how many patients stand behind an answer. NVFlare 2.9 has the first without its bounds
(InTimeAccumulateWeightedAggregator) and none of the others.
"""

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from fed_server.answers import Answer, Array

NORM_BOUND = 2.0
"""Hospitals of the demonstration stay within 1.2 of the median over all rounds."""
LARGEST_SHARE = 0.5
TRIMMED = 0.2
"""Share that the trimmed mean leaves out at each end, at least one hospital where three or more answer."""
ENOUGH_TO_COMPARE = 3
"""With two answers nobody can say which one is the odd one out."""

Update = Mapping[str, Array]


def weighted_mean(answers: Mapping[str, Answer], rows: Mapping[str, float]) -> Update:
    """Mean by patients of the bounded updates."""
    return _mean(answers, rows, scaling(answers))


def norm_bounded(answers: Mapping[str, Answer], rows: Mapping[str, float], *, longest: float) -> Update:
    """Mean by patients of the updates, none longer than `longest` (L2 norm over all its numbers)."""
    lengths = {site: _length(answer) for site, answer in answers.items()}
    return _mean(
        answers, rows, {site: min(1.0, longest / (length or 1.0)) for site, length in lengths.items()}
    )


def total(answers: Mapping[str, Answer], rows: Mapping[str, float]) -> Update:
    """What the hospitals' arrays add up to: of the workflow `sum`."""
    return {name: _stacked(answers, name).sum(axis=0) for name in _names(answers)}


def _mean(answers: Mapping[str, Answer], rows: Mapping[str, float], scales: Mapping[str, float]) -> Update:
    shares = weights(answers, rows)
    return {
        name: np.sum(
            [shares[site] * scales[site] * answer.update[name] for site, answer in answers.items()], axis=0
        )
        for name in _names(answers)
    }


def median(answers: Mapping[str, Answer], rows: Mapping[str, float]) -> Update:
    """The median of each number."""
    return {name: np.asarray(np.median(_stacked(answers, name), axis=0)) for name in _names(answers)}


def trimmed_mean(answers: Mapping[str, Answer], rows: Mapping[str, float]) -> Update:
    """The mean of each number without its largest and smallest values."""
    count = len(answers)
    cut = max(int(TRIMMED * count), 1) if count >= ENOUGH_TO_COMPARE else 0
    return {
        name: np.asarray(np.sort(_stacked(answers, name), axis=0)[cut : count - cut].mean(axis=0))
        for name in _names(answers)
    }


Method = Callable[[Mapping[str, Answer], Mapping[str, float]], Update]
METHODS: Mapping[str, Method] = {
    "weighted-mean": weighted_mean,
    "fedprox": weighted_mean,
    "median": median,
    "trimmed-mean": trimmed_mean,
}


def method(name: str, longest: float | None = None) -> Method:
    """The method of that name; `longest` is the number of `norm-bounded`. Raises KeyError."""
    return METHODS[name] if longest is None else partial(norm_bounded, longest=longest)


def weights(answers: Mapping[str, Answer], rows: Mapping[str, float]) -> dict[str, float]:
    """Each hospital's share of a weighted mean; they sum to 1.

    `rows` are the patients that container servers counted. A hospital for which nobody counted weighs at most
    as the smallest of the others, and where nobody counted any all weigh the same.
    """
    counted = [answer.patients for site, answer in answers.items() if site in rows]
    most = min(counted, default=1.0)
    claimed = {
        site: answer.patients if site in rows else min(answer.patients, most)
        for site, answer in answers.items()
    }
    total = sum(claimed.values())
    shares = {site: patients / total for site, patients in claimed.items()}
    largest = max(shares, key=lambda site: shares[site])
    if len(shares) < ENOUGH_TO_COMPARE or shares[largest] <= LARGEST_SHARE:
        return shares
    others = (1 - LARGEST_SHARE) / (1 - shares[largest])
    return {site: LARGEST_SHARE if site == largest else share * others for site, share in shares.items()}


def scaling(answers: Mapping[str, Answer]) -> dict[str, float]:
    """By what each update is multiplied, 1 or less, so that none is longer than NORM_BOUND medians."""
    lengths = {site: _length(answer) for site, answer in answers.items()}
    if len(lengths) < ENOUGH_TO_COMPARE:
        return dict.fromkeys(lengths, 1.0)
    bound = NORM_BOUND * float(np.median(list(lengths.values())))
    return {site: bound / length if length > bound else 1.0 for site, length in lengths.items()}


def _length(answer: Answer) -> float:
    return math.sqrt(sum(float((array**2).sum()) for array in answer.update.values()))


def _names(answers: Mapping[str, Answer]) -> list[str]:
    return list(next(iter(answers.values())).update)


def _stacked(answers: Mapping[str, Answer], name: str) -> Any:
    return np.stack([answer.update[name] for answer in answers.values()])
