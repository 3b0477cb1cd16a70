"""Builds the job: the server's half of federated averaging, and the script that each hospital runs."""

from fed_server.averaging import federated_averaging
from fed_server.parts import JobParts, Script
from fed_server.request import JobRequest
from fed_server.tracking import RunTracker


def build(request: JobRequest) -> JobParts:
    """Federated averaging of three numbers: intercept, slope by age, difference between the sexes."""
    job = federated_averaging(request, [0.0, 0.0, 0.0], RunTracker(request.for_tracker()))
    script = Script(path="heart_rate_job/train.py", arguments=["--rate", float(request.parameters["rate"])])
    return JobParts(server=job, hospitals=script)
