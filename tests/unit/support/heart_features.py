"""The statistics job's features, made from columns a second time, to compare."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from fed_server.plan import Plan
from fed_server.statistics import describe
from numpy.typing import NDArray

from tests.unit.support.job_archives import folder_of

STATISTICS = folder_of("statistics").content["statistics"]
"""What the statistics job describes, as its job.yaml says."""
FEATURES = STATISTICS["features"]
NUMERIC = {
    name: (said["cells"], float(said["low"]), float(said["high"]))
    for name, said in FEATURES.items()
    if "low" in said
}
"""Column -> cells, lowest and highest value of its histogram."""
INDICATORS = [name for name in FEATURES if name not in NUMERIC]
MAY_BE_MISSING = STATISTICS["missing"]
Array = NDArray[np.float64]


def features_of(columns: Mapping[str, Array]) -> dict[str, Array]:
    """Feature -> its values: numeric ones without the missing, indicators over all patients (0 where
    missing).

    Named as the heart job names its coefficients: `cp=1`, `chol missing`.
    """
    return {
        **{name: columns[name][~np.isnan(columns[name])] for name in NUMERIC},
        **{name: _indicator(columns, name) for name in INDICATORS},
        **{f"{name} missing": np.isnan(columns[name]).astype(float) for name in MAY_BE_MISSING},
    }


def _indicator(columns: Mapping[str, Array], name: str) -> Array:
    column, _, code = name.partition("=")
    return (columns[column] == float(code)).astype(float) if code else np.nan_to_num(columns[column])


def described() -> list[dict[str, Any]]:
    """The features in words, as the report of the statistics job has them."""
    return describe(Plan(job="statistics", checksum="", rounds=0, statistics=STATISTICS))
