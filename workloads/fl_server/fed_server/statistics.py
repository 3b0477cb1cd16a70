"""The workflow `statistics`: NVFlare's federated statistics of the columns that the job names, and what is
made of them: globals recomputed from the hospitals that published a feature (pooling.py).

What one hospital published goes to the centre and to itself. What the others may see of it is decided by the
curation (workloads/curation), not here.
"""

import json
import math
from collections.abc import Mapping
from numbers import Real
from pathlib import Path
from typing import Any

from nvflare.apis.controller_spec import ClientTask
from nvflare.apis.dxo import from_shareable
from nvflare.apis.fl_constant import ReturnCode
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable
from nvflare.app_common.abstract.statistics_spec import Histogram
from nvflare.app_common.app_constant import StatisticsConstants
from nvflare.app_common.workflows.statistics_controller import StatisticsController
from nvflare.fuel.utils import fobs
from nvflare.private.fed.server.server_runner import ServerRunner

from fed_server.answers import AIRLOCK, MOST_CELLS, error_text
from fed_server.files import write_json
from fed_server.plan import Plan
from fed_server.pooling import DATA_SET, by_hospital, pool, scaling
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
_LEAST: Mapping[str, float] = {"count": 1, "var": 0, "stddev": 0, "failure_count": 0}
Statistics = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""Statistic -> data set -> feature -> number, or histogram."""


class PlannedStatistics(StatisticsController):  # type: ignore[misc]  # nvflare has no types
    """NVFlare's controller, which asks for what the job's plan describes, with answers that are judged.

    NVFlare 2.9 ends the job for all when one hospital answers with an error, or with what it cannot read.
    """

    def __init__(self, min_clients: int):
        super().__init__(
            statistic_configs={},
            writer_id="writer",
            wait_time_after_min_received=WAIT_FOR_LATE_SECONDS,
            min_clients=min_clients,
            enable_pre_run_task=False,
        )

    def start_controller(self, fl_ctx: FLContext) -> None:
        """See Controller. No hospital's return code ends the job by itself, as in JudgedRounds."""
        ServerRunner.ABORT_RETURN_CODES = []
        plan = Plan.of(fl_ctx)
        self._known = features_of(plan)
        self.statistic_configs = statistic_configs(plan)
        super().start_controller(fl_ctx)

    def results_cb(self, client_task: ClientTask, fl_ctx: FLContext) -> None:
        """See StatisticsController: an answer that cannot be used counts as none, its hospital is named."""
        if reason := refusal(client_task.result, self._known):
            site = client_task.client.name
            self.log_warning(fl_ctx, f"the statistics of {site} are dropped: {reason}")
            fl_ctx.get_engine().get_component("tracker").refused(site, reason)
            client_task.result = None
        else:
            super().results_cb(client_task, fl_ctx)


def refusal(result: Shareable, known: frozenset[str]) -> str | None:
    """Why a hospital's answer cannot be used; `known` are the features that it may speak of."""
    code = result.get_return_code()
    if code and code != ReturnCode.OK:
        return error_text(code, result.get_header(AIRLOCK))
    try:
        content = from_shareable(result).data
        stated = fobs.loads(content[content[StatisticsConstants.STATISTICS_TASK_KEY]])
        listed = fobs.loads(content.get(StatisticsConstants.STATS_FEATURES) or fobs.dumps({}))
        return _objection(stated, listed, known)
    except Exception as error:  # hostile content may fail in any way; none of it may reach NVFlare's loop
        return f"they cannot be read: {type(error).__name__}"


def _objection(stated: Statistics, listed: Mapping[str, list[Any]], known: frozenset[str]) -> str | None:
    """`listed` are the features that the hospital has, by data set."""
    data_sets = [*listed, *(name for spoken in stated.values() for name in spoken)]
    spoken = {name for by_set in stated.values() for features in by_set.values() for name in features}
    spoken |= {feature.feature_name for features in listed.values() for feature in features}
    if set(data_sets) - {DATA_SET} or not spoken <= known:
        return "they are of other features than those that were asked for"
    numbers = {statistic: by_set.get(DATA_SET, {}) for statistic, by_set in stated.items()}
    usable = all(_is_usable(name, value) for name, values in numbers.items() for value in values.values())
    if not usable or not set(numbers.get("sum", ())) <= set(numbers.get("count", numbers.get("sum", ()))):
        return "they hold something else than numbers that can be"
    return None


def _is_usable(statistic: str, value: Any) -> bool:
    if isinstance(value, Histogram):
        cells = [(*cell[:2], cell.sample_count) for cell in value.bins[: MOST_CELLS + 1]]
        fits = len(cells) <= MOST_CELLS and all(_is_number(part) for cell in cells for part in cell)
        return fits and all(count >= 0 for _, _, count in cells)
    return _is_number(value) and value >= _LEAST.get(statistic, -math.inf)


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def features_of(plan: Plan) -> frozenset[str]:
    """The features that hospitals are asked for, those of missing values among them."""
    missing = (plan.statistics or {}).get("missing", ())
    return frozenset([*_features(plan), *(f"{column} missing" for column in missing)])


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
