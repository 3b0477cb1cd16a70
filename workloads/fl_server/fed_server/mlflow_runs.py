"""One job in MLflow: a run for the federation and, nested in it, one for each hospital.

MLflow is a record, not a part of training: each failure is raised as TrackingError, which the caller notes
and survives.
"""

import json
import os
import time
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any, Literal, ParamSpec, TypeVar

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.exceptions import MlflowException

from fed_server.metric_names import accepted

P = ParamSpec("P")
R = TypeVar("R")

GLOBAL = "global"
Status = Literal["FINISHED", "FAILED", "KILLED"]
"""How a run ends; KILLED by a person (mlflow.entities.RunStatus)."""
PASSWORD = Path("/tracking/password")
"""Of this container at MLflow: written by the container server (centre/sign_in.py), read-only here."""
_DIGEST = 36
"""Letters of a data set's digest that MLflow takes (mlflow.utils.validation)."""


class TrackingError(RuntimeError):
    """MLflow could not be reached or refused."""


def _as_tracking_error(function: Callable[P, R]) -> Callable[P, R]:
    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            os.environ["MLFLOW_TRACKING_TOKEN"] = PASSWORD.read_text()
            return function(*args, **kwargs)
        except (MlflowException, OSError) as error:
            raise TrackingError(f"MLflow, {function.__name__}: {error}") from error

    return wrapped


def client() -> MlflowClient:
    """A client of the centre's MLflow that gives up in seconds, not minutes."""
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    return MlflowClient(os.environ.get("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000"))


@_as_tracking_error
def end(runs: Iterable[str], status: Status, reason: str) -> None:
    """End runs that nobody will finish."""
    mlflow = client()
    for run in runs:
        mlflow.set_tag(run, "reason", reason)
        mlflow.set_terminated(run, status)


class JobRuns:
    """The runs of one job. `ids` maps `global` and each hospital to its run."""

    def __init__(self, experiment: str, job_id: str, tags: Mapping[str, str]):
        self.ids: dict[str, str] = {}
        self.renamed: dict[str, str] = {}
        """Metric -> its name in MLflow, where that refuses the job's."""
        self._experiment = experiment
        self._job_id = job_id
        self._parameters: Mapping[str, object] = {}
        self._tags = {**tags, "job_id": job_id}
        self._client = client()

    @_as_tracking_error
    def start(self, parameters: Mapping[str, object]) -> None:
        """Make the federation's run, and its experiment before it: made by a client it gets the right place
        for artifacts.
        """
        found = self._client.get_experiment_by_name(self._experiment)
        self._experiment_id = (
            found.experiment_id if found else self._client.create_experiment(self._experiment)
        )
        self._parameters = parameters
        self._make(GLOBAL, {})

    @_as_tracking_error
    def log(self, who: str, metrics: Mapping[str, float], step: int) -> None:
        """Log one round's metrics of the federation (`global`) or of a hospital, whose run is made when first
        heard of.
        """
        if who not in self.ids:
            self._make(who, {"hospital": who, "mlflow.parentRunId": self.ids[GLOBAL]})
        now = int(time.time() * 1000)
        names = accepted(metrics)
        self.renamed |= {name: taken for name, taken in names.items() if name != taken}
        entries = [Metric(names[name], value, now, step) for name, value in metrics.items()]
        self._client.log_batch(self.ids[who], metrics=entries)

    @_as_tracking_error
    def take_in(
        self, who: str, files: Mapping[str, Mapping[str, Any]], data_sets: Mapping[str, Any], context: str
    ) -> None:
        """Note the data that a run read, as MLflow's data-set inputs, for training or evaluation (`context`).

        `files` are a hospital's: name -> `sha256` and `rows` (to the next ten, or None); `data_sets` name the
        schema of those that have one: file -> `name`, `version`, `sha256`.
        """
        inputs = [
            DatasetInput(
                Dataset(
                    name=file,
                    digest=known["sha256"][:_DIGEST],
                    source_type="hospital",
                    source=json.dumps({"hospital": who, "sha256": known["sha256"]}),
                    schema=json.dumps(data_sets.get(file, {})),
                    profile=json.dumps({"rows": known["rows"]}),
                ),
                [InputTag("mlflow.data.context", context)],
            )
            for file, known in files.items()
        ]
        if inputs:
            self._client.log_inputs(self.ids[who], inputs)

    @_as_tracking_error
    def tag(self, who: str, tags: Mapping[str, str]) -> None:
        """Set tags of a run."""
        self._client.log_batch(self.ids[who], tags=[RunTag(name, value) for name, value in tags.items()])

    @_as_tracking_error
    def upload(self, who: str, folder: Path, path: str) -> None:
        """Upload a folder's files below `path` of the run's artifacts."""
        self._client.log_artifacts(self.ids[who], str(folder), path)

    @_as_tracking_error
    def register(self, model: str, path: str) -> str:
        """Register artifacts of the federation's run as the model's next version; returns the version."""
        if not self._client.search_registered_models(filter_string=f"name = '{model}'"):
            self._client.create_registered_model(model)
        run = self._client.get_run(self.ids[GLOBAL])
        source = f"{run.info.artifact_uri}/{path}"
        version = self._client.create_model_version(model, source, run.info.run_id, tags=self._tags)
        return str(version.version)

    @_as_tracking_error
    def finish(self, status: Status) -> None:
        """End all runs."""
        for run in self.ids.values():
            self._client.set_terminated(run, status)

    def _make(self, who: str, tags: Mapping[str, str]) -> None:
        name = f"{who} {self._job_id[:8]}"
        run = self._client.create_run(self._experiment_id, run_name=name, tags={**self._tags, **tags})
        self.ids[who] = run.info.run_id
        parameters = [Param(name, str(value)) for name, value in self._parameters.items()]
        self._client.log_batch(self.ids[who], params=parameters)
