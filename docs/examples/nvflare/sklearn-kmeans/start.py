"""What NVFlare's sklearn-kmeans needs around it: its table, first centres, and sums in place of centres.

Its first round sends the centres of k-means++, which are patients' rows: that round stays here, and the
centres to start from are given ones. Afterwards a hospital sends, of each group, the sum of its patients'
values and their number, and nothing of a group of fewer than ten. Each hospital takes the step that NVFlare's
server takes in the example (its KMeansAssembler), from the same sums.
"""

import csv
import os
import runpy
import sys
import types
from pathlib import Path

import numpy as np
import nvflare.client as flare
from nvflare.client import FLModel, ParamsType

SCALES = {"age": (54.0, 9.0), "thalch": (140.0, 25.0), "oldpeak": (0.9, 1.1)}
"""Column -> middle and size of its values, the same at each hospital."""
FIRST = np.array([[-1.0, 1.0, -0.5], [0.0, 0.0, 0.0], [1.0, -1.0, 1.0]])
"""Centres to start from: young with a fast heart, the middle, old with a slow one."""
FEWEST = 10
SCALE = 1000.0
"""Of what is sent: sums over patients would be longer than the airlock lets out."""
TABLE = "table.csv"


class Rounds:
    """The example's rounds: its first here, the others those of the job."""

    def __init__(self) -> None:
        self._here = True
        self._centres, self._counts = FIRST, np.zeros(len(FIRST))
        self._is_running, self._receive, self._send = flare.is_running, flare.receive, flare.send

    def is_running(self) -> bool:
        """Tell whether there is another round."""
        return self._here or self._is_running()

    def receive(self) -> FLModel:
        """Return what the example expects: how many groups in its first round, then their centres."""
        if self._here:
            return FLModel(params={"n_clusters": len(FIRST)}, current_round=0)
        received = self._receive()
        self._take(SCALE * received.params["sums"], SCALE * received.params["counts"])
        return FLModel(params={"center": self._centres}, current_round=received.current_round + 1)

    def _take(self, sums: np.ndarray, counts: np.ndarray) -> None:
        """Move each centre to the mean of all patients that were counted for it, as KMeansAssembler."""
        counted = self._counts + counts
        moved = (self._centres * self._counts[:, None] + sums) / np.maximum(counted, 1)[:, None]
        self._centres = np.where(counted[:, None] > 0, moved, self._centres)
        self._counts = counted

    def send(self, model: FLModel) -> None:
        """Send the hospital's share of the sums; nothing of the example's first round."""
        if self._here:
            self._here = False
            return
        counts = np.asarray(model.params["count"], float)
        counts = np.where(counts >= FEWEST, counts, 0)
        sums = model.params["center"] * counts[:, None]
        params = {"sums": sums / SCALE, "counts": counts / SCALE}
        self._send(
            FLModel(params=params, params_type=ParamsType.DIFF, metrics=model.metrics, meta=model.meta)
        )


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


class Nowhere:
    """TensorBoard's writer; the box `tabular` has no PyTorch, and what it writes would stay in the box."""

    def __init__(self, **_: object) -> None:
        pass

    def add_scalar(self, *_: object) -> None:
        """Write nothing."""


board = types.ModuleType("torch.utils.tensorboard")
board.SummaryWriter = Nowhere
sys.modules[board.__name__] = board  # its parents are not looked for then, nor seen by scikit-learn
rounds = Rounds()
flare.is_running, flare.receive, flare.send = rounds.is_running, rounds.receive, rounds.send
patients = _write()
tested = patients // 5
sys.argv[1:] = [
    "--data_path",
    TABLE,
    *("--valid_start", "0", "--valid_end", str(tested)),
    *("--train_start", str(tested), "--train_end", str(patients)),
]
runpy.run_path(str(Path(__file__).with_name("client.py")), run_name="__main__")
