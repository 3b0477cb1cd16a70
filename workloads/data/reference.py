"""The pooled reference: what one model would reach if all rows lay in one place. Operator's side only.

The federation cannot compute this (no party holds all rows); the operator of the demonstration can, because
the data is public. Every result says so in `computed`. `python -m workloads.data.reference [--splits N]`
prints JSON.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from workloads.data import heart_data
from workloads.jobs.heart.heart_job import model

COMPUTED = "on the operator's side, from all hospitals' rows in one place: no party of the federation could"
DEFAULT_HOSPITALS = ("cleveland", "hungary", "va-long-beach")


def pooled(
    hospitals: Sequence[str] = DEFAULT_HOSPITALS, split_seed: int = heart_data.SPLIT_SEED
) -> dict[str, Any]:
    """Pooled and own-only models, each fitted to its optimum on training rows and measured on test rows.

    `pooled` is measured on all hospitals' test rows; `hospitals` holds, for each, `pooled` and `own_only`
    on its own.
    """
    files = _files(hospitals, split_seed)
    scaling = model.Scaling.of(model.join(list(files.values())))
    weights = _fit(model.join(list(files.values())), scaling)
    return {
        "computed": COMPUTED,
        "split_seed": split_seed,
        "pooled": _measure(model.join(list(files.values())), scaling, weights),
        "hospitals": {name: _hospital(rows, scaling, weights) for name, rows in files.items()},
    }


def measure_global(
    weights: Sequence[float],
    scaling: model.Scaling,
    hospitals: Sequence[str] = DEFAULT_HOSPITALS,
    split_seed: int = heart_data.SPLIT_SEED,
) -> dict[str, Any]:
    """A federated model (intercept, then model.FEATURES) measured on the same test rows as `pooled()`."""
    files = _files(hospitals, split_seed)
    given = np.asarray(weights, dtype=float)
    return {
        "computed": COMPUTED,
        "split_seed": split_seed,
        "federated": _measure(model.join(list(files.values())), scaling, given),
        "hospitals": {name: _measure(rows, scaling, given) for name, rows in files.items()},
    }


def _files(hospitals: Sequence[str], split_seed: int) -> dict[str, model.Patients]:
    return {name: model.read_patients(heart_data.seed(name, split_seed).decode()) for name in hospitals}


def _hospital(rows: model.Patients, scaling: model.Scaling, weights: model.Array) -> dict[str, Any]:
    own = model.Scaling.of(rows)
    return {
        "pooled": _measure(rows, scaling, weights),
        "own_only": _measure(rows, own, _fit(rows, own)),
        "train": int((~rows.test).sum()),
        "test": int(rows.test.sum()),
    }


def _fit(rows: model.Patients, scaling: model.Scaling) -> model.Array:
    return model.solve(model.design(rows, scaling)[~rows.test], rows.labels[~rows.test])


def _measure(rows: model.Patients, scaling: model.Scaling, weights: model.Array) -> Mapping[str, float]:
    scores = model.predict(model.design(rows, scaling)[rows.test], weights)
    return model.evaluate(rows.labels[rows.test], scores)


def main() -> None:
    """Print the reference of one split, or of several consecutive seeds, as JSON."""
    parser = argparse.ArgumentParser(description="Pooled reference run (operator's side)")
    parser.add_argument("--hospital", action="append", help="repeat; default: the three of the dev stack")
    parser.add_argument(
        "--splits", type=int, default=1, help="how many split seeds, counted from the default one"
    )
    arguments = parser.parse_args()
    seeds = range(heart_data.SPLIT_SEED, heart_data.SPLIT_SEED + arguments.splits)
    print(json.dumps([pooled(arguments.hospital or DEFAULT_HOSPITALS, seed) for seed in seeds], indent=1))


if __name__ == "__main__":
    main()
