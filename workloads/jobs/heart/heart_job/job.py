"""Builds the job: federated averaging, at least two hospitals, differences of weights only."""

from fed_server.averaging import federated_averaging
from fed_server.parts import JobParts, Script
from fed_server.request import JobRequest

from .model import FEATURES
from .report import HeartReport
from .scaling import read_scaling


def build(request: JobRequest) -> JobParts:
    """The job. One round more than asked for measures the final model; in it nobody trains."""
    scaling = read_scaling(request)
    tracker = HeartReport(request.for_tracker(), scaling)
    job = federated_averaging(request, [0.0] * (1 + len(FEATURES)), tracker, measuring_round=True)
    script = Script(
        path="heart_job/train.py",
        also=("heart_job/__init__.py", "heart_job/model.py"),
        arguments=["--rounds", request.rounds, "--steps", int(request.parameters["steps"])],
        settings={"scaling": scaling},
    )
    return JobParts(server=job, hospitals=script)
