"""What NVFlare's hello-lr needs around it: its four files, sums that may leave, and Newton's step.

In NVFlare's example the server takes the step; here each hospital does, from the same sums.
"""

import csv
import os
import runpy
import sys
import tempfile
from pathlib import Path

import numpy as np
import nvflare.client as flare
from nvflare.client import FLModel, ParamsType

SCALE = 5000.0
"""Of what is sent: sums over patients would be longer than the airlock lets out."""
SCALES = {"age": (54.0, 9.0), "thalch": (140.0, 25.0), "oldpeak": (0.9, 1.1)}
"""Column -> middle and size of its values, the same at each hospital."""


def _write(folder: Path, site: str) -> None:
    """Write the files that the example reads, every fifth patient into those for tests."""
    with (Path(os.environ["FED_DATA"]) / "heart.csv").open() as stream:
        rows = [row for row in csv.DictReader(stream) if all(row[name] for name in SCALES)]
    x = np.array([[(float(row[name]) - a) / b for name, (a, b) in SCALES.items()] for row in rows])
    y = np.array([[float(row["disease"])] for row in rows])
    tested = np.arange(len(rows)) % 5 == 0
    for part, chosen in (("train", ~tested), ("test", tested)):
        np.save(folder / f"{site}.{part}.x.npy", x[chosen])
        np.save(folder / f"{site}.{part}.y.npy", y[chosen])


class Newton:
    """The weights, from the sums that come with each round."""

    def __init__(self) -> None:
        self._weights = np.zeros((len(SCALES) + 1, 1))
        self._receive, self._send = flare.receive, flare.send

    def receive(self) -> FLModel:
        """Return what the example expects: the weights."""
        received = self._receive()
        if np.any(received.params["hessian"]):
            self._weights = self._weights + np.linalg.solve(
                received.params["hessian"], received.params["gradient"]
            )
        return FLModel(params={"numpy_key": self._weights}, current_round=received.current_round)

    def send(self, model: FLModel) -> None:
        """Send the hospital's share of the sums."""
        params = {name: array / SCALE for name, array in model.params.items()}
        self._send(FLModel(params=params, params_type=ParamsType.DIFF, meta=model.meta))


flare.init()
newton = Newton()
flare.receive, flare.send = newton.receive, newton.send
with tempfile.TemporaryDirectory() as place:
    _write(Path(place), flare.get_site_name())
    sys.argv[1:] = ["--data_root", place]
    runpy.run_path(str(Path(__file__).with_name("client.py")), run_name="__main__")
