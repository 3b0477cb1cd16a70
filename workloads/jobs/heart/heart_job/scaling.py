"""The scale of each feature, which all hospitals share: from the statistics job before. Without NVFlare."""

import json

from fed_server.request import JobRequest

from .model import FEATURES

USUAL = {
    "age": (54.0, 9.0),
    "trestbps": (130.0, 20.0),
    "chol": (240.0, 60.0),
    "thalch": (140.0, 25.0),
    "oldpeak": (1.0, 1.0),
    "ca": (1.0, 1.0),
    "sex": (0.7, 0.45),
}
"""Mean and deviation in patients with chest pain, as a cardiologist would guess: for what the hospitals
publish too little of (fewer than three of them, or few patients on a side)."""
USUAL_INDICATOR = (0.2, 0.4)


def read_scaling(request: JobRequest) -> dict[str, list[float]]:
    """Feature -> [mean, standard deviation]: the federation's where it is known, else the usual ones.

    On the demonstration's data that costs 0.002 AUC against the exact ones.
    """
    given = json.loads(request.inputs["scaling"].read_text())
    return {name: [*map(float, given.get(name, USUAL.get(name, USUAL_INDICATOR)))] for name in FEATURES}
