"""Where things lie in the server's volume; the container server reads and writes the same files from its
side.
"""

import os
from pathlib import Path

KIT = Path("/kit")
WORK = Path(os.environ.get("FED_WORK", "/var/lib/fl"))

ALLOWED = WORK / "allowed.json"
"""`{"sites": {name: serial of its certificate in hex}, "rows": {name: {file: patients it counted}}}`, of the
container server's."""
JOBS = WORK / "jobs"
"""`<job id>/`: plan.json, progress.json, checkpoint.npz and results/ of each job."""
CLIENTS = WORK / "clients.json"
"""`{"heard": {name: Unix time}}`: who is registered at the server that runs now."""


def job_folder(job_id: str) -> Path:
    """The folder of one job, made on first use."""
    folder = JOBS / job_id
    folder.mkdir(parents=True, exist_ok=True)
    return folder
