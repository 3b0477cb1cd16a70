"""`python -m fed_trial FOLDER ...`: run a job at made-up hospitals; a line of JSON for each event.

Exit codes: 0 it would have run, 1 it would have failed or is refused, 2 the question was wrong.
"""

import argparse
import csv
import json
import logging
import shlex
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from container_server.centre.composed import HOSPITAL_APP, META, Asked, Composed, compose
from container_server.centre.job_folder import JobFolder, JobRefusedError
from fed_data.catalogue import Catalogue
from fed_data.made_up import table
from fed_data.schema import FILE as SCHEMA
from fed_data.schema import DataSet, SchemaError, read
from fed_server.plan import FILE as PLAN
from fed_server.plan import Plan
from fed_site import job_form
from fed_site.job_code import CLIENT
from fed_site.manifest import FILE as MANIFEST
from fed_site.manifest import Manifest, UnreadableManifestError

from fed_trial.centre import Centre, StoppedError, start_of
from fed_trial.hospital import Hospital

CODE = f"{HOSPITAL_APP}/code/"


class QuestionError(ValueError):
    """What was asked for cannot be tried."""


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(prog="fed_trial")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--program", required=True, help="the command that runs a box")
    parser.add_argument("--hospitals", type=int, default=3)
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--param", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--dataset", type=Path, action="append", default=[], metavar="FOLDER")
    parser.add_argument("--data", type=Path, help="a folder of tables to deal out instead")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fed-try-") as scratch:
        try:
            code = _run(given, Path(scratch))
        except (QuestionError, JobRefusedError, SchemaError, UnreadableManifestError) as error:
            _say({"refused": str(error)})
            code = 2
        except job_form.JobFormError as error:
            _say({"refused": f"a hospital would not take this job: {error}"})
            code = 1
    sys.exit(code)


def _run(given: argparse.Namespace, scratch: Path) -> int:
    job = JobFolder.read(given.folder.resolve())
    if job.workflow == "statistics":
        raise QuestionError(f"{job.name} has no code to try: hospitals count the columns that it names")
    names = [f"hospital-{number + 1}" for number in range(given.hospitals)]
    composed = compose(job, _asked(job, given), names)
    apps = _checked(composed)
    manifest = Manifest.read(apps[MANIFEST])
    _say({"manifest": json.loads(apps[MANIFEST])})
    for event in _deal(manifest, names, given, scratch):
        _say(event)
    executor = json.loads(apps[CLIENT])["executors"][0]["executor"]["args"]
    code = {name.removeprefix("code/"): content for name, content in apps.items() if name.startswith("code/")}
    hospitals = [
        Hospital(
            name,
            scratch / name,
            code=code,
            executor=executor,
            manifest=manifest,
            program=shlex.split(given.program),
        )
        for name in names
    ]
    try:
        return _led(_plan(composed, scratch), hospitals, scratch)
    finally:
        for hospital in hospitals:
            hospital.close()
            for line in hospital.printed():
                _say({"hospital": hospital.name, "printed": line})


def _led(plan: Plan, hospitals: list[Hospital], scratch: Path) -> int:
    try:
        for event in Centre(plan, start_of(plan, scratch / "centre"), hospitals).run():
            _say(event)
    except StoppedError as error:
        _say({"end": str(error)})
        return 1
    _say({"end": ""})
    return 0


def _asked(job: JobFolder, given: argparse.Namespace) -> Asked:
    if wrong := [pair for pair in given.param if "=" not in pair]:
        raise QuestionError(f"--param {wrong[0]}: expected NAME=VALUE")
    return Asked(
        rounds=given.rounds or job.rounds,
        parameters=job.parse(dict(pair.split("=", 1) for pair in given.param)),
        inputs={name: {} for name in job.content["needs"]},
        author="you, in a trial",
        boxes=[f"{job.content['box']}@sha256:{'0' * 64}"],  # no image is made for a trial
    )


def _checked(composed: Composed) -> Mapping[str, bytes]:
    """What a hospital gets, looked at as its client looks at it."""
    prefix = f"{HOSPITAL_APP}/"
    found = {
        name.removeprefix(prefix): content
        for name, content in composed.nvflare.items()
        if name.startswith(prefix)
    }
    job_form.check(found, json.loads(composed.nvflare[META]))
    return found


def _plan(composed: Composed, scratch: Path) -> Plan:
    for name, content in composed.server.items():
        target = scratch / "centre" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return Plan.read((scratch / "centre" / PLAN).parent)


def _deal(
    manifest: Manifest, names: list[str], given: argparse.Namespace, scratch: Path
) -> Iterator[Mapping[str, Any]]:
    """Give each hospital a table for each file that the manifest names."""
    for file in manifest.data:
        for number, name in enumerate(names):
            rows = _rows(file, number, given)
            target = scratch / name / "data" / file
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("w", newline="") as stream:
                csv.writer(stream).writerows(rows)
            yield {"hospital": name, "file": file, "rows": len(rows) - 1}
    for name in names:
        (scratch / name / "data").mkdir(parents=True, exist_ok=True)


def _rows(file: str, number: int, given: argparse.Namespace) -> list[list[str]]:
    if given.data:
        header, *rows = _table(given.data / file)
        return [header, *rows[number :: given.hospitals]]
    return table(_data_set(file, given.dataset), given.rows, given.seed + number)


def _table(path: Path) -> list[list[str]]:
    try:
        with path.open(newline="") as stream:
            rows = list(csv.reader(stream))
    except (OSError, ValueError, csv.Error) as error:
        raise QuestionError(f"{path} cannot be dealt out: {error}") from error
    if not rows:
        raise QuestionError(f"{path} cannot be dealt out: it is empty")
    return rows


def _data_set(file: str, folders: list[Path]) -> DataSet:
    own = [read((folder / SCHEMA).read_bytes()) for folder in folders]
    known: dict[str, DataSet] = {one.file: one for one in (*Catalogue.released(), *own)}
    if file not in known:
        raise QuestionError(
            f"no data set has the file {file}, so no table could be made up; there is "
            f"{', '.join(sorted(known))}. Fix: --dataset FOLDER with its datapackage.json, or --data FOLDER "
            "with a table of yours"
        )
    return known[file]


def _say(event: Mapping[str, Any]) -> None:
    print(json.dumps(event), flush=True)


if __name__ == "__main__":
    logging.disable()  # what the hospitals' processes would log is among the events
    main()
