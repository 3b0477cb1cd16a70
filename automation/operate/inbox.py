"""Brings a job's folder to the centre's inbox, waits for the answer to this upload, and fetches results."""

import hashlib
import io
import json
import time
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from automation.operate import drafts
from automation.operate.centre_blobs import Blobs, write_folder
from automation.ui.outcome import FedError, QuestionError, RefusedError
from automation.ui.plain import plain_document

LARGEST = 10 * 1024 * 1024
"""Bytes of a job's files together: of more the centre reads nothing, so that it could not say whose answer
it gives."""
ANSWER_SECONDS = 120.0
_PAUSE_SECONDS = 1.0
_LEFT_OUT = ("__pycache__", "__MACOSX")


def packed(folder: Path) -> bytes:
    """Return a job's folder as an archive, another one each time: its answer is known by its checksum.

    Hidden files and what Python compiled stay here. Raises QuestionError for a folder that is no job, or one
    that the centre would not look at.
    """
    if not (folder / "job.yaml").is_file():
        raise QuestionError(
            f"{folder} has no job.yaml, so the centre would not know what to do with it\n"
            f"Fix: ./fed jobs new {folder.resolve().name} --from-script SCRIPT.py drafts one"
        )
    drafts.check_name(folder.resolve().name)
    files = list(_files(folder))
    if (size := sum(path.stat().st_size for path in files)) > LARGEST:
        raise QuestionError(
            f"{folder} has {size:,} bytes, and the centre takes {LARGEST:,} at most\n"
            "Fix: leave out what the job does not need; a model to start from is smaller as float32"
        )
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files:
            archive.write(path, path.relative_to(folder).as_posix())
        archive.comment = uuid.uuid4().hex.encode()
    return written.getvalue()


def submit(blobs: Blobs, folder: Path) -> str:
    """Upload a job's folder into the centre's container `inbox` and return the job's id.

    Raises QuestionError for a folder that is no job, RefusedError with the centre's reason, FedError where
    the centre does not answer.
    """
    archive, name = packed(folder), folder.resolve().name
    earlier = blobs.read(f"{name}.json").get(f"{name}.json")
    blobs.upload(f"{name}.zip", archive)
    answer = _answer(blobs, name, hashlib.sha256(archive).hexdigest(), earlier)
    if error := answer.get("error"):
        raise RefusedError(f"the centre does not take {name}: {error}")
    return str(answer["job_id"])


def download(blobs: Blobs, job_id: str, into: Path) -> list[str]:
    """Write what a job left in the centre's container `results` into a new folder; return the files' names.

    Raises QuestionError where the folder is there already, RefusedError where the job left nothing.
    """
    found = write_folder(blobs, f"{job_id}/", into)
    if not found:
        raise RefusedError(
            f"job {job_id} left no results: it runs still, was aborted or failed\n"
            f"Fix: ./fed jobs watch {job_id}"
        )
    return found


def _answer(blobs: Blobs, name: str, checksum: str, earlier: bytes | None) -> dict[str, Any]:
    """Return the answer to the archive of that checksum; `earlier` is what lay there before it."""
    until = time.monotonic() + ANSWER_SECONDS
    blob = f"{name}.json"
    found = earlier
    while time.monotonic() < until:
        found = blobs.read(blob).get(blob)
        answer: dict[str, Any] = plain_document(json.loads(found)) if found else {}
        if answer.get("archive") == checksum:
            return answer
        time.sleep(_PAUSE_SECONDS)
    if found != earlier:
        raise FedError(
            f"the centre took another archive as inbox/{name}.zip: somebody at its door uploaded one under"
            f" that name, and yours was not taken\nFix: give your job another name"
        )
    raise FedError(
        f"the centre did not answer inbox/{name}.zip within {ANSWER_SECONDS:.0f} s: it is there, and is "
        "taken once the centre's container server runs\nFix: ./fed status, then ./fed jobs"
    )


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if path.is_file() and not any(part.startswith(".") or part in _LEFT_OUT for part in parts):
            yield path
