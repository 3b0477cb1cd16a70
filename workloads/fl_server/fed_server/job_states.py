"""Server component: tells the truth about jobs, also after the server died under one.

NVFlare lists a job that was running when its server stopped as RUNNING forever, and refuses to abort it.
At boot nothing can be running, so such jobs are closed here. From then on each job's state is copied to its
folder (`status.json`), and MLflow runs that nobody finished are ended as FAILED, or KILLED where a person
stopped the job.
"""

import threading
import time
from pathlib import Path
from typing import Any

from nvflare.apis.event_type import EventType
from nvflare.apis.fl_component import FLComponent
from nvflare.apis.fl_context import FLContext
from nvflare.apis.job_def import RunStatus

from fed_server.files import read_json, write_json
from fed_server.mlflow_runs import TrackingError, end
from fed_server.paths import JOBS

CHECK_SECONDS = 1.0
_PREFIX = "NVFLARE_ERROR: "
"""NVFlare's mark before what a hospital answers to a job that it does not take."""
SERVER_STOPPED = "the server stopped while the job was running; `fedctl resume` goes on from its last round"


class JobStates(FLComponent):  # type: ignore[misc]  # nvflare has no types
    """See the module. `jobs` is the folder with one folder a job."""

    def __init__(self, jobs: str = str(JOBS)):
        super().__init__()
        self.jobs = jobs
        self._engine: Any = None
        self._closed: set[str] = set()

    def handle_event(self, event_type: str, fl_ctx: FLContext) -> None:
        """Close what an earlier life of the server left running; then watch."""
        if event_type == EventType.SYSTEM_BOOTSTRAP:
            self._engine = fl_ctx.get_engine()
            self._close_left_running(fl_ctx)
        elif event_type == EventType.SYSTEM_START:
            threading.Thread(target=self._watch, name="job states", daemon=True).start()

    def _close_left_running(self, fl_ctx: FLContext) -> None:
        manager = self._engine.get_component("job_manager")
        for job in manager.get_jobs_by_status([RunStatus.RUNNING, RunStatus.DISPATCHED], fl_ctx):
            manager.set_status(job.job_id, RunStatus.FINISHED_ABNORMAL, fl_ctx)
            status = {"nvflare": RunStatus.FINISHED_ABNORMAL.value, "reason": SERVER_STOPPED}
            write_json(Path(self.jobs) / job.job_id / "status.json", status)
            self.log_warning(fl_ctx, f"job {job.job_id}: {SERVER_STOPPED}")

    def _watch(self) -> None:
        while True:
            for folder in sorted(Path(self.jobs).glob("*/")):
                if folder.name not in self._closed:
                    self._follow(folder)
            time.sleep(CHECK_SECONDS)

    def _follow(self, folder: Path) -> None:
        try:
            status = read_json(folder / "status.json") or {}
            if not _finished(status):
                status = self._update(folder, status)
            if _finished(status):
                self._end_tracking(folder, status)
                self._closed.add(folder.name)
        except TrackingError as error:
            self.logger.warning(f"job {folder.name}: {error}; trying again")
        except Exception as error:  # one broken folder must not stop the watch of the others
            self.logger.error(f"job {folder.name}: {type(error).__name__}: {error}")
            self._closed.add(folder.name)

    def _update(self, folder: Path, known: dict[str, Any]) -> dict[str, Any]:
        with self._engine.new_context() as fl_ctx:
            job = self._engine.get_component("job_manager").get_job(folder.name, fl_ctx)
        if job is None:
            return known
        details = job.meta.get("job_deploy_detail") or []
        refused = [line.replace(_PREFIX, "") for line in details if not line.endswith(": OK")]
        found = {"nvflare": job.meta.get("status"), "reason": "; ".join(refused)}
        if found != known:
            write_json(folder / "status.json", found)
        return found

    def _end_tracking(self, folder: Path, status: dict[str, Any]) -> None:
        progress = read_json(folder / "progress.json") or {}
        if progress.get("state") == "running":
            reason = status.get("reason") or f"NVFlare ended the job as {status['nvflare']}"
            aborted = status["nvflare"] == RunStatus.FINISHED_ABORTED.value
            end(progress.get("runs", {}).values(), "KILLED" if aborted else "FAILED", reason)
            write_json(folder / "progress.json", {**progress, "state": "failed", "reason": reason})


def _finished(status: dict[str, Any]) -> bool:
    return str(status.get("nvflare", "")).startswith("FINISHED")
