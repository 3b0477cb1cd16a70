"""`python -m fed_site.start [health]`: run the NVFlare client in the foreground, or say whether it is
registered.

The kit (/kit, read-only) is put there by the container server once it is complete and verified; without one
the client refuses to start. What NVFlare writes goes to the workspace below WORK.
"""

import json
import os
import shutil
import sys
import time
from pathlib import Path

KIT = Path(os.environ.get("FED_KIT", "/kit"))
WORK = Path(os.environ.get("FED_WORK", "/var/lib/fl"))

HEALTH_FILE = "health.json"
ORDER_FILE = "box.json"
"""The order for a job's box (box.py); a client that starts has none."""
STALE_AFTER_SECONDS = 30.0
"""A registered client hears from the server at every heartbeat, 5 seconds apart."""
HEARTBEAT_SECONDS = 5

NO_KIT = 78
"""Exit code EX_CONFIG of sysexits.h."""


def workspace(kit: Path, work: Path) -> Path:
    """NVFlare's workspace, with a fresh copy of the kit."""
    folder = work / "workspace"
    (folder / "transfer").mkdir(parents=True, exist_ok=True)
    fresh_kit(kit, folder)
    for leftover in ("pid.fl", "daemon_pid.fl", "shutdown.fl", "restart.fl"):
        (folder / leftover).unlink(missing_ok=True)
    return folder


def fresh_kit(kit: Path, workspace: Path) -> None:
    """Copy the kit again into a workspace: what a job may have done to an old copy is gone."""
    for part in ("startup", "local"):
        new, old = workspace / f"{part}.new", workspace / part
        _remove(new)
        shutil.copytree(kit / part, new)
        _remove(old)
        new.rename(old)


def _remove(path: Path) -> None:
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)


def command(kit: Path, work: Path) -> list[str]:
    """Arguments of the NVFlare client. Raises FileNotFoundError or ValueError when the kit cannot be used."""
    config = json.loads((kit / "startup" / "fed_client.json").read_text())
    name = config["client"]["fqsn"]
    return [
        sys.executable,
        "-u",
        "-m",
        "nvflare.private.fed.app.client.client_train",
        "-m",
        str(workspace(kit, work)),
        "-s",
        "fed_client.json",
        "--set",
        "secure_train=true",
        f"uid={name}",
        f"org={name.replace('-', '_')}",
        "config_folder=",
        f"heart_beat_interval={HEARTBEAT_SECONDS}",
    ]


def registered(work: Path, now: float) -> bool:
    """Whether the server answered this client within the last STALE_AFTER_SECONDS."""
    try:
        heard = float(json.loads((work / HEALTH_FILE).read_text())["heard"])
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return now - heard < STALE_AFTER_SECONDS


def main() -> None:
    """Start, or answer the health check."""
    if sys.argv[1:] == ["health"]:
        sys.exit(0 if registered(WORK, time.time()) else 1)
    for old in (HEALTH_FILE, ORDER_FILE):
        (WORK / old).unlink(missing_ok=True)
    try:
        arguments = command(KIT, WORK)
    except (OSError, ValueError, KeyError) as error:
        print(
            f"fl-client: no usable startup kit at {KIT} ({error}). The container server puts it there once"
            " the centre has approved this hospital and every file of the kit is verified: see its report.",
            file=sys.stderr,
        )
        sys.exit(NO_KIT)
    os.execv(arguments[0], arguments)  # noqa: S606 - no shell: this program becomes NVFlare


if __name__ == "__main__":
    main()
