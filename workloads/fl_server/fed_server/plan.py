"""What the server's components need to know of a job: `jobs/<id>/plan.json`, as the container server composed
it from the job's job.yaml (container_server/centre/composed.py).

It does not go through NVFlare's configuration: NVFlare builds objects from tables with certain keys, and a
job's names and texts are nobody's to trust.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

from nvflare.apis.fl_context import FLContext

from fed_server.answers import LONGEST
from fed_server.files import read_json
from fed_server.paths import job_folder

FILE, START, CHECKPOINT, PREDICTOR = "plan.json", "start.npz", "checkpoint.npz", "predictor"
"""In a job's folder: this, the model to start from (where it is not zeros), the model after the last full
round, and the code that predicts with it, which nobody imports here."""
SUM, CYCLIC, CROSS_SITE = "sum", "cyclic", "cross-site"
"""Workflows: the model becomes what the hospitals' arrays add up to; it goes from hospital to hospital; after
the rounds hospitals measure each other's models."""
CODE = "code"
"""In it, too: the job as it came, for who looks at its runs. Nobody imports it here."""


@final
@dataclass(frozen=True, kw_only=True)
class Plan:
    """See the module; each field is a key of the file."""

    job: str
    checksum: str
    """Of the job's folder."""
    rounds: int
    first_round: int = 0
    parameters: Mapping[str, int | float | str] = field(default_factory=dict)
    input_jobs: Mapping[str, str] = field(default_factory=dict)
    """Setting -> id of the job whose result it is."""
    resumed_from: str = ""
    evaluates: str = ""
    """Version of the registered model that this run only measures; empty for one that trains."""
    minimum_sites: int = 2
    files: Sequence[str] = ()
    """Of a hospital's, that its job reads."""
    data: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)
    """Hospital -> file of `files` -> `sha256` and `rows`, as it reported them when the job was asked for."""
    data_sets: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """File that is of a data set of the release -> its `name`, `version`, and the `sha256` of its schema."""
    workflow: str = "averaging"
    aggregation: str = "weighted-mean"
    longest: float | None = None
    """Of `norm-bounded`: the L2 norm to which a longer update is scaled down; of the workflows `sum` and
    `cyclic`: a longer one is dropped.
    """
    measuring_round: bool = False
    arrays: Mapping[str, Sequence[int]] = field(default_factory=dict)
    """Array of the model -> shape."""
    model: Mapping[str, Any] = field(default_factory=dict)
    """`kind` and `features`, for people who read model.json."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What the script is given at each hospital."""
    statistics: Mapping[str, Any] | None = None
    """Feature -> how it is described; `missing`: columns whose missing values are."""
    needed_metrics: Sequence[str] = ()
    histograms: Mapping[str, int] = field(default_factory=dict)
    """Histogram -> number of cells; an answer without one is dropped."""
    report: Mapping[str, str] | None = None
    gates: Sequence[Mapping[str, Any]] = ()
    predictor: Mapping[str, Any] | None = None

    @property
    def most(self) -> float:
        """How long an answer may be that counts."""
        return self.longest if self.longest and self.workflow in (SUM, CYCLIC) else LONGEST

    @property
    def measuring(self) -> int | None:
        """The number of the round in which hospitals only measure."""
        return self.rounds if self.measuring_round else None

    @classmethod
    def read(cls, folder: Path) -> "Plan":
        """Of a job's folder. Raises ValueError or TypeError where there is none, or another service's."""
        content = read_json(folder / FILE)
        if content is None:
            raise ValueError(f"there is no {folder / FILE}: the container server did not compose this job")
        return cls(**content)

    @classmethod
    def of(cls, fl_ctx: FLContext) -> "Plan":
        """Of the job that runs in this process."""
        return cls.read(job_folder(fl_ctx.get_job_id()))
