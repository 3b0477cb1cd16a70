"""A registered model on its way to the hospitals: numbers, the code that predicts with them, what it is for.

An archive in the form in which hospitals are asked for jobs, so that officers read, compare and approve it as
they do jobs: `manifest.json` (nothing leaves), `model.json` (how it predicts), `code/` and `model/`. Numbers
are in the platform's own form (model.npy, model.npz, model.json), and nothing is pickled. Its checksum covers
every byte of model and code (fed_site/job_code.py).
"""

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

from fed_site import job_code
from fed_site.job_code import UnreadableJobError
from fed_site.manifest import FILE as MANIFEST

from container_server.errors import RefusedInputError
from container_server.messages import checked, decode, encode

WORKFLOW = "scoring"
DESCRIPTION = "model.json"
LIMIT = 20 * 1024 * 1024
"""Bytes of the archive, and of what is in it."""
SCORE = "score/"
"""Where a hospital's people put tables, in their container `data`."""
_CODE, _MODEL = "code/", "model/"
_FILES = ("model.json", "model.npy", "model.npz")


class ModelPackageError(RefusedInputError):
    """A model that hospitals cannot be given, or an archive that is none."""


@final
@dataclass(frozen=True, kw_only=True)
class ModelPackage:
    """One version of a model."""

    name: str
    version: str
    job_id: str
    """Of the run that trained it."""
    predictor: str
    """Path below `code` of the module that loads it."""
    inputs: Sequence[str]
    output: str
    trained_on: Sequence[str]
    """Files of hospitals', whose data sets say what the inputs may be."""
    code: Mapping[str, bytes]
    model: Mapping[str, bytes]

    @classmethod
    def read(cls, archive: bytes) -> "ModelPackage":
        """Raises ModelPackageError."""
        try:
            files = job_code.own_files(archive)  # what no checksum covers is not there
            job_code.manifest(archive)
        except UnreadableJobError as error:
            raise ModelPackageError(f"a model's archive cannot be used: {error}") from error
        said = decode("model", files.get(DESCRIPTION, b""))
        found = cls(
            **{key: said[key] for key in ("name", "version", "job_id", "predictor", "inputs", "output")},
            trained_on=said["trained_on"],
            code=_below(_CODE, files),
            model=_below(_MODEL, files),
        )
        if found.predictor not in found.code or not found.model or set(found.model) - set(_FILES):
            raise ModelPackageError(f"the model {found.name} has other files than its code and its numbers")
        return found


def pack(
    *, job: Mapping[str, Any], submission: Mapping[str, Any], version: str, files: Mapping[str, bytes]
) -> bytes:
    """The archive of a version.

    `job` is the plan of the run that trained it (composed.py), `submission` what was asked for; `files` are
    its results by their names, and the predictor's code below `code/`. Raises ModelPackageError, or
    InvalidMessageError for a plan that is none.
    """
    if not (predictor := job.get("predictor")):
        raise ModelPackageError(
            f"{job['job']} has no predictor in its job.yaml, which says how its model predicts"
        )
    said = {
        "name": job["job"],
        "version": version,
        "job_id": submission["job_id"],
        "predictor": predictor["path"],
        "inputs": predictor["inputs"],
        "output": predictor["output"],
        "trained_on": list(job["files"]),
    }
    content = {
        MANIFEST: _json(checked("manifest", _manifest(said, submission))),
        DESCRIPTION: encode("model", said),
        **{name: one for name, one in files.items() if name.startswith(_CODE)},
        **{f"{_MODEL}{name}": files[name] for name in _FILES if name in files},
    }
    archive = _zipped(content)
    ModelPackage.read(archive)
    return archive


def _manifest(said: Mapping[str, Any], submission: Mapping[str, Any]) -> dict[str, Any]:
    trained = submission["manifest"]
    return {
        "schema": "fed/manifest/1",
        "name": f"model-{said['name'][:34].rstrip('-')}",
        "title": f"Scores of the model {said['name']}, version {said['version']}",
        "purpose": f"Predict for this hospital alone, when its people ask ({trained['purpose']})"[:500],
        "author": str(submission.get("by", "unknown")),
        "data": {f"{SCORE}{said['name']}.csv": said["inputs"]},
        "workflow": WORKFLOW,
        "leaves": {"model": {}, "metrics": [], "histograms": {}, "statistics": []},
        "rounds": 0,
        "answers": 0,
        "minimum_sites": 1,
    }


def _below(folder: str, files: Mapping[str, bytes]) -> dict[str, bytes]:
    return {name.removeprefix(folder): content for name, content in files.items() if name.startswith(folder)}


def _zipped(files: Mapping[str, bytes]) -> bytes:
    """The same bytes for the same files, whenever."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in sorted(files.items()):
            archive.writestr(zipfile.ZipInfo(name), content)
    if len(written.getvalue()) > LIMIT:
        raise ModelPackageError(f"the model has more than {LIMIT} bytes: hospitals are given smaller ones")
    return written.getvalue()


def _json(content: Any) -> bytes:
    return (json.dumps(content, indent=1, sort_keys=True) + "\n").encode()
