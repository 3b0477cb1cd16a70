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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nvflare.apis.fl_context import FLContext
from nvflare.apis.job_def import JobMetaKey
from nvflare.apis.workspace import Workspace
from nvflare.private.fed.utils.app_deployer import AppDeployer

from fed_site import box, job_form
from fed_site.arrivals import Arrivals
from fed_site.house_rules import HouseRules
from fed_site.job_code import UnreadableJobError, checksum, files, manifest
from fed_site.notes import FOLDER as RELEASES
from fed_site.notes import JOB_ID, Notes
from fed_site.runs import RUNS, Runs
from fed_site.start import WORK

ANSWERS = Path(os.environ.get("FED_ANSWERS", "/answers")) / "answers.json"
REQUESTS = WORK / "requests"
ARRIVALS = WORK
CODE = "fed_code.txt"
"""In the folder of a job's run."""
MOST_REQUESTS = 20
_PLAIN = re.compile(r"[^A-Za-z0-9 _.@-]")


@dataclass(frozen=True)
class Answers:
    """What the hospital's officers said: checksums that are approved, and those refused with a reason."""

    approved: frozenset[str]
    refused: Mapping[str, str]
    rules: HouseRules = field(default_factory=HouseRules)

    @classmethod
    def read(cls, path: Path) -> "Answers":
        """From the container server's file; nothing is approved where there is none, or another's."""
        try:
            content = json.loads(path.read_text())
            rules = HouseRules.read(content["rules"])
            return cls(frozenset(map(str, content["approved"])), dict(content["refused"]), rules)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return cls(frozenset(), {})

    def objection(self, code: str, hospital: str, now: float) -> str | None:
        """Why a job of this code may not run here now, in words for its author that go on after the
        hospital's name; None when it may.
        """
        if code in self.refused:
            return f"has refused this job's code ({code[:12]}): {self.refused[code]}"
        if code in self.approved:
            return self.rules.closed(now)
        return (
            f"has not approved this job's code ({code[:12]}) yet; its officers see it with"
            f" `fed hospital review {hospital}`"
        )


def remember_code(workspace: Workspace, job_id: str, code: str) -> None:
    """Write down, next to a job, the checksum of what was unpacked."""
    (Path(workspace.get_run_dir(job_id)) / CODE).write_text(code)


def code_of(workspace: Workspace, job_id: str) -> str:
    """The checksum of what was unpacked for a job. Raises OSError."""
    return (Path(workspace.get_run_dir(job_id)) / CODE).read_text()


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
        if not JOB_ID.fullmatch(job_id) or job_meta.get(JobMetaKey.JOB_ID) != job_id:
            return "does not take this job: it has no id, or two"
        try:
            code, said = checksum(app_data), manifest(app_data)
            job_form.check(files(app_data), job_meta)
        except (UnreadableJobError, job_form.JobFormError) as error:
            return f"does not take this job: {error}"
        answers, now, runs = Answers.read(ANSWERS), time.time(), Runs(RUNS)
        objection = (
            answers.objection(code, hospital, now)
            or answers.rules.objection(said, runs.of(code), now)
            or box.missing(said.box)
        )
        ask(REQUESTS, code, app_data, description(job_id, job_meta))
        if objection:
            return objection
        arrivals = Arrivals(ARRIVALS)
        wrong = super().deploy(arrivals.around(workspace), job_id, job_meta, app_name, app_data, fl_ctx)
        if not wrong:
            arrivals.settle(workspace, job_id)
            remember_code(workspace, job_id, code)
            runs.add(code, now)
            Notes(RELEASES).note(job_id, {"task": "start", "round": None}, {"started": code})
        return str(wrong or "")


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
