"""Quality gates: bounds that a run's final metrics must keep before its model is registered. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


class GateError(ValueError):
    """A gate that cannot be understood."""


@dataclass(frozen=True)
class Verdict:
    """One gate's answer; `text` reads as a sentence."""

    metric: str
    passed: bool
    text: str


def judge(gates: Sequence[Mapping[str, Any]], metrics: Mapping[str, float]) -> list[Verdict]:
    """One verdict a gate, in order. A metric that is missing or not a number fails its gate.

    A gate is `{"metric": name, "at_least": bound}` or `{"metric": name, "at_most": bound}`.
    Raises GateError for any other.
    """
    return [_judge(gate, metrics) for gate in gates]


def _judge(gate: Mapping[str, Any], metrics: Mapping[str, float]) -> Verdict:
    bounds = [key for key in ("at_least", "at_most") if key in gate]
    if "metric" not in gate or len(bounds) != 1 or len(gate) != 2:
        raise GateError(f"gate {dict(gate)}: expected 'metric' and one of 'at_least', 'at_most'")
    name, side, bound = str(gate["metric"]), bounds[0], float(gate[bounds[0]])
    value = metrics.get(name)
    wanted = f"{side.replace('_', ' ')} {bound:g}"
    if value is None or math.isnan(value):
        return Verdict(name, False, f"{name} was not measured, expected {wanted}")
    passed = value >= bound if side == "at_least" else value <= bound
    return Verdict(name, passed, f"{name} is {value:.4f}, expected {wanted}")
