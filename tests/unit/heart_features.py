"""The statistics job's features, made from columns a second time, to compare."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from workloads.jobs.statistics.statistics_job.columns import BINARY, CATEGORIES, MAY_BE_MISSING, NUMERIC

Array = NDArray[np.float64]


def features_of(columns: Mapping[str, Array]) -> dict[str, Array]:
    """Feature -> its values: numeric ones without the missing, indicators over all patients (0 where
    missing).

    Named as the heart job names its coefficients: `cp=1`, `chol missing`.
    """
    return {
        **{name: columns[name][~np.isnan(columns[name])] for name in NUMERIC},
        **{name: np.nan_to_num(columns[name]) for name in BINARY},
        **{
            f"{name}={code}": (columns[name] == code).astype(float)
            for name, codes in CATEGORIES.items()
            for code in codes
        },
        **{f"{name} missing": np.isnan(columns[name]).astype(float) for name in MAY_BE_MISSING},
    }
