"""The workflow `statistics`: NVFlare's federated statistics of the columns that the job names, and what is
made of them: globals recomputed from the hospitals that published a feature (pooling.py).

What one hospital published goes to the centre and to itself. What the others may see of it is decided by the
curation (workloads/curation), not here.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nvflare.apis.fl_context import FLContext
from nvflare.app_common.workflows.statistics_controller import StatisticsController

from fed_server.files import write_json
from fed_server.plan import Plan
from fed_server.pooling import by_hospital, pool, scaling
from fed_server.report import Report

OUTPUT = "statistics/statistics.json"
"""Where NVFlare's statistics writer puts its result, below the run's folder."""
WAIT_FOR_LATE_SECONDS = 5
_INDICATOR: Mapping[str, Any] = {
    "unit": "share",
    "decimals": 3,
    "low": -0.5,
    "high": 1.5,
    "cells": 2,
    "whole": True,
}
"""Of a feature that is 0 or 1."""


class PlannedStatistics(StatisticsController):  # type: ignore[misc]  # nvflare has no types
    """NVFlare's controller, which asks for what the job's plan describes."""

    def __init__(self, min_clients: int):
        super().__init__(
            statistic_configs={},
            writer_id="writer",
            wait_time_after_min_received=WAIT_FOR_LATE_SECONDS,
            min_clients=min_clients,
            enable_pre_run_task=False,
        )

    def start_controller(self, fl_ctx: FLContext) -> None:
        """See Controller."""
        self.statistic_configs = statistic_configs(Plan.of(fl_ctx))
        super().start_controller(fl_ctx)


def statistic_configs(plan: Plan) -> dict[str, dict[str, Any]]:
    """What NVFlare is to ask for. Cells are fixed, so that no minimum or maximum has to be sent and two runs
    can be compared.
    """
    histograms = {"*": _cells(_INDICATOR)} | {
        name: _cells(said) for name, said in _features(plan).items() if "low" in said
    }
    return {"count": {}, "sum": {}, "mean": {}, "stddev": {}, "histogram": histograms}


def _cells(said: Mapping[str, Any]) -> dict[str, Any]:
    return {"bins": said["cells"], "range": [float(said["low"]), float(said["high"])]}


def _features(plan: Plan) -> Mapping[str, Mapping[str, Any]]:
    found: Mapping[str, Mapping[str, Any]] = (plan.statistics or {})["features"]
    return found


def describe(plan: Plan) -> list[dict[str, Any]]:
    """Of each feature, in order: `key`, `label`, `column`, `kind`, `unit`, `decimals`, `low`, `high`,
    `cells`, `whole`, `may_be_missing`.

    Indicators of missing values belong to their columns and are not among them.
    """
    missing = (plan.statistics or {}).get("missing", ())
    return [_description(key, said, missing) for key, said in _features(plan).items()]


def _description(key: str, said: Mapping[str, Any], missing: list[str]) -> dict[str, Any]:
    column = key.partition("=")[0]
    usual = {"kind": "number", "whole": False} if "low" in said else {"kind": "indicator", **_INDICATOR}
    described = {"key": key, "column": column, "may_be_missing": column in missing, **usual, **said}
    return described | {side: float(described[side]) for side in ("low", "high")}


class StatisticsReport(Report):
    """results/centre/statistics.json (features, hospitals, globals), results/hospitals/<name>.json (its own)
    and results/global/scaling.json (feature -> [mean, deviation]), which every hospital needs to train.
    """

    registers_model = False

    def complete(self, history: list[Mapping[str, Any]], rounds_done: int, run_folder: Path) -> bool:
        """Complete once NVFlare has written the statistics."""
        return (run_folder / OUTPUT).is_file()

    def write_results(self, folder: Path, run_folder: Path, model: Mapping[str, Any]) -> set[str]:
        """Recompute and write."""
        published = json.loads((run_folder / OUTPUT).read_text())
        pooled = {feature: pool(entry) for feature, entry in published.items()}
        known = {feature: entry for feature, entry in pooled.items() if entry["hospitals"]}
        hospitals = by_hospital(published)
        content = {"features": describe(self.plan), "global": known, "hospitals": hospitals}
        write_json(folder / "centre" / "statistics.json", content)
        for hospital, own in hospitals.items():
            write_json(folder / "hospitals" / f"{hospital}.json", {"hospital": hospital, "statistics": own})
        write_json(folder / "global" / "scaling.json", scaling(published))
        return set(hospitals)

    def final_metrics(self, run_folder: Path) -> dict[str, dict[str, float]]:
        """Mean of each feature by hospital, for MLflow."""
        published = json.loads((run_folder / OUTPUT).read_text())
        return {
            hospital: {
                _metric_name(feature): entry["sum"] / entry["count"]
                for feature, entry in features.items()
                if entry.get("count") and "sum" in entry
            }
            for hospital, features in by_hospital(published).items()
        }


def _metric_name(feature: str) -> str:
    return "mean_" + feature.replace("=", "_is_").replace(" ", "_")
