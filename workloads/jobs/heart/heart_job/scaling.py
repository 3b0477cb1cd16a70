"""The scale of each feature, which all hospitals share: from the statistics job before. Without NVFlare."""

import json
from pathlib import Path

from fed_server.files import read_json
from fed_server.paths import ALLOWED
from fed_server.request import JobError, JobRequest

from .model import FEATURES, NUMERIC


def read_scaling(request: JobRequest) -> dict[str, list[float]]:
    """Feature -> [mean, standard deviation] over the federation. Raises JobError when a number is missing.

    An indicator that every hospital withheld (too few patients have it) stays unscaled.
    """
    given = json.loads(request.inputs["scaling"].read_text())
    if missing := sorted(set(NUMERIC) - set(given)):
        raise JobError(
            f"{request.name}: the statistics hold no mean of {', '.join(missing)}, so the model cannot be"
            f" scaled alike everywhere: {_whose_is_missing(request.inputs['scaling'])}"
        )
    return {name: [*map(float, given.get(name, [0.0, 1.0]))] for name in FEATURES}


def _whose_is_missing(scaling: Path) -> str:
    """Who withheld what the statistics lack, and who did not answer: their run left both to the centre."""
    statistics = read_json(scaling.parents[1] / "centre" / "statistics.json") or {}
    answered = sorted(statistics.get("hospitals", {}))
    members = (read_json(ALLOWED) or {}).get("sites", {})
    withheld = f"withheld by {', '.join(answered) or 'every hospital'}"
    if silent := sorted(set(members) - set(answered)):
        return (
            f"{', '.join(silent)} did not answer in time, and it was {withheld}."
            " Fix: see what is wrong there (./fed status), then train again"
        )
    return f"it was {withheld}"
