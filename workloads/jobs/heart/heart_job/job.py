"""Builds the NVFlare job: scatter and gather, at least two hospitals, differences of weights only."""

import json

from fed_server.request import JobError, JobRequest
from nvflare.apis.dxo import DataKind
from nvflare.app_common.aggregators.intime_accumulate_model_aggregator import (
    InTimeAccumulateWeightedAggregator,
)
from nvflare.app_common.np.np_model_persistor import NPModelPersistor
from nvflare.app_common.shareablegenerators.full_model_shareable_generator import FullModelShareableGenerator
from nvflare.app_common.workflows.scatter_and_gather import ScatterAndGather
from nvflare.job_config.api import FedJob

from .model import FEATURES, NUMERIC
from .report import HeartReport
from .trainer import HeartTrainer

WAIT_FOR_LATE_SECONDS = 5
"""How long a round waits for the others once `minimum_sites` have answered: a lost hospital costs this a
round.
"""


def build(request: JobRequest) -> FedJob:
    """The job. One round more than asked for measures the final model; in it nobody trains."""
    sites = request.description.minimum_sites
    scaling = read_scaling(request)
    job = FedJob(name=request.name, min_clients=sites)
    job.to_server({"server": {"task_request_interval": 0.2}})
    start = [0.0] * (1 + len(FEATURES))
    checkpoint = str(request.checkpoint) if request.checkpoint else None
    job.to_server(NPModelPersistor(model=start, source_ckpt_file_full_name=checkpoint), id="persistor")
    job.to_server(FullModelShareableGenerator(), id="shareable_generator")
    job.to_server(
        InTimeAccumulateWeightedAggregator(expected_data_kind=DataKind.WEIGHT_DIFF), id="aggregator"
    )
    job.to_server(
        ScatterAndGather(
            min_clients=sites,
            start_round=request.first_round,
            num_rounds=request.rounds_left + 1,
            wait_time_after_min_received=WAIT_FOR_LATE_SECONDS,
            aggregator_id="aggregator",
            persistor_id="persistor",
            shareable_generator_id="shareable_generator",
            train_task_name="train",
            task_check_period=0.1,
            snapshot_every_n_rounds=0,
        )
    )
    job.to_server(HeartReport(request.for_tracker(), scaling), id="tracker")
    job.to_clients(
        HeartTrainer(rounds=request.rounds, steps=int(request.parameters["steps"]), scaling=scaling),
        tasks=["train"],
    )
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
