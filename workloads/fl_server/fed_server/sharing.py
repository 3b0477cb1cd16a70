"""What every hospital may read of a job's result: no finer and of no fewer than the dashboards show. Pure.

A hospital knows its own numbers: of two contributors, the federation's minus its own are the other one's.
"""

from collections.abc import Mapping
from typing import Any

MINIMUM_HOSPITALS = 3
"""As on the dashboards (workloads/curation)."""
ROUNDING = 5
"""Numbers of patients are given to the nearest 5."""
DECIMALS = 3
PATIENTS = "patients"


def for_hospitals(summary: Mapping[str, Any], centre_alone: tuple[str, ...]) -> dict[str, Any]:
    """A job's summary with coarse metrics of at least three hospitals, and of its gates whether it passed.

    `centre_alone` are metrics that speak of one hospital, such as the worst one's.
    """
    several = len(summary["sites"]) >= MINIMUM_HOSPITALS
    known = summary["metrics"] if several else {}
    return {
        **summary,
        "gates": {"passed": summary["gates"]["passed"]},
        "metrics": {name: _coarse(name, value) for name, value in known.items() if name not in centre_alone},
    }


def _coarse(name: str, value: float) -> float:
    return float(ROUNDING * round(value / ROUNDING)) if name == PATIENTS else round(value, DECIMALS)
