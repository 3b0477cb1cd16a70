"""`python -m tracking.start [health]`: run MLflow on the VM's loopback, or say whether it answers.

Reached from the VM only (the server's jobs, a forwarded port of an operator): it has no login of its own.
"""

import os
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping

PORT = 5000
DATABASE = "sqlite:////var/lib/mlflow/mlflow.db"
ALLOWED_HOSTS = "localhost,localhost:*,127.0.0.1,127.0.0.1:*"
"""Host headers MLflow answers to: loopback, on any port that an operator forwards."""


def command(environment: Mapping[str, str]) -> list[str]:
    """Arguments of the MLflow server. Raises KeyError naming the variable that is missing."""
    return [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--host",
        "127.0.0.1",
        "--port",
        str(PORT),
        "--workers",
        "1",
        "--backend-store-uri",
        DATABASE,
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


def main() -> None:
    """Start, or answer the health check."""
    if sys.argv[1:] == ["health"]:
        sys.exit(0 if healthy() else 1)
    if "FED_ARTIFACTS" not in os.environ:
        sys.exit("mlflow: FED_ARTIFACTS is not set: it says where artifacts go; see /opt/fed/compose.yaml")
    arguments = command(os.environ)
    os.execv(arguments[0], arguments)  # noqa: S606 - no shell: this program becomes MLflow


if __name__ == "__main__":
    main()
