"""The two parts of a job: NVFlare's configuration of the server, and what every hospital runs.

A hospital takes the second part in one form only (fed_site/job_form.py): an executor of the platform's with
plain values, and the job's own files in the folder `code`, which runs in a box.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

from nvflare.job_config.api import FedJob

SERVER_APP, HOSPITAL_APP = "app_server", "app_hospital"


@final
@dataclass(frozen=True, kw_only=True)
class Script:
    """A script with NVFlare's Client API that answers one kind of task."""

    path: str
    """Below the job's folder."""
    also: Sequence[str] = ()
    """Other files of the job's folder that it imports or reads."""
    arguments: Sequence[str | float] = ()
    """Its command line. Numbers may differ from run to run without a new approval, texts may not."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What `flare.get_config()` gives it: texts, numbers, lists, tables."""
    timeouts: Mapping[str, float] = field(default_factory=dict)
    """`get_task_timeout` and `submit_task_result_timeout` of NVFlare's client, in seconds."""
    task: str = "train"


@final
@dataclass(frozen=True, kw_only=True)
class ColumnStatistics:
    """NVFlare's statistics of columns, counted by the hospital itself.

    A feature is `column` (without missing values), `column=value` or `column missing`. Columns that are 0 or
    1 may be `indicators`: there a missing value counts as 0.
    """

    data_set: str
    features: Sequence[str]
    indicators: Sequence[str] = ()
    task: str = "fed_stats"


@final
@dataclass(frozen=True, kw_only=True)
class JobParts:
    """What a job's `build` returns."""

    server: FedJob
    hospitals: Script | ColumnStatistics


def add_hospital_app(
    part: Script | ColumnStatistics, source: Path, job: Path, hospitals: Sequence[str]
) -> None:
    """Write the hospitals' app into an exported job, and who gets it.

    Hospitals are named one by one: what is meant for all (`@ALL`) NVFlare gives to the server as well, so
    that hospitals would get the server's code. Raises OSError for a file that the job's folder lacks.
    """
    app = job / HOSPITAL_APP
    (app / "config").mkdir(parents=True)
    timeouts = part.timeouts if isinstance(part, Script) else {}
    executors = [{"tasks": [part.task], "executor": _executor(part)}]
    config = {"format_version": 2, **timeouts, "executors": executors}
    (app / "config" / "config_fed_client.json").write_text(
        json.dumps(config, indent=1, sort_keys=True) + "\n"
    )
    for name in (part.path, *part.also) if isinstance(part, Script) else ():
        target = app / "code" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, target)
    meta = json.loads((job / "meta.json").read_text())
    meta["deploy_map"] = {SERVER_APP: ["server"], HOSPITAL_APP: list(hospitals)}
    (job / "meta.json").write_text(json.dumps(meta, indent=1) + "\n")


def _executor(part: Script | ColumnStatistics) -> Mapping[str, Any]:
    if isinstance(part, ColumnStatistics):
        arguments: Mapping[str, Any] = {
            "data_set": part.data_set,
            "features": list(part.features),
            "indicators": list(part.indicators),
        }
        return {"path": "fed_site.statistics.OwnStatisticsExecutor", "args": arguments}
    arguments = {
        "script": part.path,
        "arguments": list(part.arguments),
        "settings": dict(part.settings),
    }
    return {"path": "fed_site.box_executor.BoxExecutor", "args": arguments}
