"""Builds the job: NVFlare's federated statistics, counted by the hospitals themselves."""

from fed_server.averaging import TASK_REQUEST_SECONDS
from fed_server.parts import ColumnStatistics, JobParts
from fed_server.request import JobRequest
from nvflare.app_common.statistics.json_stats_file_persistor import JsonStatsFileWriter
from nvflare.app_common.workflows.statistics_controller import StatisticsController
from nvflare.job_config.api import FedJob

from .columns import BINARY, FEATURES, HISTOGRAMS
from .pooling import DATA_SET
from .report import OUTPUT, StatisticsReport


def build(request: JobRequest) -> JobParts:
    """The job."""
    job = FedJob(name=request.name, min_clients=request.description.minimum_sites)
    job.to_server({"server": {"task_request_interval": TASK_REQUEST_SECONDS}})
    job.to_server(
        StatisticsController(
            statistic_configs={
                "count": {},
                "sum": {},
                "mean": {},
                "stddev": {},
                "histogram": dict(HISTOGRAMS),
            },
            writer_id="writer",
            wait_time_after_min_received=5,
            min_clients=request.description.minimum_sites,
            enable_pre_run_task=False,
        )
    )
    job.to_server(JsonStatsFileWriter(output_path=OUTPUT), id="writer")
    job.to_server(StatisticsReport(request.for_tracker()), id="tracker")
    return JobParts(
        server=job, hospitals=ColumnStatistics(data_set=DATA_SET, features=FEATURES, indicators=BINARY)
    )
