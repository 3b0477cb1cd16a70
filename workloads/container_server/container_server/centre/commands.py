"""What `fedctl` can ask the centre, as compact answers."""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from container_server import answers, questions
from container_server.centre.authority import Authority
from container_server.centre.counted import Counted
from container_server.centre.curation import MLFLOW
from container_server.centre.enrolments import Enrolments
from container_server.centre.jobs import SERVER, Job, Jobs
from container_server.centre.members import Member, Members, UnknownHospitalError
from container_server.centre.models import Models
from container_server.centre.rotation import Rotation, RotationRefusedError
from container_server.centre.sign_in import SignIn
from container_server.centre.upgrade import Upgrade
from container_server.chore import Chore
from container_server.clock import Clock
from container_server.config import Config
from container_server.control import Handler, WrongQuestionError
from container_server.engine import ContainerState, Engine, Running
from container_server.errors import RefusedInputError, TransientError
from container_server.images import Images
from container_server.log import say
from container_server.messages import checked

HEARD_WITHIN_SECONDS = 30.0
"""A registered hospital is heard every 4 seconds; the server notes it in steps of 5."""
TROUBLE_LENGTH = 160
"""Characters of a reason in `fedctl status`, whose answer must fit into Azure's 4 KB."""
MOST_TROUBLES = 5
MOST_NOTICES = 10
ROTATION_LENGTH = 400
MOST_NAMES = 30
"""Names of a list in `fedctl show`."""
LOGGED = ("container-server", SERVER, MLFLOW)
"""Containers of the centre."""
MOST_LINES = 1000
FEW_LINES = 40
LONGEST_LINE = 500
ROW_METRICS = ("auc", "own_auc", "accuracy", "brier", "n_train", "n_test")
"""Metrics of a hospital shown in `fedctl job`, where the job has them."""


class Wake(Protocol):
    """Tells the centre's loop that an operator changed something."""

    def __call__(self) -> None:
        """Look at once."""


class Commands:
    """The handlers, by name in `handlers()`."""

    def __init__(
        self,
        *,
        config: Config,
        members: Members,
        enrolments: Enrolments,
        jobs: Jobs,
        engine: Engine,
        clock: Clock,
        wake: Wake,
        authority: Authority,
        rotation: Rotation,
        notices: Callable[[], list[dict[str, Any]]],
        chores: Callable[[], Iterable[Chore]],
        models: Models,
        sign_in: SignIn,
        back_up: Callable[[], None],
        images: Images,
        upgrade: Upgrade,
    ):
        self._config = config
        self._clock = clock
        self._members = members
        self._enrolments = enrolments
        self._jobs = jobs
        self._engine = engine
        self._wake = wake
        self._authority = authority
        self._rotation = rotation
        self._notices = notices
        self._chores = chores
        self._models = models
        self._sign_in = sign_in
        self._back_up = back_up
        self._images = images
        self._upgrade = upgrade

    def handlers(self) -> dict[str, Handler]:
        """Command -> handler."""
        return {
            "status": self.status,
            "submit": self.submit,
            "check": self.check,
            "jobs": self.jobs,
            "job": self.job,
            "show": self.show,
            "abort": self.abort,
            "resume": self.resume,
            "evaluate": self.evaluate,
            "requests": self.requests,
            "approve": self.approve,
            "revoke": self.revoke,
            "renew": self.renew,
            "rotate": self.rotate,
            "upgrade": self.upgrade,
            "logs": self.logs,
            **self._models.handlers(),
            **self._sign_in.handlers(),
            **Counted(self._jobs).handlers(),
        }

    def status(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Containers, hospitals (those after the name `after`), the last job, and what goes wrong here."""
        asked = questions.Status.read(arguments)
        heard = self._heard()
        present = {name: member for name, member in self._members.all().items() if not member.left}
        jobs = self._jobs.all()
        return {
            "party": self._config.party,
            "containers": {"container-server": "running"}
            | {name: _words(self._engine.state(name)) for name in (SERVER, MLFLOW)},
            "hospitals": {
                name: self._hospital(name, member, heard.get(name))
                for name, member in sorted(present.items())
                if name > (asked.after or "")
            },
            "registered": sum(name in heard for name in present),
            "last_job": self._row(jobs[0]) if jobs else None,
            "certificates": {what: int(ends) for what, ends in self._authority.ends().items()},
            "notices": self._notices()[:MOST_NOTICES],
            **({"images": own} if (own := self._own_images()) else {}),
            "rotation": self._rotation.words(self._enrolments.reports())[:ROTATION_LENGTH],
            "troubles": [
                {"what": chore.what, "owner": chore.owner, "reason": chore.trouble[:TROUBLE_LENGTH]}
                for chore in self._chores()
                if chore.trouble
            ][:MOST_TROUBLES],
        }

    def _own_images(self) -> dict[str, str]:
        """How far this VM is with the images that the stack names; empty where it runs them."""
        return _unfinished(self._images.standing.message() if self._images.standing else {})

    def submit(self, arguments: Mapping[str, Any]) -> answers.Job:
        """Run a job."""
        asked = questions.Submit.read(arguments)
        job_id = self._jobs.submit(asked.job, asked.rounds, asked.param, author=asked.by)
        return self._row(self._jobs.get(job_id))

    def check(self, arguments: Mapping[str, Any]) -> answers.Checked:
        """Whether a job could be submitted so, and which have to run before it."""
        asked = questions.Check.read(arguments)
        return {"job": asked.job, "run_first": self._jobs.run_first(asked.job, asked.rounds, asked.param)}

    def jobs(self, arguments: Mapping[str, Any]) -> answers.Jobs:
        """All jobs."""
        return {"jobs": [self._row(job) for job in self._jobs.all()]}

    def job(self, arguments: Mapping[str, Any]) -> answers.WholeJob:
        """One job."""
        job = self._jobs.get(questions.ShowResult.read(arguments).id)
        progress = job.progress
        history = progress.get("history", [])
        dropped, blank = progress.get("dropped", {}), progress.get("blank", {})
        hospitals = sorted({name for entry in history for name in entry["sites"]} | set(dropped))
        last = history[-1] if history else {"global": {}, "sites": {}}
        found: answers.WholeJob = {
            **self._row(job),
            "global": _rounded(last["global"]),
            "hospitals": {
                name: {
                    **_hospital_row(name, history),
                    **({"dropped": dropped[name]} if name in dropped else {}),
                    **({"blank": blank[name]} if name in blank else {}),
                }
                for name in hospitals
            },
            "seconds": [entry["seconds"] for entry in history],
            "gates": progress.get("gates"),
            "model_version": progress.get("model_version"),
            "resumed_from": progress.get("resumed_from") or None,
            "total_seconds": progress.get("seconds"),
        }
        if trouble := progress.get("tracking_error"):
            found["tracking_error"] = trouble
        if renamed := progress.get("renamed"):
            found["renamed"] = renamed
        return found

    def show(self, arguments: Mapping[str, Any]) -> answers.Asked:
        """What a job asks of the hospitals, and what each says to it."""
        job = self._jobs.get(questions.Show.read(arguments).id)
        standing, asked = self._jobs.standing(job), job.submission.get("hospitals")
        return {
            **self._row(job),
            "code": job.submission.get("code"),
            "manifest": _short(job.submission.get("manifest")),
            "runs_at": asked,
            "approved": list(standing.approved),
            "refused": dict(standing.refused),
            "waits": dict(standing.waits),
            "until": job.submission.get("waits_until"),
        }

    def abort(self, arguments: Mapping[str, Any]) -> answers.Job:
        """Stop a job."""
        asked = questions.Abort.read(arguments)
        self._jobs.abort(asked.id, by=asked.by)
        return self._row(self._jobs.get(asked.id))

    def resume(self, arguments: Mapping[str, Any]) -> answers.Job:
        """Go on with a job."""
        asked = questions.Resume.read(arguments)
        return self._row(self._jobs.get(self._jobs.resume(asked.id, author=asked.by)))

    def evaluate(self, arguments: Mapping[str, Any]) -> answers.Job:
        """Have every hospital measure a version of a model."""
        asked = questions.Evaluate.read(arguments)
        job_id = self._models.trained_by(asked.name, asked.version)
        return self._row(self._jobs.get(self._jobs.evaluate(job_id, asked.version, author=asked.by)))

    def requests(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Of each hospital: membership, certificate, its last request and what waits for a person."""
        rows = {
            name: {
                "status": "left" if member.left else member.status,
                **({"serial": member.serial, "valid_until": member.valid_until} if member.serial else {}),
                **_paper(member, 200),
            }
            for name, member in sorted(self._members.all().items())
        }
        return {"approval": self._config.approval, "requests": rows}

    def approve(self, arguments: Mapping[str, Any]) -> answers.Decided:
        """Sign what a hospital asked for: enrolment, renewal, after a lost disk, or coming back."""
        name = questions.Approve.read(arguments).hospital
        before = self._members.get(name)
        if before.left:
            raise UnknownHospitalError(f"{name} has left the federation: there is nothing to approve")
        member = self._members.approve(name, self._clock.now())
        if member == before and not member.granted:
            return {"hospital": name, "status": member.status, "note": "nothing of it waits"}
        return self._told(name, granted=member.granted)

    def revoke(self, arguments: Mapping[str, Any]) -> answers.Decided:
        """Cut a hospital off."""
        asked = questions.Revoke.read(arguments)
        name = asked.hospital
        self._members.revoke(name, asked.reason[:200], self._clock.now())
        self._back_up()
        return self._told(name)

    def renew(self, arguments: Mapping[str, Any]) -> answers.Decided:
        """Have a hospital ask for a new certificate."""
        name = questions.Renew.read(arguments).hospital
        renew = self._members.get(name).next_renewal(self._clock.now())
        self._members.change(name, renew=renew, owed=True)
        return self._told(name, renew=renew)

    def rotate(self, arguments: Mapping[str, Any]) -> answers.Rotation:
        """Say what rotating the key of lead, server or root interrupts; with `yes` do it."""
        asked = questions.Rotate.read(arguments)
        what, now, finish = asked.what, asked.now, asked.finish
        if finish and what != "root":
            raise RotationRefusedError("--finish withdraws an old root: it goes with root alone")
        running = [job.name for job in self._jobs.all() if job.sent]
        answer: answers.Rotation = {
            "what": what,
            "interrupts": _interrupts(what, running, now=now, finish=finish),
            "done": False,
        }
        if finish:
            answer["left_behind"] = self._rotation.left_behind(self._enrolments.reports())
        if not asked.yes:
            return answer
        if what == "lead":
            self._authority.rotate_lead()
            self._back_up()
        elif what == "server":
            self._rotation.ask_for_server(now=now)
        elif finish:
            self._rotation.finish(now=now)
        else:
            self._rotation.ask_for_root(now=now)
        say("rotation asked for", what=what, now=now, finish=finish)
        self._wake()
        return {**answer, "done": True}

    def upgrade(self, arguments: Mapping[str, Any]) -> answers.Upgrading:
        """With `mark`, let a party run that set of images; how far it is."""
        asked = questions.Upgrade.read(arguments)
        if asked.mark:
            self._upgrade.give(asked.party, asked.mark, self._images)
            self._wake()
        said = self._upgrade.standing(asked.party, self._images)
        return {"party": asked.party, "state": said["state"], "mark": said["mark"], "reason": said["reason"]}

    def logs(self, arguments: Mapping[str, Any]) -> answers.LogLines:
        """The end of a container's log, the newest line first: an answer that is cut loses the oldest."""
        asked = questions.Logs.read(arguments)
        if asked.container not in LOGGED:
            raise WrongQuestionError(f"no container {asked.container!r} here; there are: {', '.join(LOGGED)}")
        said = self._engine.logs(
            asked.container, min(max(asked.tail or FEW_LINES, 1), MOST_LINES)
        ).splitlines()
        return {"container": asked.container, "lines": [line[:LONGEST_LINE] for line in reversed(said)]}

    def _told(self, name: str, granted: bool | None = None, renew: int | None = None) -> answers.Decided:
        """Tell the hospital what was decided. One that cannot be told now is told by the loop: it counts."""
        self._enrolments.expect(name)
        self._wake()
        answer: answers.Decided = {"hospital": name, "status": self._members.get(name).status}
        if granted is not None:
            answer["granted"] = granted
        if renew is not None:
            answer["renew"] = renew
        if self._members.get(name).owed:
            try:
                self._enrolments.tell(name)
            except TransientError as error:
                return {**answer, "note": f"in force; {name} is told later: {str(error)[:200]}"}
        return answer

    def _row(self, job: Job) -> answers.Job:
        progress = job.progress
        row: answers.Job = {
            "id": job.job_id,
            "job": job.name,
            "state": job.state,
            "round": int(progress.get("rounds_done", job.submission.get("first_round", 0))),
            "rounds": job.submission.get("rounds", 0),
            "submitted": int(job.submitted),
        }
        if dropped := sorted(progress.get("dropped", {})):
            row["dropped"] = dropped
        if version := job.submission.get("evaluates"):
            row["evaluates"] = version
        if job.sent and (withdrawn := self._jobs.withdrawn(job)):
            row["withdrawn"] = withdrawn
        reason = job.reason
        if job.state == "waiting":
            reason = f"waits: {self._jobs.standing(job).words(job.needed)}"
        elif job.state == "queued":
            reason = self._waits_for(job)
        if reason:
            row["reason"] = reason[:300]
        return row

    def _waits_for(self, job: Job) -> str:
        """Whom a job that has not begun waits for; nothing where enough hospitals are connected."""
        needed, asked = job.needed, job.submission.get("hospitals")
        admitted = sorted(name for name, member in self._members.all().items() if member.admitted)
        members = [name for name in admitted if asked is None or name in asked]
        ever, now = self._stated(), self._heard()
        missing = [name for name in members if name not in now]
        if len(members) - len(missing) >= needed:
            return job.reason
        since = {
            name: time.strftime("%H:%M UTC", time.gmtime(ever[name])) for name in missing if name in ever
        }
        named = ", ".join(f"{name} since {since[name]}" if name in since else name for name in missing)
        return (
            f"waits: {len(members) - len(missing)} of {needed} hospitals needed are connected;"
            f" missing: {named or 'more members'}"
        )

    def _heard(self) -> dict[str, int]:
        """Hospitals that the running server heard from lately -> when."""
        if self._engine.state(SERVER).running is not Running.RUNNING:
            return {}
        now = self._clock.now()
        return {name: heard for name, heard in self._stated().items() if now - heard < HEARD_WITHIN_SECONDS}

    def _stated(self) -> dict[str, int]:
        """Hospitals that the server heard from since its start -> when last."""
        try:
            content = self._jobs.shared.json("clients.json")
            return dict(checked("clients", content)["heard"]) if content is not None else {}
        except RefusedInputError as error:
            say("who is registered is not known", reason=str(error))
            return {}

    def _hospital(self, name: str, member: Member, heard: int | None) -> dict[str, Any]:
        channel = self._enrolments.channel(name)
        report = channel.report
        row: dict[str, Any] = {
            "enrolment": member.status,
            "state": report.get("state", "unknown"),
            "registered": heard is not None,
            **_paper(member, TROUBLE_LENGTH),
        }
        if report.get("state") != "running":
            row["reason"] = str(report.get("reason") or member.reason or "no report yet")[:TROUBLE_LENGTH]
        row |= _answers(report.get("jobs") or {})
        if images := _unfinished(report.get("images") or {}):
            row["images"] = images
        if channel.trouble:
            row["trouble"] = channel.trouble[:TROUBLE_LENGTH]
        if report:
            row |= {"client": report["client"]["running"], "reported": int(report["written"])}
        return row


def _interrupts(what: str, running: list[str], *, now: bool, finish: bool) -> str:
    if what == "lead":
        return "nothing: the next job is submitted with the new certificate, and the old one is refused"
    jobs = f"now: {', '.join(running)}" if running else "none now"
    restart = (
        f"the server restarts at once; jobs that run fail and can be resumed ({jobs})"
        if now
        else f"the server restarts once no job is queued or runs ({jobs}); hospitals are back within minutes"
    )
    if what == "server":
        return restart
    if finish:
        return f"{restart}; hospitals that have not moved are cut off until they renew"
    return (
        f"{restart}. Each hospital is then asked to renew, which waits for a person where one approves, and"
        " restarts its client between jobs; when all have, the server restarts once more"
    )


def _unfinished(said: Mapping[str, Any]) -> dict[str, str]:
    """What a party that does not run the images that the stack names says of it."""
    if said.get("state", "current") == "current":
        return {}
    return {"state": str(said["state"]), "reason": str(said["reason"])[:TROUBLE_LENGTH]}


def _short(value: Any) -> Any:
    """A manifest whose long lists are cut: the answer must fit into Azure's 4 KB."""
    if isinstance(value, dict):
        return {key: _short(entry) for key, entry in value.items()}
    if isinstance(value, list) and len(value) > MOST_NAMES:
        return [*value[:MOST_NAMES], f"and {len(value) - MOST_NAMES} more"]
    return value


def _answers(said: Mapping[str, Any]) -> dict[str, Any]:
    """What is wrong with a hospital's answers to jobs, how many jobs wait for one, and since when."""
    waits = said.get("asked") or {}
    return {
        **({"jobs_fault": said["fault"][:TROUBLE_LENGTH]} if "fault" in said else {}),
        **({"jobs_wait": {"jobs": len(waits), "since": int(min(waits.values()))}} if waits else {}),
    }


def _paper(member: Member, length: int) -> dict[str, Any]:
    """When its certificate ends (Unix time), what waits for a person and since when, what was refused."""
    row: dict[str, Any] = {}
    if member.ends is not None:
        row["ends"] = int(member.ends)
    if member.waiting:
        row["waits"] = {"what": member.waiting.what, "since": int(member.waiting.since)}
    if member.request and member.request.answer == "refused":
        row["refused"] = member.request.reason[:length]
    if member.status == "revoked":
        row["revoked"] = member.reason[:length]
    return row


def _words(container: ContainerState) -> str:
    return container.running.value + (f", {container.health}" if container.health else "")


def _hospital_row(name: str, history: list[Mapping[str, Any]]) -> dict[str, Any]:
    rounds = [entry for entry in history if name in entry["sites"]]
    last = rounds[-1]["sites"][name] if rounds else {}
    missed = [entry["round"] for entry in history if name not in entry["sites"]]
    row = _rounded({metric: last[metric] for metric in ROW_METRICS if metric in last})
    return {**row, **({"missed": missed} if missed else {})}


def _rounded(metrics: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in metrics.items()}
