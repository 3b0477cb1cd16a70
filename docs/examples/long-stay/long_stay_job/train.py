"""A hospital's part: some passes of scikit-learn's SGD over its own patients in each round."""

import argparse
import os
from pathlib import Path

import numpy as np
import nvflare.client as flare
import pandas as pd
from nvflare.apis.dxo import MetaKey
from nvflare.client import FLModel, ParamsType
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.metrics import accuracy_score, brier_score_loss, roc_auc_score

from long_stay_job.model import features

parser = argparse.ArgumentParser()
parser.add_argument("--rounds", type=int, required=True)
parser.add_argument("--passes", type=int, required=True)
asked = parser.parse_args()

table = pd.read_csv(Path(os.environ.get("FED_DATA", "/data")) / "stay.csv")
inputs, outcome = features(table), table["long_stay"].to_numpy()
test = (table["split"] == "test").to_numpy()
alone = LogisticRegression().fit(inputs[~test], outcome[~test])


def trained(weights: np.ndarray) -> np.ndarray:
    """Intercept and coefficients after some passes from these."""
    model = SGDClassifier(loss="log_loss", learning_rate="constant", eta0=0.01, random_state=0)
    model.partial_fit(inputs[~test], outcome[~test], classes=[0, 1])  # makes the arrays that are set now
    model.intercept_, model.coef_ = weights[:1].copy(), weights[None, 1:].copy()
    for _ in range(asked.passes):
        model.partial_fit(inputs[~test], outcome[~test])
    return np.r_[model.intercept_, model.coef_[0]]


def risk(weights: np.ndarray) -> np.ndarray:
    """Of the test patients."""
    return 1 / (1 + np.exp(-(weights[0] + inputs[test] @ weights[1:])))


def metrics(scores: np.ndarray) -> dict[str, float]:
    """Of the federation's model and of the one that this hospital would have alone, on the test patients."""
    return {
        "auc": roc_auc_score(outcome[test], scores),
        "own_auc": roc_auc_score(outcome[test], alone.predict_proba(inputs[test])[:, 1]),
        "accuracy": accuracy_score(outcome[test], scores > 0.5),
        "brier": brier_score_loss(outcome[test], scores),
        "calibration_in_the_large": scores.mean() - outcome[test].mean(),
        "prevalence": outcome.mean(),
        "n_train": (~test).sum(),
        "n_test": test.sum(),
    }


flare.init()
while flare.is_running():
    received = flare.receive()
    if received is None:
        break
    weights = np.asarray(received.params["weights"], dtype=float)
    scores = risk(weights)
    # In the last round the model is only measured: what is measured is what becomes a version.
    after = trained(weights) if received.current_round < asked.rounds else weights
    flare.send(
        FLModel(
            params_type=ParamsType.DIFF,
            params={"weights": after - weights},
            metrics={name: float(value) for name, value in metrics(scores).items()},
            meta={
                MetaKey.NUM_STEPS_CURRENT_ROUND: int((~test).sum()),
                "score_histograms": {
                    name: np.histogram(scores[outcome[test] == label], 20, (0, 1))[0].tolist()
                    for name, label in (("short", 0), ("long", 1))
                },
            },
        )
    )
