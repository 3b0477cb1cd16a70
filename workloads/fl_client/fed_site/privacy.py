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
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from fed_site.alone import alone_at
from fed_site.kept import Keep

LARGEST_EPSILON: Final = 100.0
"""More is no protection, and what `policy/airlock.json` may say at most."""
_STEPS = 100


@dataclass(frozen=True)
class Allowance:
    """What may be spent on all answers together: `epsilon` at `delta`, in equal shares for `answers`."""

    epsilon: float
    delta: float
    answers: int

    @cached_property
    def whole(self) -> float:
        """The square of the strength that all answers together may have."""
        return strength(self.epsilon, self.delta) ** 2

    @property
    def share(self) -> float:
        """The part of `whole` that one answer takes."""
        return self.whole / self.answers


@final
@dataclass(frozen=True)
class Budget(Allowance):
    """A hospital's: of all studies together, and of each that its officers name."""

    unit: str = "hospital"
    """Whose data nobody shall find out: `hospital`, whatever its data are and whatever a job's code does, or
    `patient`, one patient replaced by another, which holds where the job's code states truly how much that
    changes.
    """
    studies: Mapping[str, Allowance] = field(default_factory=dict)
    """Where there are any, a job of none of them gets no answer."""

    @classmethod
    def read(cls, privacy: Mapping[str, Any]) -> "Budget":
        """From the officers' file. Raises TypeError or AttributeError for what has another form."""
        studies = {name: Allowance(**said) for name, said in privacy.get("studies", {}).items()}
        return cls(**{**privacy, "studies": studies})

    def knows(self, study: str) -> bool:
        """Whether a job of that study (empty: of none) may take of it."""
        return not self.studies or study in self.studies

    def taken(self, study: str) -> float:
        """The square of the strength of one answer: the smaller share, of the hospital's and the study's."""
        own = self.studies.get(study)
        return min(self.share, own.share) if own else self.share

    def deviation(self, longest: float, stated: float | None = None, study: str = "") -> float:
        """Of the noise on each number of a difference that is no longer than `longest`.

        `stated` is by how much one patient changes it, as the job's code says.
        """
        change = 2 * longest
        if self.unit == "patient" and stated is not None:
            change = min(change, stated)
        return change / math.sqrt(self.taken(study))


@final
class Ledger:
    """What was spent so far, in a file of the hospital's: of all jobs, and of each study, for ever."""

    def __init__(self, path: Path, keep: Keep):
        """`keep` returns when the file is safe."""
        self._path = path
        self._keep = keep

    def take(self, budget: Budget, study: str = "") -> bool:
        """Note that one more answer leaves, before it does; False, and nothing noted, where too little is
        left. Raises ValueError, KeyError, TypeError or OSError for a ledger that cannot be used or kept.
        """
        with alone_at(self._path):
            return self._take(budget, study)

    def _take(self, budget: Budget, study: str) -> bool:
        spent = self._read()
        more = budget.taken(study)
        allowed = {"": budget, **({study: budget.studies[study]} if study in budget.studies else {})}
        if any(spent.of(name) + more > allowance.whole * (1 + 1e-9) for name, allowance in allowed.items()):
            return False
        self._write(spent.and_of(study, more))
        self._keep(self._path)
        return True

    def _write(self, spent: "Spent") -> None:
        new = self._path.with_name(self._path.name + ".new")
        with new.open("w") as stream:
            json.dump({"spent": spent.all, "answers": spent.answers, "studies": dict(spent.studies)}, stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(new, self._path)  # noqa: PTH105 - atomic: a lost line would be spent twice

    def epsilon(self, delta: float, study: str = "") -> float:
        """What all answers so far amount to, or those of a study."""
        return epsilon(math.sqrt(self._read().of(study)), delta)

    def _read(self) -> "Spent":
        if not self._path.exists():
            return Spent()
        content = json.loads(self._path.read_text())
        known = content.get("studies", {}) if isinstance(content, dict) else {}
        studies = {str(name): float(spent) for name, spent in dict(known).items()}
        found = Spent(float(content["spent"]), int(content["answers"]), studies)
        if not all(0 <= spent < math.inf for spent in (found.all, *studies.values())):
            raise ValueError(f"spent is {found.all}, of studies {studies}")
        return found


@final
@dataclass(frozen=True)
class Spent:
    """Squares of strengths, which add up."""

    all: float = 0.0
    answers: int = 0
    studies: Mapping[str, float] = field(default_factory=dict)

    def of(self, study: str) -> float:
        """Of a study, of all together where it has no name."""
        return self.studies.get(study, 0.0) if study else self.all

    def and_of(self, study: str, more: float) -> "Spent":
        """With one more answer, of a study or of none."""
        studies = {**self.studies, study: self.of(study) + more} if study else self.studies
        return Spent(self.all + more, self.answers + 1, studies)


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
