"""Writes the manifest that goes with a job to the hospitals: who asks, why, for which data, what is to leave.

What the job's author says is in job.yaml; the model's shapes and the statistics are read from the job as it
was built. The form is container_server/schemas/manifest.schema.json.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fed_server.request import JobRequest

FILE = "manifest.json"
NUMPY_KEY = "numpy_key"
"""What NVFlare's numpy persistor calls its one array."""


def write(request: JobRequest, author: str, server: Path, hospital: Path) -> None:
    """Put `manifest.json` into the folder that hospitals get; `server` is that of the server."""
    text = json.dumps(manifest(request, author, server), indent=1, sort_keys=True)
    (hospital / FILE).write_text(text + "\n")


def manifest(request: JobRequest, author: str, app: Path) -> dict[str, Any]:
    """The manifest of a job whose server part was built into `app`."""
    asked = request.description
    components = list(_components(app / "config" / "config_fed_server.json"))
    return {
        "schema": "fed/manifest/1",
        "name": request.name,
        "title": asked.title,
        "purpose": asked.purpose,
        "author": author,
        "data": {file: list(columns) for file, columns in asked.data.items()},
        "leaves": {
            "model": _model(components),
            "metrics": sorted(asked.metrics),
            "histograms": sorted(asked.histograms),
            "statistics": _statistics(components),
        },
        "rounds": request.rounds,
        "minimum_sites": asked.minimum_sites,
    }


def _components(config: Path) -> Iterator[Mapping[str, Any]]:
    """The arguments of the server's components and workflows."""
    content = json.loads(config.read_text())
    for part in (*content.get("components", ()), *content.get("workflows", ())):
        yield part.get("args") or {}


def _model(components: list[Mapping[str, Any]]) -> dict[str, str]:
    """Array -> shape of the model that is sent out; empty where the persistor does not hold it as numbers.

    As text: numbers of a manifest may differ from run to run, the shape of what leaves may not.
    """
    models = [arguments["model"] for arguments in components if isinstance(arguments.get("model"), list)]
    return {NUMPY_KEY: "x".join(map(str, np.shape(models[0])))} if models else {}


def _statistics(components: list[Mapping[str, Any]]) -> list[str]:
    return sorted({name for arguments in components for name in arguments.get("statistic_configs") or ()})
