"""A hospital's part, with NVFlare's Client API: receive the model, improve it on own patients, send the
difference.
"""

import argparse
import csv
import os
from pathlib import Path

import numpy as np
import nvflare.client as flare
from nvflare.apis.dxo import MetaKey
from nvflare.client import FLModel, ParamsType

BEATS = 25.0
"""One unit of the model in beats a minute. Hospitals scale a longer change of the model than 1 down to
that, so models are best kept to numbers around one.
"""

parser = argparse.ArgumentParser()
parser.add_argument("--rate", type=float, required=True)
rate = parser.parse_args().rate

with (Path(os.environ.get("FED_DATA", "/data")) / "heart.csv").open() as stream:
    rows = [row for row in csv.DictReader(stream) if row["thalch"]]
features = np.array([[1.0, (float(row["age"]) - 50) / 10, float(row["sex"])] for row in rows])
pulse = np.array([(float(row["thalch"]) - 140) / BEATS for row in rows])

flare.init()
while flare.is_running():
    received = flare.receive()
    if received is None:
        break
    weights = np.asarray(received.params["numpy_key"], dtype=float)
    error = features @ weights - pulse
    step = rate * np.linalg.solve(features.T @ features + np.eye(3), features.T @ error)
    flare.send(
        FLModel(
            params_type=ParamsType.DIFF,
            params={"numpy_key": -step},
            metrics={"error": BEATS * float(np.abs(error).mean()), "n_test": float(len(rows))},
            meta={MetaKey.NUM_STEPS_CURRENT_ROUND: len(rows)},
        )
    )
