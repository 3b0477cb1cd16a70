"""What NVFlare's sklearn-linear needs around it: its table, and the settings of its first round."""

import csv
import os
import runpy
import sys
from pathlib import Path

import nvflare.client as flare
from nvflare.client import FLModel

SCALES = {"age": (54.0, 9.0), "thalch": (140.0, 25.0), "oldpeak": (0.9, 1.1)}
"""Column -> middle and size of its values, the same at each hospital."""
SETTINGS = {
    "n_classes": 2,
    "learning_rate": "constant",
    "eta0": 0.01,
    "loss": "log_loss",
    "penalty": "l2",
    "fit_intercept": 1,
}
"""As NVFlare's recipe sends them with the first round; here the model is numbers alone."""
TABLE = "table.csv"
_receive = flare.receive


def _write() -> int:
    """Write the table as the example reads it, the outcome first; return its rows."""
    with (Path(os.environ["FED_DATA"]) / "heart.csv").open() as stream:
        rows = [row for row in csv.DictReader(stream) if all(row[name] for name in SCALES)]
    table = [
        [row["disease"], *((float(row[name]) - a) / b for name, (a, b) in SCALES.items())] for row in rows
    ]
    with Path(TABLE).open("w", newline="") as stream:
        csv.writer(stream).writerows(table)
    return len(table)


def receive() -> FLModel:
    """Return a round's model, with the settings."""
    model = _receive()
    model.params.update(SETTINGS)
    return model


flare.receive = receive
patients = _write()
tested = patients // 5
sys.argv[1:] = [
    "--data_path",
    TABLE,
    *("--valid_start", "0", "--valid_end", str(tested)),
    *("--train_start", str(tested), "--train_end", str(patients)),
]
runpy.run_path(str(Path(__file__).with_name("client.py")), run_name="__main__")
