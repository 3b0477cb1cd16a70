"""The privacy rules of the curated tables, as pure functions over counts of patients.

What a hospital's own policy lets out (fl_client) is for the centre's machine. What people read is held to
these rules as well: a smallest cell of `k`, enough hidden that nothing hidden can be worked out, counts
rounded, and no total that says more than its published parts. docs/adr/0070 names the attacks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

LEAST_K: Final = 5
"""Below this, small cells point at persons: no setting may go there."""
MINIMUM_HOSPITALS: Final = 3
"""With two, each could subtract itself and see the other."""
ROUNDING: Final = 5
"""Counts are given to the nearest 5, as NHS England does for small areas."""

WITHHELD: Final = "withheld by the hospital"
FEW: Final = "fewer than k patients"
ONE_SIDE: Final = "fewer than k patients on one side"
COMPLEMENT: Final = "would give a hidden cell away"
CHANGED: Final = "too little changed since an earlier run"
REPEATED: Final = "as in an earlier run: fewer than k patients differ"
FEW_HOSPITALS: Final = f"fewer than {MINIMUM_HOSPITALS} hospitals contribute"
HIDDEN_PART: Final = "a hospital's value is hidden"


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules in force. Raises ValueError for a `k` below LEAST_K."""

    k: int = 10

    def __post_init__(self) -> None:
        if self.k < LEAST_K:
            raise ValueError(f"smallest cell {self.k}: below {LEAST_K} a number may point at a person")

    @property
    def text(self) -> str:
        """For dim_run."""
        return f"k={self.k}, hospitals>={MINIMUM_HOSPITALS}, rounded to {ROUNDING}"

    def small(self, count: float) -> bool:
        """Whether a count of patients is too small to be shown; none at all is not."""
        return 0 < count < self.k


def rounded(count: float) -> int:
    """A count to the nearest ROUNDING."""
    return ROUNDING * round(count / ROUNDING)


def hide(counts: Mapping[str, float], rest: float, policy: Policy) -> dict[str, str]:
    """Which cells of one table must go, and why: cell -> reason.

    `counts` are the cells whose numbers are known, `rest` what the known total holds next to them. Small
    cells go; then the smallest that are left, until at least k patients in two places are hidden,
    so that subtracting what is visible from the total gives none of them.
    """
    reasons = {cell: FEW for cell, count in counts.items() if policy.small(count)}
    visible = sorted((count, cell) for cell, count in counts.items() if count and cell not in reasons)
    while visible and _exposed(counts, rest, policy, reasons):
        reasons[visible.pop(0)[1]] = COMPLEMENT
    return reasons


def _exposed(counts: Mapping[str, float], rest: float, policy: Policy, hidden: Mapping[str, str]) -> bool:
    """Whether the known total minus what is visible would give something small away."""
    total = rest + sum(counts[cell] for cell in hidden)
    places = sum(1 for cell in hidden if counts[cell] > 0) + (rest > 0)
    something_small = policy.small(rest) or any(policy.small(counts[cell]) for cell in hidden)
    return policy.small(total) or (something_small and places < 2)


def changed_too_little(now: Sequence[float], before: Sequence[float], policy: Policy) -> bool:
    """Whether a table differs from one shown before by so little that the difference describes few patients.

    The first number is all patients, the others are parts of them. A table that is the same is fine; one with
    as many patients and other parts is not: how many were exchanged is not known.
    """
    if tuple(now) == tuple(before):
        return False
    if len(now) != len(before) or abs(now[0] - before[0]) < policy.k:
        return True
    return any(policy.small(abs(a - b)) for a, b in zip(now[1:], before[1:], strict=True))
