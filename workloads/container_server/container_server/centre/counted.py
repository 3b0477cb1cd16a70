"""Who asked for what: of each job its author, its code, where it ran and whose answers the centre counted.

One half of what `fed verify` compares; the other is each hospital's own record (docs/adr/0099).
"""

from collections.abc import Mapping
from typing import Any, final

from container_server import answers, questions
from container_server.centre.jobs import Job, Jobs
from container_server.control import Handler

CODE_LENGTH = 16
"""Hex digits of a checksum: enough to tell codes apart, and an answer of Azure's carries few bytes."""
AUTHOR_LENGTH = 60


@final
class Counted:
    """From the centre's own memory of its jobs, and what the server wrote of them."""

    def __init__(self, jobs: Jobs):
        self._jobs = jobs

    def handlers(self) -> dict[str, Handler]:
        """Command -> handler."""
        return {"counted": self.listing}

    def listing(self, arguments: Mapping[str, Any]) -> answers.CountedJobs:
        """Jobs that were sent to hospitals, newest first; `skip` goes on with an answer that was cut."""
        skip = questions.ListCounted.read(arguments).skip or 0
        sent = [job for job in self._jobs.all() if job.submission.get("hospitals")]
        return {"jobs": [_row(job) for job in sent[skip:]]}


def _row(job: Job) -> answers.CountedJob:
    history = job.progress.get("history", [])
    return {
        "id": job.job_id,
        "job": job.name,
        "author": str(job.submission.get("author", "unknown"))[:AUTHOR_LENGTH],
        "code": str(job.submission.get("code", ""))[:CODE_LENGTH],
        "asked": int(job.submitted),
        "ran": sorted(job.submission["hospitals"]),
        "answered": sorted({name for entry in history for name in entry["sites"]}),
    }
