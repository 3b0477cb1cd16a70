"""`python -m fed_server.start [health]`: run the NVFlare server in the foreground, or say whether it listens.

The kit (/kit, read-only) is made by the centre's container server; without one the server refuses to start.
Job store, snapshots and logs go to the workspace in the volume: NVFlare's defaults would put them into
/tmp.
"""

import json
import os
import shutil
import socket
import sys
from pathlib import Path

from fed_server.files import write_json
from fed_server.paths import CLIENTS, KIT, WORK

NO_KIT = 78
"""Exit code EX_CONFIG of sysexits.h."""
PATIENCE = {"NVFLARE_CLIENT_OUTCOME_WAIT_TIMEOUT": "15", "NVFLARE_DEAD_CLIENT_GRACE_PERIOD": "5"}
"""Seconds. For how long a job that is over waits to hear how it ended at each hospital: NVFlare waits 900,
also for one that was revoked meanwhile, and shows the job as running for so long. And after how long a
hospital whose client no longer has the job is not asked any more: NVFlare's 60 are twelve rounds that wait
for it."""


def workspace(kit: Path, work: Path) -> Path:
    """NVFlare's workspace, with a fresh copy of the kit: what a job may have done to an old copy is gone."""
    folder = work / "workspace"
    (folder / "transfer").mkdir(parents=True, exist_ok=True)
    for part in ("startup", "local"):
        shutil.rmtree(folder / part, ignore_errors=True)
        shutil.copytree(kit / part, folder / part)
    for leftover in ("pid.fl", "daemon_pid.fl", "shutdown.fl", "restart.fl"):
        (folder / leftover).unlink(missing_ok=True)
    return folder


def port(kit: Path) -> int:
    """The port of the kit. Raises OSError, ValueError or KeyError when there is no usable kit."""
    config = json.loads((kit / "startup" / "fed_server.json").read_text())
    return int(config["servers"][0]["service"]["target"].rsplit(":", 1)[1])


def command(kit: Path, work: Path) -> list[str]:
    """Arguments of the NVFlare server. Raises OSError, ValueError or KeyError when there is no usable kit."""
    port(kit)
    return [
        sys.executable,
        "-u",
        "-m",
        "nvflare.private.fed.app.server.server_train",
        "-m",
        str(workspace(kit, work)),
        "-s",
        "fed_server.json",
        "--set",
        "secure_train=true",
        "org=centre",
        "config_folder=",
    ]


def listening(kit: Path) -> bool:
    """Whether something accepts connections on the kit's port."""
    try:
        socket.create_connection(("127.0.0.1", port(kit)), timeout=2).close()
    except (OSError, ValueError, KeyError):
        return False
    return True


def main() -> None:
    """Start, or answer the health check."""
    if sys.argv[1:] == ["health"]:
        sys.exit(0 if listening(KIT) else 1)
    try:
        arguments = command(KIT, WORK)
    except (OSError, ValueError, KeyError) as error:
        print(
            f"fl-server: no usable startup kit at {KIT} ({error}). The centre's container server makes it:"
            " see its log.",
            file=sys.stderr,
        )
        sys.exit(NO_KIT)
    write_json(CLIENTS, {"heard": {}})  # nobody is registered at a server that has just been started
    environment = {**PATIENCE, **os.environ}
    os.execve(arguments[0], arguments, environment)  # noqa: S606 - no shell: this program becomes NVFlare


if __name__ == "__main__":
    main()
