"""Builds the NVFlare job."""

from fed_server.averaging import federated_averaging
from fed_server.request import JobRequest
from fed_server.tracking import RunTracker
from nvflare.client.config import TransferType
from nvflare.job_config.api import FedJob
from nvflare.job_config.script_runner import FrameworkType, ScriptRunner


def build(request: JobRequest) -> FedJob:
    """Federated averaging of three numbers: intercept, slope by age, difference between the sexes."""
    job = federated_averaging(request, [0.0, 0.0, 0.0], RunTracker(request.for_tracker()))
    script = ScriptRunner(
        script="heart_rate_job/train.py",
        script_args=f"--rate {request.parameters['rate']}",
        framework=FrameworkType.NUMPY,
        params_transfer_type=TransferType.DIFF,
    )
    job.to_clients(script)
    return job
