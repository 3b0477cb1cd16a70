"""Jobs: built in the server's container, submitted with the administrator's kit, followed by the files they
leave.

That a job was submitted is this service's own memory, `agent/jobs/<id>.json`. What became of it is in the
server's volume, `jobs/<id>/`: status.json, progress.json and results/, written where the job's own code runs
and therefore read as hostile (foreign.py).
"""

import json
import re
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from container_server.centre.authority import LEAD, Authority
from container_server.clock import Clock
from container_server.config import Config
from container_server.engine import Engine
from container_server.errors import ContainerServerError, RefusedInputError
from container_server.files import empty, read_json, write_bytes, write_json
from container_server.foreign import ForeignFileError, ForeignFolder
from container_server.log import say
from container_server.messages import checked
from container_server.nvflare_cli import Nvflare

SERVER = "fl-server"
LONGEST_AUTHOR = 200
_NAME = re.compile(r"[a-z](?:[a-z0-9-]{0,38}[a-z0-9])?")
_JOB_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

JobState = Literal["queued", "running", "finished", "failed", "aborted"]


class JobRefusedError(ContainerServerError):
    """A job that cannot be run as asked."""


class UnknownJobError(ContainerServerError):
    """No job of that id."""


@dataclass(frozen=True)
class Job:
    """One job as its files tell it."""

    job_id: str
    name: str
    state: JobState
    reason: str
    submitted: float
    submission: Mapping[str, Any]
    progress: Mapping[str, Any]

    @property
    def over(self) -> bool:
        """Whether nothing more will happen."""
        return self.state not in ("queued", "running")


class Jobs:
    """All jobs ever submitted here."""

    def __init__(
        self,
        *,
        config: Config,
        clock: Clock,
        engine: Engine,
        nvflare: Nvflare,
        authority: Authority,
        hospitals: Callable[[], Mapping[str, Mapping[str, str]]],
    ):
        self._config = config
        self._hospitals = hospitals
        """Hospitals whose clients may register now -> file -> checksum of the data that they reported."""
        self._clock = clock
        self._engine = engine
        self._nvflare = nvflare
        self._authority = authority
        self._one_at_a_time = threading.Lock()
        self._submissions = config.agent / "jobs"
        self.shared = ForeignFolder(config.work)
        """The server's volume: `jobs/<id>/` is a job's folder."""

    def submit(
        self,
        name: str,
        rounds: int | None = None,
        parameters: Mapping[str, str] | None = None,
        *,
        author: str = "unknown",
    ) -> str:
        """Build and submit a job in somebody's name; its id.

        Raises JobRefusedError, NvflareError or TransientError.
        """
        return self._build_and_submit(
            [*_words(name, rounds, parameters), "--author", author[:LONGEST_AUTHOR]]
        )

    def run_first(
        self, name: str, rounds: int | None = None, parameters: Mapping[str, str] | None = None
    ) -> list[str]:
        """Jobs that have to run before a job can: never finished, or with other code, members or data since.

        Raises JobRefusedError where the job itself cannot run as asked.
        """
        needs = self._build([*_words(name, rounds, parameters), "--check"])["needs"]
        newest, data = self.newest_finished(), self._data()
        known = {job: self.get(newest[job]).submission for job in needs if job in newest}
        return [
            job
            for job, code in needs.items()
            if job not in known or known[job].get("checksum") != code or known[job].get("data") != data
        ]

    def _data(self) -> dict[str, dict[str, str]]:
        return {hospital: dict(files) for hospital, files in sorted(self._hospitals().items())}

    def resume(self, job_id: str) -> str:
        """Go on with a failed or aborted job from its last full round, as a new job; its id."""
        job = self.get(job_id)
        if not job.over:
            raise JobRefusedError(f"job {job_id} is {job.state}: only a job that has ended can be resumed")
        author = str(job.submission.get("author", "unknown"))
        return self._build_and_submit([job.name, "--resume", job.job_id, "--author", author])

    def abort(self, job_id: str) -> None:
        """Stop a job that is queued or running."""
        job = self.get(job_id)
        if job.over:
            raise JobRefusedError(f"job {job_id} is {job.state} already")
        self._as_lead("abort", job.job_id)
        self._note(job, aborted=self._clock.now())
        say("job aborted", job=job.name, job_id=job.job_id)

    def get(self, job_id: str) -> Job:
        """A job by its id or the beginning of it. Raises UnknownJobError."""
        matches = [entry for entry in self._ids() if job_id and entry.startswith(job_id)]
        if len(matches) != 1:
            problem = "no job has" if not matches else f"{len(matches)} jobs have ids beginning with"
            raise UnknownJobError(f"{problem} {job_id!r}: see the list of jobs")
        return self._read(matches[0])

    def all(self) -> list[Job]:
        """All jobs, newest first."""
        return sorted((self._read(job_id) for job_id in self._ids()), key=lambda job: -job.submitted)

    @contextmanager
    def idle(self) -> Iterator[bool]:
        """Whether no job is queued or runs; while that is so, none is submitted."""
        free = self._one_at_a_time.acquire(blocking=False)
        try:
            yield free and all(job.over for job in self.all())
        finally:
            if free:
                self._one_at_a_time.release()

    def withhold(self, job: Job, reason: str) -> None:
        """Take note that a job's results are handed to nobody: it has failed, whatever it says of itself."""
        self._note(job, withheld=reason)
        say("results withheld from everybody", job=job.name, job_id=job.job_id, reason=reason)

    def _note(self, job: Job, **what: Any) -> None:
        known = read_json(self._submissions / f"{job.job_id}.json") or {}
        write_json(self._submissions / f"{job.job_id}.json", {**known, **what})

    def newest_finished(self) -> dict[str, str]:
        """Job's name -> id of its newest run that did finish: later jobs may take its results."""
        return {job.name: job.job_id for job in reversed(self.all()) if job.state == "finished"}

    def left_behind(self, job: Job, name: str) -> dict[str, Any]:
        """A JSON object that a job left in its folder; empty where there is none or it is not to be read."""
        try:
            content = self.shared.json(f"jobs/{job.job_id}/{name}")
        except ForeignFileError:
            return {}
        return content if isinstance(content, dict) else {}

    def _ids(self) -> list[str]:
        return [path.stem for path in self._submissions.glob("*.json") if _JOB_ID.fullmatch(path.stem)]

    def _read(self, job_id: str) -> Job:
        submission = read_json(self._submissions / f"{job_id}.json") or {}
        status: dict[str, Any] = {}
        progress: dict[str, Any] = {}
        try:
            status = self._message("status", job_id)
            progress = self._message("progress", job_id)
        except RefusedInputError as error:
            progress = {"state": "failed", "reason": f"what it wrote of itself cannot be used: {error}"[:500]}
        state, reason = state_of(str(status.get("nvflare", "")), str(status.get("reason", "")), progress)
        if "aborted" in submission and state == "finished":
            state, reason = "aborted", "aborted"
        if withheld := submission.get("withheld"):
            state, reason = "failed", f"its results are withheld from everybody: {withheld}"
        submitted = float(submission.get("submitted", 0.0))
        return Job(job_id, str(submission.get("job", "")), state, reason, submitted, submission, progress)

    def _message(self, kind: str, job_id: str) -> dict[str, Any]:
        """A job's status or progress, as its schema says. Raises RefusedInputError."""
        content = self.shared.json(f"jobs/{job_id}/{kind}.json")
        return {} if content is None else checked(kind, content)

    def _build_and_submit(self, arguments: list[str]) -> str:
        with self._one_at_a_time:
            outbox = f"outbox/{uuid.uuid4().hex}"
            try:
                finished = [f"--finished={name}={ended}" for name, ended in self.newest_finished().items()]
                out = ["--out", str(self._config.server_work / outbox)]
                built = self._build([*arguments, *finished, *out])
                self._check_minimum(built)
                folder = self._take_over(outbox, str(built.get("job", "")))
                answer = self._as_lead("submit", str(folder))
            except ForeignFileError as error:
                raise JobRefusedError(f"the job that was built is not taken: {error}") from error
            finally:
                self.shared.remove(outbox)
                empty(self._outbox)
            job_id = str(answer["job_id"])
            if not _JOB_ID.fullmatch(job_id):
                raise JobRefusedError(f"NVFlare answered with an unusable job id: {job_id[:80]!r}")
            submission = {**built, "submitted": self._clock.now(), "by": LEAD, "data": self._data()}
            write_json(self._submissions / f"{job_id}.json", submission)
            self.shared.make(f"jobs/{job_id}")  # where the server writes what becomes of it
        say("job submitted", job=built["job"], job_id=job_id, rounds=built["rounds"])
        return job_id

    def _check_minimum(self, built: Mapping[str, Any]) -> None:
        """A job that needs more hospitals than there are would wait forever. Raises JobRefusedError."""
        members, needed = self._hospitals(), built.get("minimum_sites")
        if isinstance(needed, int) and needed > len(members):
            known = ", ".join(sorted(members)) or "none"
            raise JobRefusedError(
                f"{built['job']} needs answers of {needed} hospitals (minimum_sites in its job.yaml), and"
                f" {len(members)} may register: {known}. Fix: lower minimum_sites, or approve more hospitals"
            )

    @property
    def _outbox(self) -> Path:
        """Where a built job is copied to before it is sent, out of reach of the code that built it."""
        return self._config.agent / "outbox"

    def _take_over(self, outbox: str, name: str) -> Path:
        """The plain files of a built job, copied; its folder. Raises ForeignFileError or JobRefusedError."""
        if not _NAME.fullmatch(name):
            raise JobRefusedError(f"the server's container built a job named {name[:80]!r}")
        empty(self._outbox)
        for file in self.shared.files(f"{outbox}/{name}"):
            content = self.shared.read(file)
            if content is not None:
                write_bytes(self._outbox / PurePosixPath(file).relative_to(outbox), content)
        if not (self._outbox / name / "meta.json").is_file():
            raise JobRefusedError(f"{name}: the server's container built no job folder")
        return self._outbox / name

    def _as_lead(self, action: str, argument: str) -> dict[str, Any]:
        with self._authority.lead_kit() as kit:
            return self._nvflare.as_administrator(kit, LEAD, action, argument)

    def _build(self, arguments: list[str]) -> dict[str, Any]:
        command = ["python3", "-m", "fed_server.build", *arguments]
        code, output = self._engine.execute(SERVER, command)
        lines = [line for line in output.splitlines() if line.startswith("{")]
        answer = json.loads(lines[-1]) if lines else {}
        if code != 0 or "error" in answer:
            raise JobRefusedError(str(answer.get("error") or f"building the job ended with exit code {code}"))
        return dict(answer)


def _words(name: str, rounds: int | None, parameters: Mapping[str, str] | None) -> list[str]:
    """The builder's arguments for a job."""
    words = [name, *([] if rounds is None else ["--rounds", str(rounds)])]
    for key, value in (parameters or {}).items():
        words += ["--param", f"{key}={value}"]
    return words


def state_of(nvflare: str, reason: str, progress: Mapping[str, Any]) -> tuple[JobState, str]:
    """State and reason from NVFlare's status and the tracker's progress.

    The tracker decides whether a job that ended by itself is complete: NVFlare calls a job abnormal when one
    hospital was lost on the way, though all rounds were done. What was aborted never counts as finished.
    """
    if nvflare in ("", "SUBMITTED", "APPROVED"):
        return "queued", reason
    if not nvflare.startswith("FINISHED"):
        return "running", reason
    if nvflare == "FINISHED:ABORTED" or (progress.get("state"), progress.get("reason")) == (
        "failed",
        "aborted",
    ):
        return "aborted", "aborted"
    if progress.get("state") == "finished":
        return "finished", ""
    if nvflare == "FINISHED:CAN_NOT_SCHEDULE":
        return "failed", "it waited for hours, and never were as many hospitals connected as it needs at once"
    why = progress.get("reason") if progress.get("state") == "failed" else ""
    return "failed", str(why or reason or f"NVFlare ended it as {nvflare}")
