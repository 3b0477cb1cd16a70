"""Jobs: composed from their job.yaml, submitted with the administrator's kit, followed by the files they
leave.

A job waits until as many hospitals have approved its code as it needs; then it is submitted to NVFlare, for
those hospitals alone. That a job was asked for is this service's own memory, `agent/jobs/<id>.json`. What
became of it is in the server's volume, `jobs/<id>/`: status.json, progress.json and results/, written by a
process that the hospitals' answers reach and therefore read as hostile (foreign.py).
"""

import re
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal

from container_server.centre.authority import LEAD, Authority
from container_server.centre.built_jobs import BuiltJobs
from container_server.centre.catalogue import Catalogue
from container_server.centre.composed import Asked, compose
from container_server.centre.job_folder import MOST_ROUNDS, JobFolder, JobRefusedError
from container_server.centre.standing import Reports, Standing
from container_server.clock import Clock
from container_server.config import Config
from container_server.errors import ContainerServerError, RefusedInputError
from container_server.files import read_json, write_json
from container_server.foreign import ForeignFileError, ForeignFolder
from container_server.log import say
from container_server.messages import checked
from container_server.nvflare_cli import Nvflare

SERVER = "fl-server"
LONGEST_AUTHOR = 200
CHECKPOINT = "checkpoint.npz"
"""The model after the last full round, in a job's folder of the server's volume (fed_server/model.py)."""
_JOB_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

DAY = 86_400.0
SETTLE_SECONDS = 10.0
"""How long a job waits for reports of hospitals that were not heard yet, before it starts without them."""

SETTLED_SECONDS = 30 * DAY
"""After so long nothing of a job that has ended changes by itself: no job runs longer."""
JobState = Literal["waiting", "queued", "running", "finished", "failed", "aborted"]


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
        return self.state not in ("waiting", "queued", "running")

    @property
    def sent(self) -> bool:
        """Whether NVFlare has it and is not done with it."""
        return self.state in ("queued", "running")

    @property
    def needed(self) -> int:
        """Hospitals without which it does not run."""
        return int(self.submission.get("minimum_sites", 1))


class Jobs:
    """All jobs ever submitted here."""

    def __init__(
        self,
        *,
        config: Config,
        clock: Clock,
        nvflare: Nvflare,
        authority: Authority,
        reports: Callable[[], Reports],
    ):
        self._config = config
        self._reports = reports
        self._clock = clock
        self._nvflare = nvflare
        self._authority = authority
        self._one_at_a_time = threading.Lock()
        self._submissions = config.agent / "jobs"
        self.shared = ForeignFolder(config.work)
        """The server's volume: `jobs/<id>/` is a job's folder."""
        self.built = BuiltJobs(config.agent / "built")
        self.catalogue = Catalogue(config.jobs, config.agent / "inbox")
        self._settled: dict[str, Job] = {}
        """Jobs that ended long ago, as they were read last: their files are not read each second for ever."""

    def submit(
        self,
        name: str,
        rounds: int | None = None,
        parameters: Mapping[str, str] | None = None,
        *,
        author: str = "unknown",
    ) -> str:
        """Compose a job in somebody's name and ask the hospitals; its id.

        Raises JobRefusedError, NvflareError or TransientError.
        """
        job = self.catalogue.find(name)
        inputs, sources = self._inputs(job)
        asked = Asked(
            rounds=_rounds(job, rounds),
            parameters=job.parse(parameters or {}),
            inputs=inputs,
            input_jobs=sources,
            author=author[:LONGEST_AUTHOR],
            boxes=self._config.boxes,
        )
        return self._ask(job, asked)

    def run_first(
        self, name: str, rounds: int | None = None, parameters: Mapping[str, str] | None = None
    ) -> list[str]:
        """Jobs that have to run before a job can: never finished, or with other code, members or data since.

        Raises JobRefusedError where the job itself cannot run as asked.
        """
        job = self.catalogue.find(name)
        _rounds(job, rounds)
        job.parse(parameters or {})
        needed = dict.fromkeys(need["result"].partition("/")[0] for need in job.content["needs"].values())
        newest, data = self.newest_finished(), self._data()
        known = {other: self.get(newest[other]).submission for other in needed if other in newest}
        return [
            other
            for other in needed
            if other not in known
            or known[other].get("checksum") != self.catalogue.find(other).checksum
            or self._of(other, known[other].get("data") or {}) != self._of(other, data)
        ]

    def _of(self, name: str, data: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
        """Of what hospitals reported the files that a job reads, as far as it says."""
        files = self.catalogue.find(name).content["data"]
        return {
            hospital: {file: known for file, known in own.items() if not files or file in files}
            for hospital, own in data.items()
        }

    def _data(self) -> dict[str, dict[str, str]]:
        """Hospital -> file -> checksum of the data that it reported."""
        return {
            hospital: {file: known["sha256"] for file, known in report.get("data", {}).items()}
            for hospital, report in sorted(self._reports().items())
        }

    def standing(self, job: Job) -> Standing:
        """What the hospitals say to its code now."""
        return Standing.of(str(job.submission.get("code", "")), self._reports())

    def withdrawn(self, job: Job) -> dict[str, str]:
        """Hospitals where it was started and whose approval is gone -> why."""
        refused = self.standing(job).refused
        return {name: refused[name] for name in job.submission.get("hospitals", ()) if name in refused}

    def step(self) -> None:
        """Start each job that enough hospitals have approved; end those that never will run.

        One that cannot be started now holds up no other: the first error is raised after all were looked at.
        """
        errors: list[Exception] = []
        with self._one_at_a_time:
            for job in self.all():
                if job.state == "waiting":
                    try:
                        self._decide(job)
                    except Exception as error:  # raised below
                        errors.append(error)
        if errors:
            raise errors[0]

    def resume(self, job_id: str, *, author: str) -> str:
        """Go on with a failed or aborted job from its last full round, as a new job; its id.

        Hospitals read the name of who asks now; who asked first is in the record of the job before.
        """
        ended = self.get(job_id)
        if not ended.over:
            raise JobRefusedError(f"job {job_id} is {ended.state}: only a job that has ended can be resumed")
        if ended.state == "finished":
            raise JobRefusedError(f"job {job_id} has finished: there is nothing to resume")
        if ended.submission.get("evaluates"):
            raise JobRefusedError(f"job {job_id} measures a model, which has one round. Fix: ./fed evaluate")
        if not self._left_a_model(ended):
            raise JobRefusedError(
                f"job {job_id} left no model to go on from: it ended before its first round was done"
            )
        job = self.catalogue.find(ended.name)
        if job.checksum != ended.submission.get("checksum"):
            raise JobRefusedError(
                f"the code of {job.name} is not the one that job {job_id} ran with: going on would be another"
                " job. Fix: submit it again"
            )
        asked = self._again(job, ended, int(ended.progress["rounds_done"]), author[:LONGEST_AUTHOR])
        return self._ask(job, asked)

    def evaluate(self, job_id: str, version: str, *, author: str) -> str:
        """Have every hospital measure the model that a job left, as `version` of its name; the new job's id.

        It is the job's last round alone, in which hospitals only measure. Raises JobRefusedError.
        """
        trained = self.get(job_id)
        job = self.catalogue.find(trained.name)
        if not job.content["measuring_round"]:
            raise JobRefusedError(
                f"{job.name} has no round in which hospitals only measure."
                " Fix: measuring_round: true in its job.yaml, and train again"
            )
        if job.checksum != trained.submission.get("checksum"):
            raise JobRefusedError(
                f"the code of {job.name} is not the one that made version {version}, and may measure"
                " something else. Fix: train again"
            )
        if not self._left_a_model(trained):
            raise JobRefusedError(f"the model of job {trained.job_id} is not here. Fix: train again")
        rounds = int(trained.submission["rounds"])
        asked = self._again(job, trained, rounds, author[:LONGEST_AUTHOR])
        return self._ask(job, replace(asked, evaluates=version))

    def _left_a_model(self, job: Job) -> bool:
        return f"jobs/{job.job_id}/{CHECKPOINT}" in self.shared.files(f"jobs/{job.job_id}")

    def _again(self, job: JobFolder, before: Job, first_round: int, author: str) -> Asked:
        """How a job is to go on from the model that it left.

        With the results it was trained with, not the newest: otherwise the model's scale would be another.
        """
        inputs, sources = self._inputs(job, before.submission["input_jobs"])
        return Asked(
            rounds=int(before.submission["rounds"]),
            first_round=first_round,
            parameters=before.submission["parameters"],
            inputs=inputs,
            input_jobs=sources,
            resumed_from=before.job_id,
            author=author,
            boxes=self._config.boxes,
        )

    def abort(self, job_id: str, *, by: str) -> None:
        """Stop a job that waits, is queued or runs, in somebody's name."""
        by = by[:LONGEST_AUTHOR]
        if self.get(job_id).state == "waiting" and self._end_unsent(job_id, by):
            return
        job = self.get(job_id)
        if job.over:
            raise JobRefusedError(f"job {job_id} is {job.state} already")
        # First, so that no result of it is handed on meanwhile.
        self._note(job, aborted=self._clock.now(), aborted_by=by)
        try:
            self._as_lead("abort", job.job_id)
        except Exception:
            self._note(job, aborted=None, aborted_by=None)
            raise
        say("job aborted", job=job.name, job_id=job.job_id, by=by)

    def _end_unsent(self, job_id: str, by: str) -> bool:
        """End a job that still waits; False where it was sent, or ended, while this waited for its turn."""
        with self._one_at_a_time:
            job = self.get(job_id)
            if job.state != "waiting":
                return False
            self._note(job, aborted_by=by)
            self._end(job, "aborted", "aborted")
            return True

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
            yield free and not any(job.sent for job in self.all())
        finally:
            if free:
                self._one_at_a_time.release()

    def withhold(self, job: Job, reason: str) -> None:
        """Take note that a job's results are handed to nobody: it has failed, whatever it says of itself."""
        self._note(job, withheld=reason)
        say("results withheld from everybody", job=job.name, job_id=job.job_id, reason=reason)

    def _note(self, job: Job, **what: Any) -> None:
        self._settled.pop(job.job_id, None)
        known = read_json(self._submissions / f"{job.job_id}.json") or {}
        write_json(self._submissions / f"{job.job_id}.json", {**known, **what})

    def newest_finished(self) -> dict[str, str]:
        """Job's name -> id of its newest run that did finish: later jobs may take its results."""
        trained = [job for job in self.all() if not job.submission.get("evaluates")]
        return {job.name: job.job_id for job in reversed(trained) if job.state == "finished"}

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
        job = self._settled.get(job_id) or self._read_anew(job_id)
        if job.over and self._clock.now() - job.submitted > SETTLED_SECONDS:
            self._settled[job_id] = job
        return job

    def _read_anew(self, job_id: str) -> Job:
        submission = read_json(self._submissions / f"{job_id}.json") or {}
        status: dict[str, Any] = {}
        progress: dict[str, Any] = {}
        try:
            status = self._message("status", job_id)
            progress = self._message("progress", job_id)
        except RefusedInputError as error:
            progress = {"state": "failed", "reason": f"what it wrote of itself cannot be used: {error}"[:500]}
        state, reason = state_of(str(status.get("nvflare", "")), str(status.get("reason", "")), progress)
        if "waits_until" in submission:
            state, reason = "waiting", ""
        if ended := submission.get("ended"):
            state, reason = ended["state"], ended["reason"]
        if submission.get("aborted") and state == "finished":
            state, reason = "aborted", "aborted"
        if state == "aborted" and (by := submission.get("aborted_by")):
            reason = f"aborted by {by}"
        if withheld := submission.get("withheld"):
            state, reason = "failed", f"its results are withheld from everybody: {withheld}"
        submitted = float(submission.get("submitted", 0.0))
        return Job(job_id, str(submission.get("job", "")), state, reason, submitted, submission, progress)

    def _message(self, kind: str, job_id: str) -> dict[str, Any]:
        """A job's status or progress, as its schema says. Raises RefusedInputError."""
        content = self.shared.json(f"jobs/{job_id}/{kind}.json")
        return {} if content is None else checked(kind, content)

    def _inputs(
        self, job: JobFolder, given: Mapping[str, str] | None = None
    ) -> tuple[dict[str, Any], dict[str, str]]:
        """Setting -> the content of the result that it is made from, and -> the id of that result's job.

        Of the `given` jobs, or of the newest that did finish: what a job says of itself is no proof. Raises
        JobRefusedError where there is none, or it left no such file.
        """
        contents, sources, finished = {}, {}, self.newest_finished()
        for name, need in job.content["needs"].items():
            other, _, file = need["result"].partition("/")
            source = given.get(name, "") if given is not None else finished.get(other, "")
            content = self.shared.json(f"jobs/{source}/results/global/{file}") if source else None
            if content is None:
                raise JobRefusedError(
                    f"{job.name} needs {file} of a finished job {other!r}: submit {other!r} first"
                )
            contents[name], sources[name] = content, source
        return contents, sources

    def _ask(self, job: JobFolder, asked: Asked) -> str:
        self._check_minimum(job)
        data = {name: report.get("data", {}) for name, report in sorted(self._reports().items())}
        composed = compose(job, replace(asked, data=data), sorted(self._reports()))
        with self._one_at_a_time:
            job_id, now = str(uuid.uuid4()), self._clock.now()
            try:
                submission = {
                    "job": job.name,
                    "author": asked.author,
                    "minimum_sites": job.content["minimum_sites"],
                    "rounds": asked.rounds,
                    "first_round": asked.first_round,
                    "parameters": dict(asked.parameters),
                    "input_jobs": dict(asked.input_jobs),
                    "resumed_from": asked.resumed_from or None,
                    "evaluates": asked.evaluates or None,
                    "checksum": job.checksum,
                    **vars(self.built.keep(job.name, job_id, composed)),
                    "submitted": now,
                    "by": LEAD,
                    "data": self._data(),
                    "waits_until": now + self._config.request_days * DAY,
                }
                write_json(self._submissions / f"{job_id}.json", submission)
                self._decide(self.get(job_id))
            except Exception:
                self._forget(job_id)
                raise
        return job_id

    def _forget(self, job_id: str) -> None:
        self.built.drop(job_id)
        (self._submissions / f"{job_id}.json").unlink(missing_ok=True)

    def _decide(self, job: Job) -> None:
        """Start a job that waits, end it, or leave it."""
        standing, now = self.standing(job), self._clock.now()
        if standing.silent and now - job.submitted < SETTLE_SECONDS:
            return
        enough = len(standing.approved) >= job.needed
        if now > float(job.submission["waits_until"]):
            why = "NVFlare did not take it" if enough else standing.words(job.needed)
            self._end(job, "failed", f"it waited for {self._config.request_days} days: {why}")
        elif enough:
            self._start(job, list(standing.approved))
        elif not standing.possible(job.needed):
            self._end(job, "failed", standing.words(job.needed))

    def _start(self, job: Job, hospitals: list[str]) -> None:
        folder = self.built.for_hospitals(job.job_id, hospitals)
        for path, content in self.built.for_server(job.job_id):
            self.shared.write(f"jobs/{job.job_id}/{path}", content)
        known = self._message("status", job.job_id).get("nvflare")  # sent, and this service killed since
        answer = {"job_id": job.job_id} if known else self._as_lead("submit", str(folder))
        if answer["job_id"] != job.job_id:
            raise JobRefusedError(f"NVFlare runs it under another id: {str(answer['job_id'])[:80]!r}")
        submission = {key: value for key, value in job.submission.items() if key != "waits_until"}
        write_json(self._submissions / f"{job.job_id}.json", {**submission, "hospitals": hospitals})
        self.built.drop(job.job_id)
        say("job submitted", job=job.name, job_id=job.job_id, hospitals=hospitals)

    def _end(self, job: Job, state: JobState, reason: str) -> None:
        """A job that never ran."""
        self._note(job, ended={"state": state, "reason": reason})
        self.built.drop(job.job_id)
        say("job not started", job=job.name, job_id=job.job_id, state=state, reason=reason)

    def _check_minimum(self, job: JobFolder) -> None:
        """A job that needs more hospitals than there are would wait forever. Raises JobRefusedError."""
        members, needed = self._reports(), int(job.content["minimum_sites"])
        if needed > len(members):
            known = ", ".join(sorted(members)) or "none"
            raise JobRefusedError(
                f"{job.name} needs answers of {needed} hospitals (minimum_sites in its job.yaml), and"
                f" {len(members)} may register: {known}. Fix: lower minimum_sites, or approve more hospitals"
            )

    def _as_lead(self, action: str, argument: str) -> dict[str, Any]:
        with self._authority.lead_kit() as kit:
            return self._nvflare.as_administrator(kit, LEAD, action, argument)


def _rounds(job: JobFolder, given: int | None) -> int:
    rounds = job.rounds if given is None else given
    if job.rounds == 0 and rounds:
        raise JobRefusedError(f"{job.name} has no rounds: leave --rounds out")
    if job.rounds and not 1 <= rounds <= MOST_ROUNDS:
        raise JobRefusedError(f"{job.name}: --rounds is {rounds}, expected 1 to {MOST_ROUNDS}")
    return rounds


def state_of(nvflare: str, reason: str, progress: Mapping[str, Any]) -> tuple[JobState, str]:
    """State and reason from NVFlare's status and the tracker's progress.

    The tracker decides whether a job that ended by itself is complete: NVFlare calls a job abnormal when one
    hospital was lost on the way, though all rounds were done. It also takes seconds (of NVFlare 2.9: three
    until the server's job process sees its end, three more until that process is gone) before it says that
    a job has ended, which nobody has to wait for. What was aborted never counts as finished.
    """
    if nvflare in ("", "SUBMITTED", "APPROVED"):
        return "queued", reason
    if not nvflare.startswith("FINISHED"):
        return ("finished", "") if progress.get("state") == "finished" else ("running", reason)
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
