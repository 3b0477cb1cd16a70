"""Builds the NVFlare job: federated averaging, at least two hospitals, differences of weights only."""

from fed_server.averaging import federated_averaging
from fed_server.request import JobRequest
from nvflare.job_config.api import FedJob

from .model import FEATURES
from .report import HeartReport
from .scaling import read_scaling
from .trainer import HeartTrainer


def build(request: JobRequest) -> FedJob:
    """The job. One round more than asked for measures the final model; in it nobody trains."""
    scaling = read_scaling(request)
    tracker = HeartReport(request.for_tracker(), scaling)
    job = federated_averaging(request, [0.0] * (1 + len(FEATURES)), tracker, measuring_round=True)
    trainer = HeartTrainer(rounds=request.rounds, steps=int(request.parameters["steps"]), scaling=scaling)
    job.to_clients(trainer, tasks=["train"])
    return job
