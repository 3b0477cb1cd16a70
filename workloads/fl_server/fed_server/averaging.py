"""The common shape of a training job: rounds of federated averaging of one numpy array, tracked and
resumable.
"""

from collections.abc import Sequence

from nvflare.app_common.np.np_model_persistor import NPModelPersistor
from nvflare.app_common.shareablegenerators.full_model_shareable_generator import FullModelShareableGenerator
from nvflare.job_config.api import FedJob

from fed_server.request import JobRequest
from fed_server.rounds import JudgedRounds, JudgingAggregator
from fed_server.tracking import RunTracker

TASK_REQUEST_SECONDS = 0.2
"""How long a client waits between two questions for a task; NVFlare's default of 2 s is most of a short
round.
"""
WAIT_FOR_LATE_SECONDS = 5
"""How long a round waits for the others once `minimum_sites` have answered: a lost hospital costs this a
round.
"""


def federated_averaging(
    request: JobRequest, start: Sequence[float], tracker: RunTracker, measuring_round: bool = False
) -> FedJob:
    """The server's half of the job; add the hospitals' half with `to_clients`.

    Hospitals answer the task `train` with a difference of weights (WEIGHT_DIFF; whole ones leave as it, too)
    and the number of patients that it was made from (NUM_STEPS_CURRENT_ROUND), combined as the job's
    `aggregation` says (combining.py).
    `start` is the initial array of a job that is not resumed. With `measuring_round` there is one round more
    than asked for, numbered `request.rounds`, in which hospitals only measure the final model: it stays as it
    is.
    """
    sites = request.description.minimum_sites
    job = FedJob(name=request.name, min_clients=sites)
    job.to_server({"server": {"task_request_interval": TASK_REQUEST_SECONDS}})
    checkpoint = str(request.checkpoint) if request.checkpoint else None
    persistor = NPModelPersistor(model=list(start), source_ckpt_file_full_name=checkpoint)
    job.to_server(persistor, id="persistor")
    job.to_server(FullModelShareableGenerator(), id="shareable_generator")
    aggregator = JudgingAggregator(
        method=request.description.aggregation,
        minimum=sites,
        metrics=list(tracker.needed_metrics),
        histograms=dict(tracker.histogram_cells),
        measuring=request.rounds if measuring_round else None,
    )
    job.to_server(aggregator, id="aggregator")
    job.to_server(
        JudgedRounds(
            min_clients=sites,
            start_round=request.first_round,
            num_rounds=request.rounds_left + int(measuring_round),
            wait_time_after_min_received=WAIT_FOR_LATE_SECONDS,
            aggregator_id="aggregator",
            persistor_id="persistor",
            shareable_generator_id="shareable_generator",
            train_task_name="train",
            task_check_period=0.1,
            snapshot_every_n_rounds=0,
            ignore_result_error=None,  # an error counts as no answer while the minimum can still be met
        )
    )
    job.to_server(tracker, id="tracker")
    return job
