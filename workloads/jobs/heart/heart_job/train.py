"""A hospital's part, with NVFlare's Client API: a few steps of gradient descent on its own patients, and what
they say about the model.
"""

import argparse
import math
import os
from pathlib import Path
from typing import Any

import nvflare.client as flare
from nvflare.apis.dxo import MetaKey
from nvflare.client import FLModel, ParamsType

from heart_job import model

WEIGHTS = "numpy_key"
"""NVFlare's key of the one array of its numpy persistor."""


def main(rounds: int, steps: int) -> None:
    """Answer each round with the difference that `steps` steps make and the metrics of the model that came.

    In the round numbered `rounds` the model is only measured. The aggregate is weighted by training patients.
    """
    flare.init()
    # Read once; the model that this hospital would have alone is fitted once as well.
    patients = model.read_patients((Path(os.environ.get("FED_DATA", "/data")) / "heart.csv").read_text())
    features = model.design(patients, shared_scaling())
    own = own_only(patients)
    train = ~patients.test
    while flare.is_running():
        received = flare.receive()
        weights = received.params[WEIGHTS].astype(float)
        trained = weights
        if received.current_round < rounds:
            trained = model.descend(features[train], patients.labels[train], weights, steps)
        measured = metrics(patients, features, weights) | {
            f"own_{name}": value for name, value in own.items()
        }
        flare.send(
            FLModel(
                params_type=ParamsType.DIFF,
                params={WEIGHTS: trained - weights},
                metrics={name: value for name, value in measured.items() if math.isfinite(value)},
                meta={
                    MetaKey.NUM_STEPS_CURRENT_ROUND: int(train.sum()),
                    "patient_change": model.patient_change(int(train.sum()), steps),
                    "score_histograms": histograms(patients, features, weights),
                },
            )
        )


def shared_scaling() -> model.Scaling:
    """The federation's, from the job's settings: feature -> [mean, standard deviation]."""
    scaling = flare.get_config()["scaling"]
    return model.Scaling(
        mean={name: pair[0] for name, pair in scaling.items()},
        std={name: pair[1] for name, pair in scaling.items()},
    )


def metrics(patients: model.Patients, features: model.Array, weights: model.Array) -> dict[str, float]:
    """Of a model on the test patients; NaN what cannot be computed (an AUC of one class)."""
    test = patients.test
    return {
        **model.evaluate(patients.labels[test], model.predict(features[test], weights)),
        "n_train": float((~test).sum()),
        "n_test": float(test.sum()),
        "prevalence": float(patients.labels.mean()),
    }


def histograms(patients: model.Patients, features: model.Array, weights: model.Array) -> dict[str, Any]:
    """Of the test patients' scores, by class."""
    test = patients.test
    labels, scores = patients.labels[test], model.predict(features[test], weights)
    return {
        "healthy": model.score_histogram(labels, scores, 0),
        "ill": model.score_histogram(labels, scores, 1),
    }


def own_only(patients: model.Patients) -> dict[str, float]:
    """AUC, accuracy and Brier score, on the test rows, of the best model the training rows alone allow."""
    features = model.design(patients, model.Scaling.of(patients))
    train, labels = ~patients.test, patients.labels
    weights = model.solve(features[train], labels[train])
    measured = model.evaluate(labels[~train], model.predict(features[~train], weights))
    return {name: measured[name] for name in ("auc", "accuracy", "brier")}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True)
    main(**vars(parser.parse_args()))
