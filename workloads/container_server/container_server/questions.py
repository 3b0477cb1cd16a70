"""What can be asked of a VM's container server, and in which form it answers: the one schema of both ends.

`fed` writes a question as words of `fedctl`, which Azure's run command carries; `fedctl` reads them by the
same classes, and the service answers in the form that the question names. Only Python's own library is
imported here, because `fed` imports this file outside the image. What parties send each other has schemas of
its own (`messages.py`): other versions of this program read that.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .answers import (
    Asked,
    Checked,
    CountedJobs,
    Decided,
    Document,
    Job,
    Jobs,
    LogLines,
    ModelVersions,
    Promoted,
    Rotation,
    SignedIn,
    Upgrading,
    WholeJob,
)
from .question import Question, needed, option, word


@dataclass(frozen=True, kw_only=True)
class Status(Question[Document]):
    """See `Commands.status` and, at a hospital, schemas/report.schema.json."""

    command = "status"
    about = "state of this VM; at the centre also of every hospital and the last job"
    after: str | None = option("go on with an answer that was cut", metavar="HOSPITAL")


@dataclass(frozen=True, kw_only=True)
class Check(Question[Checked]):
    """Whether a job could be submitted so."""

    command = "check"
    about = "whether a job could be submitted so, and which have to run before it"
    job: str
    rounds: int | None = None
    param: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Submit(Question[Job]):
    """Run a job, in the name of `by`."""

    command = "submit"
    about = "run a job"
    job: str
    rounds: int | None = None
    param: Mapping[str, str] = field(default_factory=dict)
    by: str = option("who asks, for the hospitals", default="unknown")


@dataclass(frozen=True, kw_only=True)
class Review(Question[Document]):
    """At a hospital: its jobs and what its officers said."""

    command = "review"
    about = "at a hospital: the jobs that asked to run here, and what was said"


@dataclass(frozen=True, kw_only=True)
class ListJobs(Question[Jobs]):
    """All jobs."""

    command = "jobs"
    about = "all jobs, newest first"


@dataclass(frozen=True, kw_only=True)
class ListCounted(Question[CountedJobs]):
    """Jobs that were sent to hospitals."""

    command = "counted"
    about = "who asked for what: where jobs ran and whose answers counted, newest first"
    skip: int | None = option("go on with an answer that was cut after so many")


@dataclass(frozen=True, kw_only=True)
class ShowResult(Question[WholeJob]):
    """One job with its results; the beginning of an id is enough."""

    command = "job"
    about = "one job: state, rounds, metrics of each hospital"
    id: str = word()


@dataclass(frozen=True, kw_only=True)
class Show(Question[Asked]):
    """One job with what it asks."""

    command = "show"
    about = "what a job asks of the hospitals, and what each says to it"
    id: str = word()


@dataclass(frozen=True, kw_only=True)
class Abort(Question[Job]):
    """Stop a job, in the name of `by`."""

    command = "abort"
    about = "stop a job"
    id: str = word()
    by: str = option("who says so", default="unknown")


@dataclass(frozen=True, kw_only=True)
class Resume(Question[Job]):
    """Go on with a job as a new one, which is the answer, in the name of `by`."""

    command = "resume"
    about = "go on with a failed job from its last full round, as a new job"
    id: str = word()
    by: str = option("who asks, for the hospitals", default="unknown")


@dataclass(frozen=True, kw_only=True)
class Requests(Question[Document]):
    """Requests for certificates."""

    command = "requests"
    about = "hospitals that asked for a certificate, and what was decided"


@dataclass(frozen=True, kw_only=True)
class Approve(Question[Decided]):
    """A person's yes."""

    command = "approve"
    about = "sign a hospital's request"
    hospital: str = word()


@dataclass(frozen=True, kw_only=True)
class Revoke(Question[Decided]):
    """Cut a hospital off."""

    command = "revoke"
    about = "cut a hospital off until it is approved again"
    hospital: str = word()
    reason: str = option(default="revoked by an operator")


@dataclass(frozen=True, kw_only=True)
class Renew(Question[Decided]):
    """A new certificate."""

    command = "renew"
    about = "have a hospital ask for a new certificate"
    hospital: str = word()


@dataclass(frozen=True, kw_only=True)
class Rotate(Question[Rotation]):
    """A new key of the centre's."""

    command = "rotate"
    about = "a new key and certificate; without --yes what it interrupts"
    what: str = word(choices=("root", "lead", "server"))
    now: bool = option("restart the server though a job runs", default=False)
    finish: bool = option("withdraw the old root, whoever has not moved", default=False)
    yes: bool = option("do it", default=False)


@dataclass(frozen=True, kw_only=True)
class Upgrade(Question[Upgrading]):
    """A party's turn to run other images, or how far it is."""

    command = "upgrade"
    about = "how far a party is with the images that the stack names"
    party: str = word()
    mark: str | None = option("it is its turn to run the set of images of this mark", metavar="MARK")


@dataclass(frozen=True, kw_only=True)
class Backup(Question[Document]):
    """What was backed up, or a backup now."""

    command = "backup"
    about = "what was backed up last, and for whom; with --now at once"
    now: bool = False
    to: str | None = option("for this key (age1...) instead of the stack's", metavar="KEY")


@dataclass(frozen=True, kw_only=True)
class Restore(Question[Document]):
    """How a restore stands, and its steps."""

    command = "restore"
    about = "the archives, and what was put back last"
    header: str | None = option("also an archive's header", metavar="NAME")
    replace: bool = option("give up what is here for an archive", default=False)
    take: str | None = option("put an archive back", metavar="NAME")
    opened: str | None = option("its header, for the key of this VM", metavar="BASE64")
    without: bool = option("go on without an archive", default=False)


@dataclass(frozen=True, kw_only=True)
class Logs(Question[LogLines]):
    """What a container of the centre said last."""

    command = "logs"
    about = "at the centre: the end of a container's log, the newest line first"
    container: str = word()
    tail: int | None = option("so many lines, 40 when left out", metavar="LINES")


@dataclass(frozen=True, kw_only=True)
class ListModels(Question[ModelVersions]):
    """All versions, or those of one model with their metrics."""

    command = "models"
    about = "registered models, newest first"
    name: str | None = option(metavar="NAME")
    skip: int | None = option("go on with an answer that was cut after so many")


@dataclass(frozen=True, kw_only=True)
class Evaluate(Question[Job]):
    """Have every hospital measure a version of a model, in the name of `by`; the answer is the new job."""

    command = "evaluate"
    about = "have every hospital measure a version of a model"
    name: str = word()
    version: str = word()
    by: str = option("who asks, for the hospitals", default="unknown")


@dataclass(frozen=True, kw_only=True)
class Promote(Question[Promoted]):
    """Make a version of a model the one to use, in the name of `by`."""

    command = "promote"
    about = "make a version of a model the one to use"
    name: str = word()
    version: str = word()
    by: str = needed("who says so")


@dataclass(frozen=True, kw_only=True)
class Retire(Question[Promoted]):
    """Take a version of a model out of use, for good."""

    command = "retire"
    about = "take a version of a model out of use"
    name: str = word()
    version: str = word()
    by: str = needed("who says so")
    why: str = needed()


@dataclass(frozen=True, kw_only=True)
class SignIn(Question[SignedIn]):
    """Let a person read MLflow for some hours. Whoever asks made the password, and keeps it."""

    command = "sign-in"
    about = "at the centre: let a person read MLflow for 12 hours"
    name: str = word()
    sha256: str = needed("checksum of their password, a long random text")


QUESTIONS: tuple[type[Question[Any]], ...] = (
    Status,
    Submit,
    Check,
    Review,
    ListJobs,
    ListCounted,
    ShowResult,
    Show,
    Abort,
    Resume,
    Requests,
    Approve,
    Revoke,
    Renew,
    Rotate,
    Upgrade,
    Backup,
    Restore,
    Logs,
    ListModels,
    Evaluate,
    Promote,
    Retire,
    SignIn,
)
