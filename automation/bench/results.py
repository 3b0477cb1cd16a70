"""What was measured -> ratios, growth, and whether the targets hold."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from automation.bench.measure import Cost
from automation.bench.sizes import Row

MANY: Final = 10
"""Hospitals from which growth is fitted: below, what does not grow is most of the time."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Where and when it was measured."""

    at: str
    cores: int
    memory_gib: float
    cpu: str
    load: float
    command: str
    commit: str


@dataclass(frozen=True, kw_only=True)
class Results:
    """One run of `fed bench`."""

    machine: Machine
    rows: Sequence[Row]
    seconds: float
    left_out: Sequence[str] = field(default_factory=tuple)

    def cost(self, program: str, hospitals: int, step: str) -> Cost | None:
        """Return the cost of a step, None where it was not measured."""
        found = [r for r in self.rows if (r.program, r.hospitals, r.step) == (program, hospitals, step)]
        return found[-1].cost if found else None

    def sizes(self) -> list[int]:
        """Return the numbers of hospitals that were measured."""
        return sorted({row.hospitals for row in self.rows if row.step == "preview"})


def exponent(points: Iterable[tuple[float, float]]) -> float | None:
    """Return the slope of the best line through the logarithms of (size, value): 1 is linear growth.

    None for fewer than two sizes, or where nothing can be told.
    """
    logs = [(math.log(size), math.log(value)) for size, value in points if size > 0 and value > 0]
    if len({x for x, _ in logs}) < 2:
        return None
    mean_x = sum(x for x, _ in logs) / len(logs)
    mean_y = sum(y for _, y in logs) / len(logs)
    spread = sum((x - mean_x) ** 2 for x, _ in logs)
    return sum((x - mean_x) * (y - mean_y) for x, y in logs) / spread


def growth(results: Results, step: str, quantity: str, program: str = "fed") -> float | None:
    """Return how a step's `wall`, `cpu` or `peak` grows with the hospitals, from `MANY` of them."""
    found = [(size, results.cost(program, size, step)) for size in results.sizes() if size >= MANY]
    return exponent((size, getattr(cost, quantity)) for size, cost in found if cost)


@dataclass(frozen=True, kw_only=True)
class Target:
    """Something that is to hold; `value` is None where it was not measured."""

    what: str
    wanted: float
    value: float | None
    unit: str = ""
    at_least: bool = False

    @property
    def holds(self) -> bool | None:
        """Whether it does; None where it was not measured."""
        if self.value is None:
            return None
        return self.value >= self.wanted if self.at_least else self.value <= self.wanted


def targets(results: Results) -> list[Target]:
    """Return the project's targets for 2 cores, with what was measured."""
    return [*_of_a_hundred(results), *_of_growth(results), *_of_ratios(results), *_of_training(results)]


def _of_a_hundred(results: Results) -> list[Target]:
    preview, second, verify = (results.cost("fed", 100, step) for step in ("preview", "second up", "verify"))
    return [
        Target(what="preview, 100 hospitals", wanted=25, unit="s", value=preview.wall if preview else None),
        Target(what="its memory", wanted=700, unit="MiB", value=preview.peak if preview else None),
        Target(what="second up, 100 hospitals", wanted=30, unit="s", value=second.wall if second else None),
        Target(
            what="verify of the graph, 100 hospitals",
            wanted=10,
            unit="s",
            value=verify.wall if verify else None,
        ),
    ]


def _of_growth(results: Results) -> list[Target]:
    return [
        Target(what="growth of preview's time", wanted=1.05, value=growth(results, "preview", "wall")),
        Target(what="growth of preview's memory", wanted=1.05, value=growth(results, "preview", "peak")),
        Target(what="growth of verify's time", wanted=1.99, value=growth(results, "verify", "wall")),
    ]


def _of_ratios(results: Results) -> list[Target]:
    size = max(results.sizes(), default=0)
    preview, floor, plain = (results.cost(program, size, "preview") for program in ("fed", "floor", "plain"))
    more, second = results.cost("fed", size, "one more hospital"), results.cost("fed", size, "second up")
    return [
        Target(what="preview against the engine's floor", wanted=1.5, unit="x", value=_ratio(preview, floor)),
        Target(
            what="the plain program's preview against ours",
            wanted=15,
            unit="x",
            value=_ratio(plain, preview),
            at_least=True,
        ),
        Target(
            what="one more hospital against a second up", wanted=1.2, unit="x", value=_ratio(more, second)
        ),
    ]


def _of_training(results: Results) -> list[Target]:
    ours, theirs = (
        [results.cost(program, 3, f"train, {rounds}") for rounds in ("10 rounds", "1 round")]
        for program in ("fed", "simulator")
    )
    return [
        Target(
            what="a round of heart against NVFlare's simulator",
            wanted=1.2,
            unit="x",
            value=_rounds(*ours, *theirs),
        ),
        Target(
            what="a whole training against NVFlare's simulator",
            wanted=1.5,
            unit="x",
            value=_ratio(ours[0], theirs[0]),
        ),
    ]


def _ratio(one: Cost | None, other: Cost | None) -> float | None:
    return one.wall / other.wall if one and other else None


def _rounds(
    ten: Cost | None, one: Cost | None, their_ten: Cost | None, their_one: Cost | None
) -> float | None:
    """Return the time of nine more rounds against nine more of the other's."""
    if not (ten and one and their_ten and their_one) or their_ten.wall <= their_one.wall:
        return None
    return (ten.wall - one.wall) / (their_ten.wall - their_one.wall)
