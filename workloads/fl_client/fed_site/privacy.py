"""Gaussian noise on differences, and a hospital's budget for it.

Where two data sets that nobody shall tell apart change a difference by at most `change` (L2 norm), noise of
a deviation of `change / strength` makes it `strength`-Gaussian differentially private, and answers add up by
their squares, also where each depends on those before (Dong, Roth and Su 2022, "Gaussian differential
privacy": the Gaussian mechanism, and composition). What that is as epsilon and delta is exact (Balle and Wang
2018, "Improving the Gaussian mechanism for differential privacy", theorem 8).
"""

import json
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final, final

import numpy as np
from numpy.typing import NDArray

from fed_site.alone import alone_at

LARGEST_EPSILON: Final = 100.0
"""More is no protection, and what `policy/airlock.json` may say at most."""
_STEPS = 100


@final
@dataclass(frozen=True)
class Budget:
    """What may be spent on all answers together: `epsilon` at `delta`, in equal shares for `answers`."""

    epsilon: float
    delta: float
    answers: int
    unit: str = "hospital"
    """Whose data nobody shall find out: `hospital`, whatever its data are and whatever a job's code does, or
    `patient`, one patient replaced by another, which holds where the job's code states truly how much that
    changes.
    """

    @cached_property
    def whole(self) -> float:
        """The square of the strength that all answers together may have."""
        return strength(self.epsilon, self.delta) ** 2

    @property
    def share(self) -> float:
        """The part of `whole` that one answer takes."""
        return self.whole / self.answers

    def deviation(self, longest: float, stated: float | None = None) -> float:
        """Of the noise on each number of a difference that is no longer than `longest`.

        `stated` is by how much one patient changes it, as the job's code says.
        """
        change = 2 * longest
        if self.unit == "patient" and stated is not None:
            change = min(change, stated)
        return change / math.sqrt(self.share)


@final
class Ledger:
    """What was spent so far, in a file of the hospital's: of all jobs, for ever."""

    def __init__(self, path: Path):
        self._path = path

    def take(self, budget: Budget) -> bool:
        """Note that one more answer leaves, before it does; False, and nothing noted, where too little is
        left. Raises ValueError, KeyError, TypeError or OSError for a ledger that cannot be used.
        """
        with alone_at(self._path):
            return self._take(budget)

    def _take(self, budget: Budget) -> bool:
        spent, answers = self._read()
        if spent + budget.share > budget.whole * (1 + 1e-9):
            return False
        new = self._path.with_name(self._path.name + ".new")
        with new.open("w") as stream:
            json.dump({"spent": spent + budget.share, "answers": answers + 1}, stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(new, self._path)  # noqa: PTH105 - atomic: a lost line would be spent twice
        return True

    def epsilon(self, delta: float) -> float:
        """What all answers so far amount to."""
        return epsilon(math.sqrt(self._read()[0]), delta)

    def _read(self) -> tuple[float, int]:
        if not self._path.exists():
            return 0.0, 0
        content = json.loads(self._path.read_text())
        spent = float(content["spent"])
        if not 0 <= spent < math.inf:
            raise ValueError(f"spent is {spent}")
        return spent, int(content["answers"])


def gaussian(size: int, deviation: float) -> NDArray[np.float64]:
    """So many numbers from the kernel's randomness (Box and Muller), which nobody can work out from others
    of them, as those of numpy's generators can be.
    """
    words = np.frombuffer(os.urandom(16 * size), dtype=np.uint64).reshape(2, size)
    radius, angle = ((words >> np.uint64(11)).astype(np.float64) + 0.5) / 2.0**53
    noise: NDArray[np.float64] = deviation * np.sqrt(-2 * np.log(radius)) * np.cos(2 * math.pi * angle)
    return noise


def delta(strength: float, epsilon: float) -> float:
    """The delta of an answer of that strength, at that epsilon."""
    if not strength:
        return 0.0
    near, far = strength / 2 - epsilon / strength, -strength / 2 - epsilon / strength
    return _normal(near) - math.exp(epsilon) * _normal(far)


def epsilon(strength: float, delta_: float) -> float:
    """The smallest epsilon of an answer of that strength, at that delta; at most five times what a budget may
    have.
    """
    return _largest(lambda tried: delta(strength, tried) > delta_, 5 * LARGEST_EPSILON)


def strength(epsilon: float, delta_: float) -> float:
    """The largest strength whose epsilon at that delta is no larger."""
    return _largest(lambda tried: delta(tried, epsilon) <= delta_, 10 * math.sqrt(LARGEST_EPSILON))


def _largest(holds: Callable[[float], bool], most: float) -> float:
    """The largest number from 0 to `most` for which that holds, where it holds for all smaller ones."""
    low, high = 0.0, most
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def _normal(value: float) -> float:
    """The share of a normal distribution below a value."""
    return math.erfc(-value / math.sqrt(2)) / 2
