"""NVFlare's configuration of the server for each workflow: class names of the platform's and NVFlare's, and
numbers. Nothing that a job names goes in here.

`CLASSES` is what the server's `class_allow_list` holds: NVFlare builds nothing else from a configuration.
"""

from collections.abc import Mapping
from typing import Any

TASK_REQUEST_SECONDS = 0.2
"""How long a client waits between two questions for a task; NVFlare's default of 2 s is most of a short
round.
"""
_NVFLARE = "nvflare.app_common"
_SERVER = "fed_server"
_MODEL: Mapping[str, str] = {
    "persistor": f"{_SERVER}.model.ModelArrays",
    "shareable_generator": (
        f"{_NVFLARE}.shareablegenerators.full_model_shareable_generator.FullModelShareableGenerator"
    ),
}
_TRACKER = {"tracker": f"{_SERVER}.tracking.RunTracker"}
_JUDGE = {"aggregator": f"{_SERVER}.rounds.JudgingAggregator"}
_ROUNDS = f"{_SERVER}.rounds.JudgedRounds"
_RELAY = f"{_SERVER}.relay.JudgedRelay"
_CROSS_SITE = f"{_SERVER}.cross_site.CrossSite"
_STATISTICS = f"{_SERVER}.statistics.PlannedStatistics"
_WRITER = f"{_NVFLARE}.statistics.json_stats_file_persistor.JsonStatsFileWriter"
STATISTICS_FILE = "statistics/statistics.json"
CLASSES = tuple(
    sorted(
        {
            *_MODEL.values(),
            *_TRACKER.values(),
            *_JUDGE.values(),
            _ROUNDS,
            _RELAY,
            _CROSS_SITE,
            _STATISTICS,
            _WRITER,
        }
    )
)


def server_config(
    workflow: str, *, minimum: int, rounds: int, first_round: int, measuring: bool
) -> dict[str, Any]:
    """`config_fed_server.json` of a job that goes on with `first_round` of `rounds`.

    `minimum` is the number of hospitals that must answer; `measuring` adds a round that only measures.
    """
    if workflow == "statistics":
        workflows = [_part("statistics", _STATISTICS, min_clients=minimum)]
        components = [*_parts(_TRACKER), _part("writer", _WRITER, output_path=STATISTICS_FILE)]
    elif workflow == "cyclic":
        workflows = [_part("relay", _RELAY, first_round=first_round, num_rounds=rounds - first_round)]
        components = _parts({**_MODEL, **_JUDGE, **_TRACKER})
    else:
        left = rounds - first_round + int(measuring)
        workflows = [_part("rounds", _ROUNDS, start_round=first_round, num_rounds=left, min_clients=minimum)]
        workflows += [_part("cross_site", _CROSS_SITE)] if workflow == "cross-site" else []
        components = _parts({**_MODEL, **_JUDGE, **_TRACKER})
    return {
        "format_version": 2,
        "server": {"task_request_interval": TASK_REQUEST_SECONDS},
        "task_data_filters": [],
        "task_result_filters": [],
        "workflows": workflows,
        "components": components,
    }


def _part(name: str, path: str, **arguments: Any) -> dict[str, Any]:
    return {"id": name, "path": path, "args": arguments}


def _parts(classes: Mapping[str, str]) -> list[dict[str, Any]]:
    return [_part(name, path) for name, path in classes.items()]
