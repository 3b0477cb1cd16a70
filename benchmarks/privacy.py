"""What noise costs: the AUC of `heart` against epsilon, over the three hospitals of the demonstration.

    PYTHONPATH=workloads/fl_client python -m benchmarks.privacy [--svg docs/privacy.svg]

Ten rounds of training (and the answer that only measures, which costs as much), delta 1e-5, each difference
through the hospitals' own airlock; the mean of `RUNS` runs whose noise is seeded, so that everybody gets the
same figures. Some ten seconds.
"""

import argparse
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np
from fed_site.airlock import Limits, Noise, difference
from fed_site.privacy import Budget

from workloads.data import heart_data
from workloads.jobs.heart.heart_job import model

HOSPITALS = ("cleveland", "hungary", "va-long-beach")
EPSILONS = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
ROUNDS, STEPS, LONGEST, DELTA, RUNS = 10, 5, 0.5, 1e-5, 20
UNITS: Mapping[str, str] = {"patient": "#0b6e99", "hospital": "#b4540a"}
"""Whom the noise protects -> colour of its line."""


@cache
def hospitals() -> list[tuple[model.Array, model.Array, model.Array, model.Array]]:
    """Each hospital's features and labels: to train, then to test."""
    files = [model.read_patients(heart_data.seed(name).decode()) for name in HOSPITALS]
    scale = model.Scaling.of(model.join(files))
    designs = [(model.design(file, scale), file.labels, file.test) for file in files]
    return [(rows[~test], labels[~test], rows[test], labels[test]) for rows, labels, test in designs]


def noise_of(budget: Budget, patients: int, random: np.random.Generator) -> Noise:
    """As the airlock draws it, but seeded."""
    deviation = budget.deviation(LONGEST, model.patient_change(patients, STEPS))
    return lambda size: np.asarray(random.normal(0.0, deviation, size))


def auc(budget: Budget | None, seed: int) -> float:
    """Return the mean of the hospitals' AUCs of the final model."""
    random = np.random.default_rng(seed)
    weights = np.zeros(1 + len(model.FEATURES))
    for _ in range(ROUNDS):
        updates = []
        for rows, labels, _, _ in hospitals():
            noise = noise_of(budget, len(labels), random) if budget else None
            trained = model.descend(rows, labels, weights, STEPS)
            limits = Limits(longest=LONGEST)
            updates.append(difference({"w": trained - weights}, {"w": weights}, limits, noise=noise)["w"])
        weights = weights + np.average(updates, axis=0, weights=[len(own[1]) for own in hospitals()])
    return float(np.mean([model.auc(labels, rows @ weights) for _, _, rows, labels in hospitals()]))


def curve(unit: str) -> list[float]:
    """Return the mean AUC at each epsilon."""
    return [
        float(np.mean([auc(Budget(each, DELTA, ROUNDS + 1, unit), seed) for seed in range(RUNS)]))
        for each in EPSILONS
    ]


def plot(curves: Mapping[str, list[float]], without: float) -> str:
    """Return an SVG of 640 x 360: AUC over epsilon (logarithmic), and the line without noise."""

    def at(epsilon: float, value: float) -> str:
        return f"{60 + 270 * np.log10(epsilon):.0f},{310 - 700 * (value - 0.5):.0f}"

    parts = [
        f'<polyline fill="none" stroke="{UNITS[unit]}" stroke-width="2" points="'
        f'{" ".join(at(*pair) for pair in zip(EPSILONS, values, strict=True))}"/>'
        f'<text x="{330 if unit == "patient" else 420}" y="{95 if unit == "patient" else 240}"'
        f' fill="{UNITS[unit]}">unit: {unit}</text>'
        for unit, values in curves.items()
    ]
    left, right = at(1, without).split(",")[1], at(100, without).split(",")[0]
    parts.append(f'<path d="M60,{left} H{right}" stroke="#777" stroke-dasharray="4"/>')
    parts.append(f'<text x="64" y="{int(left) - 6}" fill="#777">without noise</text>')
    parts.append('<path d="M60,30 V310 H600" fill="none" stroke="#333"/>')
    parts += [
        f'<text x="{at(each, 0.5).split(",")[0]}" y="328" text-anchor="middle">{each:g}</text>'
        for each in EPSILONS
    ]
    parts += [
        f'<text x="52" y="{int(at(1, value).split(",")[1]) + 4}" text-anchor="end">{value:.1f}</text>'
        for value in (0.5, 0.6, 0.7, 0.8, 0.9)
    ]
    parts.append('<text x="330" y="350" text-anchor="middle">epsilon (delta 1e-5), ten rounds</text>')
    parts.append('<text x="30" y="20">AUC (mean of three hospitals)</text>')
    style = 'font-family="sans-serif" font-size="13" fill="#333"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 360" {style}>'
    ground = '<rect width="640" height="360" fill="#fff"/>'
    return "\n".join([head, ground, *parts, "</svg>"]) + "\n"


def main() -> None:
    """Print the table; draw the figure where asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--svg", type=Path, help="where to draw the figure")
    arguments = parser.parse_args()
    curves, without = {unit: curve(unit) for unit in UNITS}, auc(None, 0)
    for unit, values in curves.items():
        shown = " | ".join(f"{value:.3f}" for value in values)
        sys.stdout.write(f"| `{unit}` | {shown} | {without:.3f} |\n")
    if arguments.svg:
        arguments.svg.write_text(plot(curves, without))


if __name__ == "__main__":
    main()
