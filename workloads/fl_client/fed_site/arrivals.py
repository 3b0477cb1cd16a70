"""Where a job is unpacked: outside NVFlare's workspace, into which its code never gets.

NVFlare 2.9 looks for some files by name in every folder of its workspace (`ConfigService`, fl_conf.py), and
one of them names modules to import: a job's own could be taken for the hospital's. So what is verified is
unpacked here, and moves in two halves: the configuration into the workspace, the code to where the launcher
takes it.
"""

import copy
import shutil
from pathlib import Path
from typing import final

from fed_box.channel import CODE
from nvflare.apis.workspace import Workspace

from fed_site.start import WORK


@final
class Arrivals:
    """In `folder`, next to the workspace: `new/<job>` is being unpacked, `code/<job>` is its code."""

    def __init__(self, folder: Path = WORK):
        self._new = folder / "new"
        self._codes = folder / "code"

    def around(self, workspace: Workspace) -> Workspace:
        """NVFlare's workspace but for the place of jobs' runs, which is empty."""
        shutil.rmtree(self._new, ignore_errors=True)
        self._new.mkdir(mode=0o700, parents=True)
        here = copy.copy(workspace)
        here.get_run_dir = lambda job_id: str(self._new / job_id)
        return here

    def settle(self, workspace: Workspace, job_id: str) -> None:
        """Move a job that was unpacked to where it runs."""
        self._remove_code()
        run = self._new / job_id
        for code in run.glob(f"app_*/{CODE}"):
            self._codes.mkdir(mode=0o700)
            code.rename(self._codes / job_id)
        place = Path(workspace.get_run_dir(job_id))
        shutil.rmtree(place, ignore_errors=True)
        run.rename(place)

    def code(self, job_id: str) -> Path:
        """The folder of a job's code; there is none of a job without code."""
        return self._codes / job_id

    def _remove_code(self) -> None:
        shutil.rmtree(self._codes, ignore_errors=True)
