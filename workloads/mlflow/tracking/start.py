"""`python -m tracking.start`: run MLflow on the VM's loopback. `health` says whether it answers, `copy FILE`
copies its database for a backup.

Reached from the VM only (the platform's own services, a forwarded port of an operator), and served behind a
sign-in (tracking/door.py).
"""

import os
import shutil
import sqlite3
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

PORT = 5000
APP = "fed-sign-in"
"""The entry point of tracking/door.py (fed_sign_in-1.dist-info)."""
DATABASE = Path("/var/lib/mlflow/mlflow.db")
RESTORED = Path("/var/lib/fed/curation/mlflow-restored/mlflow.db")
"""Where the container server puts the database of a backup (container_server/archive.py)."""
ALLOWED_HOSTS = "localhost,localhost:*,127.0.0.1,127.0.0.1:*"
"""Host headers MLflow answers to: loopback, on any port that an operator forwards."""


def command(environment: Mapping[str, str]) -> list[str]:
    """Arguments of the MLflow server. Raises KeyError naming the variable that is missing."""
    return [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--app-name",
        APP,
        "--host",
        "127.0.0.1",
        "--port",
        str(PORT),
        "--workers",
        "1",
        "--backend-store-uri",
        f"sqlite:///{DATABASE}",
        "--artifacts-destination",
        environment["FED_ARTIFACTS"],
        "--serve-artifacts",
        "--allowed-hosts",
        ALLOWED_HOSTS,
    ]


def healthy() -> bool:
    """Whether the server answers."""
    url = f"http://127.0.0.1:{PORT}/health"
    try:
        with urllib.request.urlopen(url, timeout=4) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def copy(database: Path, target: Path) -> None:
    """Copy a database that is in use, whole (SQLite's online backup). Raises OSError or sqlite3.Error."""
    target.parent.mkdir(parents=True, exist_ok=True)
    new = target.with_name(target.name + ".new")
    new.unlink(missing_ok=True)
    with (
        closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as source,
        closing(sqlite3.connect(new)) as to,
    ):
        source.backup(to)
    new.replace(target)


def take_restored(restored: Path, database: Path) -> None:
    """Replace the database, and what SQLite kept next to it, by that of a backup, where there is one."""
    if not restored.exists():
        return
    new = database.with_name(database.name + ".new")
    shutil.copyfile(restored, new)
    for leftover in ("-journal", "-wal", "-shm"):
        database.with_name(database.name + leftover).unlink(missing_ok=True)
    new.replace(database)
    restored.unlink()


def main() -> None:
    """Start, or answer the health check."""
    if sys.argv[1:] == ["health"]:
        sys.exit(0 if healthy() else 1)
    if sys.argv[1:2] == ["copy"]:
        copy(DATABASE, Path(sys.argv[2]))
        return
    take_restored(RESTORED, DATABASE)
    if "FED_ARTIFACTS" not in os.environ:
        sys.exit("mlflow: FED_ARTIFACTS is not set: it says where artifacts go; see /opt/fed/compose.yaml")
    arguments = command(os.environ)
    os.execv(arguments[0], arguments)  # noqa: S606 - no shell: this program becomes MLflow


if __name__ == "__main__":
    main()
