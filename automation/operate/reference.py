"""The pooled reference: what a model trained on all rows at once is worth on the same test patients.

Only possible with the public demonstration data, on the operator's machine. No hospital's real data ever
come here.
"""

from collections.abc import Sequence

from workloads.data import heart_data
from workloads.data import reference as pooled_run


def pooled(hospitals: Sequence[str]) -> dict[str, float] | None:
    """Return the metrics of the pooled run over these hospitals, None when one has no demonstration data."""
    if not set(hospitals) <= set(heart_data.PATIENTS):
        return None
    return dict(pooled_run.pooled(hospitals)["pooled"])
