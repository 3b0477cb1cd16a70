"""`python -m fed_box.score`: the only program of the container in which a model predicts for its hospital.

The hospital's container server gives it the model's code and numbers in a folder, read-only, and a table over
the channel; what the model says of each row goes back the same way, and nowhere else.
"""

import importlib
import socket
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fed_box.channel import CODE, MODEL, Frame, receive, send
from fed_box.meeting import BOX, WAIT_SECONDS, begin, fail

SEND_SECONDS = 60.0


def predict(folder: Path, asked: Frame) -> NDArray[np.float64]:
    """What the model says of each row, shape (rows,).

    `asked` has the columns as arrays of shape (rows,), NaN where a value is missing; its value `predictor` is
    the path of a module with `_load_pyfunc(folder)`, as MLflow loads it. Raises whatever the model raises.
    """
    sys.path.insert(0, str(folder / CODE))
    module: Any = importlib.import_module(
        str(asked.values["predictor"]).removesuffix(".py").replace("/", ".")
    )
    model = module._load_pyfunc(str(folder / MODEL))
    return np.asarray(model.predict(dict(asked.arrays)), dtype=np.float64)


def answer(folder: Path, connection: socket.socket) -> int:
    """Answer the one question there is; the program's exit code."""
    asked = receive(connection, WAIT_SECONDS)
    try:
        scores = predict(folder, asked)
    except BaseException as error:  # whatever the model's code raises, its hospital is to know where
        return fail(connection, folder / CODE, error, SEND_SECONDS)
    send(connection, Frame(kind="scores", arrays={"scores": scores}), SEND_SECONDS)
    return 0


def main() -> None:
    """See the module."""
    connection = begin("fl-score")
    sys.exit(answer(BOX, connection))


if __name__ == "__main__":
    main()
