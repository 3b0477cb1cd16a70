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


def judge(
    gates: Sequence[Mapping[str, Any]],
    metrics: Mapping[str, float],
    hospitals: Mapping[str, Mapping[str, float]] | None = None,
) -> list[Verdict]:
    """One verdict a gate, in order. A metric that is missing or not a number fails its gate.

    A gate is `{"metric": name, "at_least": bound}` or `{"metric": name, "at_most": bound}` on the
    federation's `metrics`; with `"of": "each"` every one of the `hospitals` that has the metric must keep it,
    and at least one has it: a mean can hide a hospital at which the model is of no use. Raises GateError for
    any other.
    """
    return [_judge(gate, metrics, hospitals or {}) for gate in gates]


def _judge(
    gate: Mapping[str, Any], metrics: Mapping[str, float], hospitals: Mapping[str, Mapping[str, float]]
) -> Verdict:
    bounds = [key for key in ("at_least", "at_most") if key in gate]
    known = {"metric", "of", *bounds}
    if "metric" not in gate or len(bounds) != 1 or set(gate) - known or gate.get("of", "each") != "each":
        raise GateError(
            f"gate {dict(gate)}: expected 'metric', one of 'at_least', 'at_most', and perhaps 'of: each'"
        )
    name, side, bound = str(gate["metric"]), bounds[0], float(gate[bounds[0]])
    wanted = f"{side.replace('_', ' ')} {bound:g}"
    found = (
        {"": metrics.get(name)}
        if "of" not in gate
        else {f" at {hospital}": sent[name] for hospital, sent in sorted(hospitals.items()) if name in sent}
    )
    values = {where: value for where, value in found.items() if value is not None and not math.isnan(value)}
    if not values:
        return Verdict(name, False, f"{name} was not measured, expected {wanted}")
    worst = (min if side == "at_least" else max)(values, key=lambda where: values[where])
    value = values[worst]
    passed = value >= bound if side == "at_least" else value <= bound
    return Verdict(name, passed, f"{name}{worst} is {value:.4f}, expected {wanted}")
