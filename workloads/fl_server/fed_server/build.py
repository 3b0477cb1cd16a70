"""`python -m fed_server.build JOB --out FOLDER ...`: make the NVFlare job of one request; prints one line
of JSON.

Runs in the server's container on behalf of the container server: a job's own code (which may come from the
inbox) is imported here and never next to the engine's socket or the root's key. Exit code 2: the question
was wrong.
"""

import argparse
import importlib
import json
import os
import shutil
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from fed_server import manifest
from fed_server.differences import expect_differences
from fed_server.files import read_json
from fed_server.parts import HOSPITAL_APP, SERVER_APP, JobParts, add_hospital_app
from fed_server.paths import ALLOWED, INBOX, JOBS
from fed_server.request import JobDescription, JobError, JobRequest, checksum, find_inputs

MOST_ROUNDS = 1000
"""A day of rounds of a minute and a half: more is a slip of the finger."""
PLATFORM = __package__.partition(".")[0]
"""The platform's own package at the server, which NVFlare copies into each job that uses its classes."""
BAKED = Path(__file__).resolve().parent.parent / "jobs"
"""The jobs of the image."""


def find(name: str, folders: Sequence[Path] = (BAKED, INBOX)) -> JobDescription:
    """The job of that name. Raises JobError naming those there are."""
    known: dict[str, Path] = {}
    for folder in folders:
        for path in sorted(folder.glob("*/job.yaml")):
            known.setdefault(path.parent.name, path.parent)
    if name not in known:
        raise JobError(f"there is no job {name!r}; there are: {', '.join(sorted(known)) or 'none'}")
    description = JobDescription.read(known[name])
    if description.name != name:
        raise JobError(f"{name}/job.yaml: name is {description.name!r}, expected its folder's name")
    return description


def build_function(description: JobDescription) -> Callable[[JobRequest], JobParts]:
    """The job's own `build`. Raises JobError when it cannot be imported."""
    module, _, function = description.build.partition(":")
    sys.path.insert(0, str(description.folder))
    os.chdir(description.folder)  # NVFlare resolves a job's scripts against the working folder
    try:
        built: Callable[[JobRequest], JobParts] = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, SyntaxError) as error:
        raise JobError(f"{description.name}: {description.build} cannot be imported: {error}") from error
    return built


def request_of(arguments: argparse.Namespace) -> JobRequest:
    """The request that the command line describes. Raises JobError."""
    request = _asked(arguments)
    if arguments.resume:
        return _resumed(request, arguments.resume)
    inputs, sources = find_inputs(request.description, JOBS, _pairs(arguments.finished))
    return replace(request, inputs=inputs, input_jobs=sources)


def checked(arguments: argparse.Namespace) -> dict[str, Any]:
    """What a job needs to have run before: its name -> checksum of its code. Raises JobError."""
    description = _asked(arguments).description
    needed = dict.fromkeys(need.partition("/")[0] for need in description.needs.values())
    return {"job": description.name, "needs": {name: checksum(find(name).folder) for name in needed}}


def _asked(arguments: argparse.Namespace) -> JobRequest:
    """The request without its inputs: name, rounds and parameters."""
    description = find(arguments.job)
    request = JobRequest(
        description=description,
        rounds=arguments.rounds if arguments.rounds is not None else description.rounds,
        parameters=description.parse(_pairs(arguments.param)),
    )
    if description.rounds == 0 and request.rounds:
        raise JobError(f"{description.name} has no rounds: leave --rounds out")
    if description.rounds and not 1 <= request.rounds <= MOST_ROUNDS:
        raise JobError(f"{description.name}: --rounds is {request.rounds}, expected 1 to {MOST_ROUNDS}")
    return request


def _pairs(words: Sequence[str]) -> dict[str, str]:
    return dict(word.split("=", 1) for word in words)


def _resumed(request: JobRequest, job_id: str) -> JobRequest:
    folder = JOBS / job_id
    progress = read_json(folder / "progress.json")
    checkpoint = folder / "checkpoint.npy"
    if not progress or progress["job"] != request.name or not checkpoint.is_file():
        raise JobError(f"job {job_id} left no model to go on from: it ended before its first round was done")
    done = int(progress["rounds_done"])
    if progress["state"] == "finished":
        raise JobError(f"job {job_id} has finished: there is nothing to resume")
    # The statistics it was trained with, not the newest: otherwise the checkpoint's scale would be another.
    inputs = {
        name: JOBS / source / "results" / "global" / request.description.needs[name].partition("/")[2]
        for name, source in progress["input_jobs"].items()
    }
    return JobRequest(
        description=request.description,
        rounds=int(progress["rounds"]),
        first_round=done,
        parameters=progress["parameters"],
        inputs=inputs,
        input_jobs=progress["input_jobs"],
        checkpoint=checkpoint,
        resumed_from=job_id,
    )


def export(
    request: JobRequest, hospitals: Sequence[str], out: Path, author: str = "unknown"
) -> dict[str, Any]:
    """Write the NVFlare job with its manifest below `out`; what the container server has to know of it.

    `hospitals` are those that may register: the job goes to those of them that are connected when it starts.
    """
    parts = build_function(request.description)(request)
    if not isinstance(parts, JobParts):
        raise JobError(f"{request.name}: build() returned {type(parts).__name__}, expected JobParts")
    if parts.server.name != request.name:
        raise JobError(
            f"{request.name}: build() made a job named {parts.server.name!r}, expected {request.name!r}"
        )
    parts.server.export_job(str(out))
    job = out / request.name
    if sorted(path.name for path in job.iterdir() if path.is_dir()) != [SERVER_APP]:
        raise JobError(f"{request.name}: what hospitals run belongs into JobParts, not into its server part")
    expect_differences(job / SERVER_APP / "config" / "config_fed_server.json")
    _make_custom(request.description.folder, job / SERVER_APP / "custom")
    add_hospital_app(parts.hospitals, request.description.folder, job, hospitals)
    manifest.write(request, author, job / SERVER_APP, job / HOSPITAL_APP)
    return {
        "folder": str(out / request.name),
        "job": request.name,
        "author": author,
        "minimum_sites": request.description.minimum_sites,
        "rounds": request.rounds,
        "first_round": request.first_round,
        "parameters": dict(request.parameters),
        "input_jobs": dict(request.input_jobs),
        "resumed_from": request.resumed_from,
        "checksum": checksum(request.description.folder),
    }


def _make_custom(source: Path, custom: Path) -> None:
    """Leave the platform's package out, which the server has; and have something in the folder.

    Of a job without a folder `custom` NVFlare 2.9 builds classes of its own list alone (its
    default_component_policy.py), so that neither our workflow nor our tracker would run.
    """
    shutil.rmtree(custom / PLATFORM, ignore_errors=True)
    custom.mkdir(exist_ok=True)
    shutil.copyfile(source / "job.yaml", custom / "job.yaml")


def _exported(arguments: argparse.Namespace) -> dict[str, Any]:
    members: dict[str, Any] = read_json(ALLOWED) or {}
    hospitals = sorted(members.get("sites", {}))
    return export(request_of(arguments), hospitals, arguments.out, arguments.author)


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(prog="fed_server.build")
    parser.add_argument("job")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--out", type=Path)
    what.add_argument("--check", action="store_true", help="build nothing: is it right, what does it need?")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--param", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--finished", action="append", default=[], metavar="JOB=JOB_ID")
    parser.add_argument("--resume", metavar="JOB_ID")
    parser.add_argument("--author", default="unknown", help="who asks, for the hospitals")
    arguments = parser.parse_args()
    if wrong := [pair for pair in (*arguments.param, *arguments.finished) if "=" not in pair]:
        parser.error(f"{wrong[0]}: expected NAME=VALUE")
    try:
        answer = checked(arguments) if arguments.check else _exported(arguments)
    except JobError as error:
        print(json.dumps({"error": str(error)}))
        sys.exit(2)
    except Exception as error:  # a job's own code may fail in any way; its author needs the trace
        traceback.print_exc()
        print(json.dumps({"error": f"{arguments.job}: build() failed: {type(error).__name__}: {error}"}))
        sys.exit(2)
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
