"""Lets a job onto this machine only in the platform's form, and when the hospital has approved its code.

Works where NVFlare unpacks a job that arrives (`app_deployer`), in the client's own process, before any of
the job's code is there. The hospital's answers are in a folder that is mounted read-only; what was asked is
left for the container server, which brings it to the hospital's officers.
"""

import json
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nvflare.apis.fl_context import FLContext
from nvflare.apis.job_def import JobMetaKey
from nvflare.apis.workspace import Workspace
from nvflare.private.fed.utils.app_deployer import AppDeployer

from fed_site import job_form
from fed_site.job_code import UnreadableJobError, checksum, files, manifest
from fed_site.start import WORK

ANSWERS = Path(os.environ.get("FED_ANSWERS", "/answers")) / "answers.json"
REQUESTS = WORK / "requests"
MOST_REQUESTS = 20
_PLAIN = re.compile(r"[^A-Za-z0-9 _.@-]")


@dataclass(frozen=True)
class Answers:
    """What the hospital's officers said: checksums that are approved, and those refused with a reason."""

    approved: frozenset[str]
    refused: Mapping[str, str]

    @classmethod
    def read(cls, path: Path) -> "Answers":
        """From the container server's file; nothing is approved where there is none, or another's."""
        try:
            content = json.loads(path.read_text())
            return cls(frozenset(map(str, content["approved"])), dict(content["refused"]))
        except (OSError, ValueError, KeyError, TypeError):
            return cls(frozenset(), {})

    def objection(self, code: str, hospital: str) -> str | None:
        """Why a job of this code may not run here, in words for its author that go on after the hospital's
        name; None when it may.
        """
        if code in self.refused:
            return f"has refused this job's code ({code[:12]}): {self.refused[code]}"
        if code in self.approved:
            return None
        return (
            f"has not approved this job's code ({code[:12]}) yet; once its officers have"
            f" (`fed hospital review {hospital}`), submit the job again"
        )


class ConsentingDeployer(AppDeployer):  # type: ignore[misc]  # nvflare has no types
    """Site component `app_deployer`: NVFlare's, after the hospital's answer."""

    def deploy(  # noqa: PLR0917 - NVFlare's
        self,
        workspace: Workspace,
        job_id: str,
        job_meta: dict[str, Any],
        app_name: str,
        app_data: bytes,
        fl_ctx: FLContext,
    ) -> str:
        """See AppDeployerSpec: what is wrong, in words, or an empty text."""
        hospital = str(fl_ctx.get_identity_name())
        try:
            code = checksum(app_data)
            manifest(app_data)
            job_form.check(files(app_data), job_meta)
        except (UnreadableJobError, job_form.JobFormError) as error:
            return f"does not take this job: {error}"
        objection = Answers.read(ANSWERS).objection(code, hospital)
        ask(REQUESTS, code, app_data, description(job_id, job_meta))
        if objection:
            return objection
        return str(super().deploy(workspace, job_id, job_meta, app_name, app_data, fl_ctx) or "")


def description(job_id: str, job_meta: Mapping[str, Any]) -> dict[str, Any]:
    """What a request tells besides the code. The centre's words: bounded, without control characters."""
    return {
        "job_id": _plain(job_id),
        "name": _plain(job_meta.get(JobMetaKey.JOB_NAME)),
        "submitter": _plain(job_meta.get(JobMetaKey.SUBMITTER_NAME)),
        "asked": time.time(),
    }


def ask(folder: Path, code: str, archive: bytes, described: Mapping[str, Any]) -> None:
    """Leave `<code>.zip` and `<code>.json` in the folder, and at most MOST_REQUESTS of them."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, content in ((f"{code}.zip", archive), (f"{code}.json", json.dumps(described).encode())):
        new = folder / f"{name}.new"
        new.unlink(missing_ok=True)
        new.write_bytes(content)
        new.replace(folder / name)
    newest = sorted(folder.glob("*.json"), key=lambda path: -path.stat().st_mtime)
    for old in newest[MOST_REQUESTS:]:
        old.with_suffix(".zip").unlink(missing_ok=True)
        old.unlink(missing_ok=True)


def _plain(text: Any) -> str:
    return _PLAIN.sub("?", str(text))[:80]
