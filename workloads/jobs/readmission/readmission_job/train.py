"""A hospital's part, with NVFlare's Client API: a few steps on its own patients, and its measures."""

import argparse
import math
import os
from pathlib import Path

import numpy as np
import nvflare.client as flare
from nvflare.apis.dxo import MetaKey
from nvflare.client import FLModel, ParamsType

from readmission_job import model

WEIGHTS = "numpy_key"
OWN_STEPS = 1500
"""Enough for the best model that a hospital could train alone."""


def main(rounds: int, steps: int) -> None:
    """Answer each round with the difference that `steps` steps make and the metrics of the model that came.

    In the round numbered `rounds` the model is only measured.
    """
    flare.init()
    file = Path(os.environ.get("FED_DATA", "/data")) / "readmission.csv"
    patients = model.read_patients(file.read_text())
    features, train = model.design(patients.columns), ~patients.test
    own = model.descend(
        features[train], patients.days[train], patients.event[train], np.zeros(model.SIZE), OWN_STEPS
    )
    while flare.is_running():
        received = flare.receive()
        weights = received.params[WEIGHTS].astype(float)
        trained = weights
        if received.current_round < rounds:
            trained = model.descend(
                features[train], patients.days[train], patients.event[train], weights, steps
            )
        measured = metrics(patients, features, weights, own)
        flare.send(
            FLModel(
                params_type=ParamsType.DIFF,
                params={WEIGHTS: trained - weights},
                metrics={name: value for name, value in measured.items() if math.isfinite(value)},
                meta={MetaKey.NUM_STEPS_CURRENT_ROUND: int(train.sum())},
            )
        )


def metrics(
    patients: model.Patients, features: model.Array, weights: model.Array, own: model.Array
) -> dict[str, float]:
    """Of a model on the test patients, and against the hospital's own; NaN what cannot be computed."""
    test = patients.test
    days, event, tested = patients.days[test], patients.event[test], features[test]
    concordance = model.concordance(days, event, model.risk(tested, weights))
    own_concordance = model.concordance(days, event, model.risk(tested, own))
    return {
        "concordance": concordance,
        "own_concordance": own_concordance,
        "concordance_gain": concordance - own_concordance,
        "loss": model.loss(tested, days, event, weights),
        "n_test": float(test.sum()),
        "n_train": float((~test).sum()),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True)
    main(**vars(parser.parse_args()))
