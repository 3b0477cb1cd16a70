"""NVFlare's job, composed from a job's folder and what was asked for. Pure: no code of a job is imported.

The hospitals' part is an executor of the platform's with plain values, and the job's own files in the folder
`code` (fed_site/job_form.py). The server's part is one file of numbers and class names; everything else that
the server's components need is in `plan.json`, which NVFlare does not read: it would build objects from
tables with certain keys, and fill in what is in braces.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeGuard, final

from fed_site.job_code import CLIENT
from fed_site.manifest import BASE, shape_in_words
from fed_site.manifest import FILE as MANIFEST

from container_server.centre.job_folder import FILE, ROUNDS, JobFolder, JobRefusedError, Value
from container_server.centre.start_model import Start, start_of
from container_server.centre.workflows import server_config

SERVER_APP, HOSPITAL_APP = "app_server", "app_hospital"
META = "meta.json"
PLAN, START, PREDICTOR, CODE = "plan.json", "start.npz", "predictor", "code"
"""In a job's folder of the server's volume (fed_server/plan.py)."""
DATA_SET = "patients"
STATISTICS = ("count", "histogram", "mean", "stddev", "sum")
STATISTICS_QUESTIONS = 2
"""NVFlare's controller asks for counts and sums first, then for what is around the federation's means."""


@final
@dataclass(frozen=True, kw_only=True)
class Asked:
    """How a job is to run this time."""

    rounds: int
    first_round: int = 0
    """The round to start with; more than 0 when a failed job is resumed."""
    parameters: Mapping[str, Value] = field(default_factory=dict)
    inputs: Mapping[str, Any] = field(default_factory=dict)
    """Setting -> content of the result that it is made from, for each of the job's `needs`."""
    input_jobs: Mapping[str, str] = field(default_factory=dict)
    """Setting -> id of the job whose result it is."""
    resumed_from: str = ""
    evaluates: str = ""
    """Version of the model that the job `resumed_from` left and that is only measured; empty: it trains."""
    author: str = "unknown"
    data: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)
    """Hospital -> file -> `sha256` and `rows`, as it reported them."""
    boxes: Sequence[str] = ()
    """`name@sha256:...` of the boxes with libraries that the hospitals' machines have."""


@final
@dataclass(frozen=True, kw_only=True)
class Composed:
    """Path -> content."""

    nvflare: Mapping[str, bytes]
    """The folder that NVFlare takes."""
    server: Mapping[str, bytes]
    """What goes into the job's folder of the server's volume."""


def compose(job: JobFolder, asked: Asked, hospitals: Sequence[str]) -> Composed:
    """The job for these hospitals. Raises JobRefusedError."""
    settings = {**_settings(job, asked), **_from_results(job, asked)}
    server = server_config(
        job.workflow,
        minimum=job.content["minimum_sites"],
        rounds=asked.rounds,
        first_round=asked.first_round,
        measuring=job.content["measuring_round"],
    )
    start = start_of(job)
    shapes = start.shapes if start else {}
    code = {name: job.files[name] for name in _code(job)}
    files = {
        META: _json(_meta(job, hospitals)),
        f"{SERVER_APP}/config/config_fed_server.json": _json(server),
        f"{HOSPITAL_APP}/{CLIENT}": _json(_client(job, asked, settings)),
        f"{HOSPITAL_APP}/{MANIFEST}": _json(_manifest(job, asked, shapes, len(hospitals))),
        **{f"{HOSPITAL_APP}/code/{name}": content for name, content in code.items()},
    }
    return Composed(nvflare=files, server=_for_server(job, asked, start, settings))


def _settings(job: JobFolder, asked: Asked) -> dict[str, Any]:
    settings = {name: _filled(job, asked, value) for name, value in _script(job).get("settings", {}).items()}
    return settings | ({"mu": job.content["mu"]} if "mu" in job.content else {})


def _from_results(job: JobFolder, asked: Asked) -> dict[str, Any]:
    """What earlier jobs' results give: always the same names, so that the code stays the same."""
    return {
        name: {
            key: _entry(need["result"], key, asked.inputs[name], usual)
            for key, usual in need["otherwise"].items()
        }
        for name, need in job.content["needs"].items()
    }


def _entry(result: str, key: str, found: Any, usual: Any) -> Any:
    value = found.get(key, usual) if isinstance(found, dict) else None
    if isinstance(usual, list):
        if isinstance(value, list) and len(value) == len(usual) and all(map(_is_number, value)):
            return [float(number) for number in value]
    elif _is_number(value):
        return float(value)
    wanted = f"{len(usual)} numbers" if isinstance(usual, list) else "a number"
    raise JobRefusedError(f"{result} holds {str(value)[:80]!r} for {key}, expected {wanted}")


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _filled(job: JobFolder, asked: Asked, value: Any) -> Any:
    """A value, or what its placeholder stands for: a text that is just `{rounds}` or `{<parameter>}`."""
    if isinstance(value, list):
        return [_filled(job, asked, part) for part in value]
    if isinstance(value, dict):
        return {key: _filled(job, asked, part) for key, part in value.items()}
    if not isinstance(value, str) or not (value.startswith("{") and value.endswith("}")):
        return value
    known = {ROUNDS: asked.rounds, **asked.parameters}
    if value[1:-1] not in known:
        raise JobRefusedError(
            f"{job.name}: {value} stands for nothing; known are: {', '.join(sorted(known))}"
        )
    return known[value[1:-1]]


def _script(job: JobFolder) -> Mapping[str, Any]:
    return job.content["script"] or {}


def _code(job: JobFolder) -> list[str]:
    script = _script(job)
    return [script["path"], *script.get("files", ())] if script else []


def _client(job: JobFolder, asked: Asked, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The hospitals' configuration."""
    script = _script(job)
    if script:
        words = [_filled(job, asked, word) for word in script.get("arguments", ())]
        arguments: dict[str, Any] = {"script": script["path"], "arguments": words, "settings": dict(settings)}
        arguments |= {"framework": script["framework"]} if "framework" in script else {}
        path, tasks = "fed_site.box_executor.BoxExecutor", ["train"]
        tasks += ["validate"] if job.workflow == "cross-site" else []
    else:
        features = features_of(job)
        flags = [name for name, said in _described(job).items() if "low" not in said and "=" not in name]
        arguments = {"data_set": DATA_SET, "features": features, "indicators": flags}
        path, tasks = "fed_site.statistics.OwnStatisticsExecutor", ["fed_stats"]
    executors = [{"tasks": tasks, "executor": {"path": path, "args": arguments}}]
    return {"format_version": 2, **script.get("timeouts", {}), "executors": executors}


def _described(job: JobFolder) -> Mapping[str, Mapping[str, Any]]:
    found: Mapping[str, Mapping[str, Any]] = job.content["statistics"]["features"]
    return found


def features_of(job: JobFolder) -> list[str]:
    """The features of a statistics job, as hospitals name them."""
    missing = job.content["statistics"].get("missing", ())
    return [*_described(job), *(f"{column} missing" for column in missing)]


def _meta(job: JobFolder, hospitals: Sequence[str]) -> dict[str, Any]:
    """Hospitals are named one by one: what is meant for all (`@ALL`) NVFlare gives to the server as well."""
    return {
        "name": job.name,
        "resource_spec": {},
        "min_clients": job.content["minimum_sites"],
        "deploy_map": {SERVER_APP: ["server"], HOSPITAL_APP: list(hospitals)},
    }


def _answers(job: JobFolder, asked: Asked, hospitals: int) -> int:
    """How many answers a hospital gives: one a round, and one for each model that it measures besides."""
    if job.workflow == "statistics":
        return STATISTICS_QUESTIONS
    more = hospitals + 1 if job.workflow == "cross-site" else int(job.content["measuring_round"])
    return asked.rounds - asked.first_round + more


def _manifest(
    job: JobFolder, asked: Asked, shapes: Mapping[str, Sequence[int]], hospitals: int
) -> dict[str, Any]:
    """What the job says of itself to the hospitals' officers (schemas/manifest.schema.json).

    Shapes are texts: numbers of a manifest may differ from run to run, the shape of what leaves may not.
    """
    content = job.content
    return {
        "schema": "fed/manifest/1",
        **{key: content[key] for key in ("name", "title", "purpose", "data", "minimum_sites")},
        "author": asked.author,
        "workflow": job.workflow,
        "leaves": {
            "model": {name: shape_in_words(shape) for name, shape in shapes.items()},
            "metrics": sorted(content["metrics"]),
            "histograms": {name: str(cells) for name, cells in sorted(content["histograms"].items())},
            "statistics": list(STATISTICS) if job.workflow == "statistics" else [],
        },
        "rounds": asked.rounds,
        "answers": _answers(job, asked, hospitals),
        **({"study": content["study"]} if content["study"] else {}),
        **({"memory_mb": content["memory_mb"]} if content["memory_mb"] else {}),
        **_box(job, asked),
    }


def _box(job: JobFolder, asked: Asked) -> dict[str, str]:
    """The image that its code runs in, by digest; nothing for the client's own."""
    box = job.content["box"]
    if box == BASE:
        return {}
    known = {image.partition("@")[0]: image for image in asked.boxes}
    if box not in known:
        raise JobRefusedError(
            f"{job.name}: hospitals have no box {box}; they have: {', '.join([BASE, *sorted(known)])}. Fix: "
            f"another box, or {box} among fed:images.boxes of the stack"
        )
    return {"box": known[box]}


def _for_server(
    job: JobFolder, asked: Asked, start: Start | None, settings: Mapping[str, Any]
) -> dict[str, bytes]:
    content, predictor = job.content, job.content["predictor"] or {}
    kept = ("minimum_sites", "workflow", "aggregation", "gates", "needed_metrics", "histograms", "report")
    plan = {
        **{key: content[key] for key in (*kept, "statistics", "predictor", "measuring_round")},
        "job": job.name,
        "checksum": job.checksum,
        "files": sorted(content["data"]),
        "data": {
            hospital: {file: dict(known) for file, known in files.items() if file in content["data"]}
            for hospital, files in asked.data.items()
        },
        "data_sets": job.data_sets(),
        "rounds": asked.rounds,
        "first_round": asked.first_round,
        "parameters": dict(asked.parameters),
        "input_jobs": dict(asked.input_jobs),
        "resumed_from": asked.resumed_from,
        "evaluates": asked.evaluates,
        "longest": content.get("longest"),
        "arrays": start.shapes if start else {},
        "model": {key: content["model"][key] for key in ("kind", "features") if key in content["model"]},
        "settings": dict(settings),
    }
    names = [predictor["path"], *predictor.get("files", ())] if predictor else []
    return {
        PLAN: _json(plan),
        **({START: start.content} if start and start.content else {}),
        **{f"{PREDICTOR}/{name}": job.files[name] for name in names},
        **{f"{CODE}/{name}": job.files[name] for name in {FILE, *_code(job)}},
    }


def _json(content: Any) -> bytes:
    return (json.dumps(content, indent=1, allow_nan=False) + "\n").encode()
