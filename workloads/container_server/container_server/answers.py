"""What a container server answers to `fedctl`, in forms that both ends import."""

from typing import Any, Final, Literal, NotRequired, TypedDict


class Job(TypedDict):
    """A job. What follows `reason` is there only when one job is asked for."""

    id: str
    job: str
    state: str
    """queued, waiting, running, finished, failed or aborted."""
    round: int
    rounds: int
    submitted: int
    """Unix time."""
    dropped: NotRequired[list[str]]
    """Hospitals whose answers did not count."""
    evaluates: NotRequired[str]
    """The version of a model that it measures."""
    withdrawn: NotRequired[dict[str, str]]
    """Hospitals that no longer approve it -> why."""
    reason: NotRequired[str]
    hospitals: NotRequired[dict[str, dict[str, Any]]]
    """Name -> its metrics, `missed` rounds, `dropped: {rounds, reason}`, `blank: {metric: reason}`."""
    seconds: NotRequired[list[float]]
    """Of each round."""
    total_seconds: NotRequired[float | None]
    gates: NotRequired[Any]
    """``{passed, verdicts}``, or nothing."""
    model_version: NotRequired[str | None]
    resumed_from: NotRequired[str | None]
    tracking_error: NotRequired[str]
    renamed: NotRequired[dict[str, str]]


_Whole = TypedDict("_Whole", {"global": NotRequired[dict[str, float]]})
"""Written so because Python keeps the word `global` for itself."""


class WholeJob(Job, _Whole):
    """A job, with the metrics of the whole federation under `global`."""


class Jobs(TypedDict):
    """All jobs, newest first."""

    jobs: list[Job]


class Checked(TypedDict):
    """A job that could be submitted so, and the jobs that have to run before it."""

    job: str
    run_first: list[str]


class Asked(Job):
    """What a job asks of the hospitals, and what each says to it."""

    code: str | None
    manifest: Any
    runs_at: list[str] | None
    approved: list[str]
    refused: dict[str, str]
    waits: dict[str, float | None]
    """Hospital -> since when, Unix time; nothing where it has not read the question."""
    until: float | None


class CountedJob(TypedDict):
    """A job that was sent to hospitals."""

    id: str
    job: str
    author: str
    code: str
    """The beginning of its checksum."""
    asked: int
    """Unix time."""
    ran: list[str]
    """Hospitals that had approved its code when it was sent."""
    answered: list[str]
    """Hospitals of which an answer counted."""


class CountedJobs(TypedDict):
    """Newest first; `cut` where there are more."""

    jobs: list[CountedJob]
    cut: NotRequired[bool]


class Decided(TypedDict):
    """What a decision about a hospital did."""

    hospital: str
    status: str
    granted: NotRequired[bool]
    renew: NotRequired[int]
    note: NotRequired[str]


class Rotation(TypedDict):
    """What a rotation interrupts, and whether it was begun."""

    what: str
    interrupts: str
    left_behind: NotRequired[dict[str, str]]
    done: bool


class Upgrading(TypedDict):
    """How far a party is with the images that the stack names."""

    party: str
    state: str
    """current, turn, approval, job, changing, back (images.py), or unknown."""
    mark: str
    """Of the set that its VM is told of; empty where it has not said."""
    reason: str


ModelTag = Literal["job_id", "promoted_by", "promoted_at", "retired_by", "retired_at", "retired_why"]
"""What is written on a version besides its metrics."""


class ModelVersion(TypedDict):
    """A registered version of a model."""

    name: str
    version: str
    champion: bool
    made: float
    """Unix time."""
    artifacts: str
    metrics: NotRequired[dict[str, float]]
    job_id: NotRequired[str]
    promoted_by: NotRequired[str]
    promoted_at: NotRequired[str]
    """ISO 8601, UTC; so is `retired_at`."""
    retired_by: NotRequired[str]
    retired_at: NotRequired[str]
    retired_why: NotRequired[str]


class ModelVersions(TypedDict):
    """Versions, newest first; `cut` where there are more."""

    models: list[ModelVersion]
    cut: NotRequired[bool]


REGISTER: Final = "models.json"
REGISTER_SCHEMA: Final = "fed/register/1"
"""The file of all versions in the centre's container `results`: `{"schema", "models": [ModelVersion]}`."""


def model_folder(name: str, version: str) -> str:
    """Where the files of a version are, in `results`."""
    return f"models/{name}/{version}"


class LogLines(TypedDict):
    """What a container said last, the newest line first; `cut` where there was more."""

    container: str
    lines: list[str]
    cut: NotRequired[bool]


class Promoted(TypedDict):
    """The version that people are to use now, and the one before."""

    name: str
    version: str
    champion: bool
    before: NotRequired[str | None]
    no_scores: NotRequired[str]
    """Why hospitals cannot have their patients scored with it."""


class SignedIn(TypedDict):
    """A person who may read MLflow."""

    name: str
    until: int
    """Unix time."""


Document = dict[str, Any]
"""An answer that another schema describes, or that is read by one caller only."""
