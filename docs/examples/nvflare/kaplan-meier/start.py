"""What NVFlare's Kaplan-Meier example needs around it: its table, and its counts in cells of 15 days.

The example sends a table with an entry for each day, where a count of one points at a patient. In cells the
airlock spreads small counts over their neighbours. The example's second round, which draws the curve at each
hospital, is left out: a box keeps no file. curve.py makes the curve of what the centre has.
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

DAYS, CELLS = 15, 25
"""Of a cell; days up to 375."""
_receive, _send = flare.receive, flare.send


def _write(folder: Path, site: str) -> None:
    """Write the table as the example reads it: columns `time` and `event`."""
    with (Path(os.environ["FED_DATA"]) / "readmission.csv").open() as stream:
        rows = [(row["days"], row["event"]) for row in csv.DictReader(stream)]
    with (folder / f"{site}.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("time", "event"), *rows])


def receive() -> FLModel:
    """Return the empty message with which the example's server begins, in each round of the job."""
    _receive()
    return FLModel(params={}, current_round=1)


def send(model: FLModel) -> None:
    """Send the counts as histograms."""
    counts = {"observed": [0] * CELLS, "censored": [0] * CELLS}
    for name, table in (("observed", "hist_obs"), ("censored", "hist_cen")):
        for day, patients in model.params[table].items():
            counts[name][min(int(day) // DAYS, CELLS - 1)] += int(patients)
    params = {"nothing": np.zeros(())}
    _send(FLModel(params=params, params_type=ParamsType.DIFF, meta={"score_histograms": counts}))


flare.init()
flare.receive, flare.send = receive, send
with tempfile.TemporaryDirectory() as place:
    _write(Path(place), flare.get_site_name())
    sys.argv[1:] = ["--data_root", place]
    runpy.run_path(str(Path(__file__).with_name("client.py")), run_name="__main__")
