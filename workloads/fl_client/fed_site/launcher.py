"""Starts each job's process in a workspace that no earlier job has touched, has its box started next to it,
and ends all that is left running.

No code of a job runs in that process (job_form.py); should one ever get in, it can neither change the policy
that the next one is filtered by nor stay alive.
"""

import ctypes
import os
import re
import shutil
import signal
import time
from pathlib import Path
from typing import Any

from nvflare.apis.fl_constant import JobConstants
from nvflare.apis.fl_context import FLContext
from nvflare.apis.job_launcher_spec import JobHandleSpec
from nvflare.app_common.job_launcher.client_process_launcher import ClientProcessJobLauncher

from fed_site import box
from fed_site.arrivals import Arrivals
from fed_site.manifest import FILE as MANIFEST
from fed_site.manifest import Manifest
from fed_site.start import KIT, WORK, fresh_kit

_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36
"""Numbers of <linux/prctl.h>."""
_JOB_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_PATIENCE_SECONDS = 10.0
STARTED = "fed_started"
"""In the folder of a job's run."""


class LeftRunningError(RuntimeError):
    """Processes of a job that could not be ended."""


class StartedBeforeError(RuntimeError):
    """A job that arrived once, and is to start again: a house that counts runs counts arrivals."""


class JobLauncher(ClientProcessJobLauncher):  # type: ignore[misc]  # nvflare has no types
    """Site component in place of NVFlare's `process_launcher`."""

    def __init__(self) -> None:
        super().__init__()
        protect_this_process()

    def launch_job(self, job_meta: dict[str, Any], fl_ctx: FLContext) -> JobHandleSpec:
        """See JobLauncherSpec. Raises LeftRunningError when an earlier job's processes cannot be ended, and
        StartedBeforeError.
        """
        job = str(job_meta[JobConstants.JOB_ID])
        start_once(WORK / "workspace" / job)
        end_descendants()
        fresh_kit(KIT, WORK / "workspace")
        remove_other_jobs(WORK / "workspace", job)
        for app in (WORK / "workspace" / job).glob("app_*"):
            if box.put_code(Arrivals(WORK).code(job)):
                said = Manifest.read((app / MANIFEST).read_bytes())
                box.order(job, said.data, said.box)
        return JobHandle(super().launch_job(job_meta, fl_ctx), job)


class JobHandle(JobHandleSpec):  # type: ignore[misc]  # nvflare has no types
    """NVFlare's handle of a job's process, whose end is the end of everything that the job started."""

    def __init__(self, process: JobHandleSpec, job: str):
        self._process = process
        self._job = job

    def terminate(self) -> None:
        """See JobHandleSpec."""
        self._process.terminate()

    def poll(self) -> Any:
        """See JobHandleSpec."""
        return self._process.poll()

    def wait(self) -> None:
        """See JobHandleSpec."""
        self._process.wait()
        box.release(self._job)
        end_descendants()


def start_once(run: Path) -> None:
    """Take note that the job in this folder starts; the next arrival makes the folder again."""
    try:
        (run / STARTED).touch(exist_ok=False)
    except FileExistsError as error:
        raise StartedBeforeError("the job has started before: it has to be deployed again") from error


def protect_this_process() -> None:
    """Have what jobs leave behind become this process's children, and keep jobs out of its memory.

    A process that is not dumpable can be neither traced nor read by others of its user (prctl(2), ptrace(2)).
    """
    libc = ctypes.CDLL(None, use_errno=True)
    for option, value in ((_PR_SET_CHILD_SUBREAPER, 1), (_PR_SET_DUMPABLE, 0)):
        if libc.prctl(option, value, 0, 0, 0):
            raise OSError(ctypes.get_errno(), f"prctl({option}) failed")


def end_descendants() -> None:
    """Kill all processes below this one, however deep.

    In its container, which has process ids of its own, all but the first process are killed in one step
    (kill(2) with -1): one that starts the next and ends, again and again, would get away from single kills.
    Raises LeftRunningError when some are there after `_PATIENCE_SECONDS`.
    """
    until = time.monotonic() + _PATIENCE_SECONDS
    alone = owns_process_ids()
    while left := _descendants():
        if time.monotonic() > until:
            raise LeftRunningError(f"{len(left)} processes of a job are still running: restart fl-client")
        if alone:
            os.kill(-1, signal.SIGKILL)
        for pid in left:
            _end(pid)
        time.sleep(0.01)


def owns_process_ids() -> bool:
    """Whether this is the first process of its own image's container, or started by its init."""
    return os.environ.get("FED_CONTAINER") == "fl-client" and 1 in (os.getpid(), os.getppid())


def _end(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, os.WNOHANG)
    except (ProcessLookupError, ChildProcessError):
        pass  # ended meanwhile, or another's child: it becomes ours when its parent has ended


def _descendants() -> list[int]:
    parents = {int(path.name): parent for path in Path("/proc").glob("[0-9]*") if (parent := _parent(path))}
    below = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in below} - below:
        below |= more
    return sorted(below - {os.getpid()})


def _parent(process: Path) -> int | None:
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return None


def remove_other_jobs(workspace: Path, job_id: str) -> None:
    """Remove the folders of earlier jobs."""
    for folder in workspace.iterdir():
        if _JOB_ID.fullmatch(folder.name) and folder.name != job_id and not folder.is_symlink():
            shutil.rmtree(folder)
