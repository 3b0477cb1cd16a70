"""Builds the NVFlare job: federated averaging, at least two hospitals, differences of weights only."""

import json

from fed_server.averaging import federated_averaging
from fed_server.request import JobError, JobRequest
from nvflare.job_config.api import FedJob

from .model import FEATURES, NUMERIC
from .report import HeartReport
from .trainer import HeartTrainer


def build(request: JobRequest) -> FedJob:
    """The job. One round more than asked for measures the final model; in it nobody trains."""
    scaling = read_scaling(request)
    tracker = HeartReport(request.for_tracker(), scaling)
    job = federated_averaging(request, [0.0] * (1 + len(FEATURES)), tracker, measuring_round=True)
    trainer = HeartTrainer(rounds=request.rounds, steps=int(request.parameters["steps"]), scaling=scaling)
    job.to_clients(trainer, tasks=["train"])
    return job


def read_scaling(request: JobRequest) -> dict[str, list[float]]:
    """Feature -> [mean, standard deviation] over the federation. Raises JobError when a number was withheld.

    An indicator that every hospital withheld (too few patients have it) stays unscaled.
    """
    given = json.loads(request.inputs["scaling"].read_text())
    if missing := sorted(set(NUMERIC) - set(given)):
        raise JobError(
            f"{request.name}: the statistics hold no mean of {', '.join(missing)}: every hospital withheld it"
            ", so the model cannot be scaled alike everywhere"
        )
    return {name: [*map(float, given.get(name, [0.0, 1.0]))] for name in FEATURES}
