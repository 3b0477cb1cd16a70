"""Signs a command in to Azure as the workflow's identity, with the token that GitHub gives to a job.

No secret is stored anywhere: GitHub vouches for the job (a token of five minutes), Entra ID exchanges that
for one of its own. azure-native asks GitHub itself; Pulumi's state backend and Microsoft's Python clients
read a file instead, kept fresh here for as long as the command runs. Outside GitHub the command runs under
your own login.

Sources: docs.github.com "OpenID Connect reference"; learn.microsoft.com "Workload identity federation"; the
state backend reads AZURE_* and no ARM_* variables (pulumi/pulumi#13476).
"""

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType

import httpx

from automation.delivery import docker_credentials
from automation.delivery.github import TOKEN
from automation.ui.outcome import FedError

AUDIENCE = "api://AzureADTokenExchange"
#: GitHub's token lives for 300 seconds.
REFRESH_SECONDS = 240.0


def in_github_job(environment: Mapping[str, str]) -> bool:
    """Tell whether this is a GitHub job (which then must have a token)."""
    return environment.get("GITHUB_ACTIONS") == "true"


def fetch(environment: Mapping[str, str]) -> str:
    """Ask GitHub for this job's token.

    Raises:
        FedError: when the job may not have one, or GitHub does not answer.
    """
    url = environment.get("ACTIONS_ID_TOKEN_REQUEST_URL")
    bearer = environment.get("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "").strip()
    if not url or not bearer:
        raise FedError(
            "This job gets no token from GitHub, so it cannot sign in to Azure. The job needs `permissions: "
            "id-token: write`; a pull request from a fork or from Dependabot never gets one, whatever the "
            "workflow says."
        )
    if not TOKEN.fullmatch(bearer):
        raise FedError(
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN holds a character that no token has, so GitHub cannot be asked "
            "for this job's token. It is not shown here. GitHub sets the variable; a job never should."
        )
    try:
        answer = httpx.get(
            url, params={"audience": AUDIENCE}, headers={"Authorization": f"Bearer {bearer}"}, timeout=30
        )
        answer.raise_for_status()
        token = answer.json()["value"]
    except (httpx.HTTPError, httpx.InvalidURL, KeyError, TypeError, ValueError) as error:
        raise FedError(f"GitHub gave no token for this job ({error}): it cannot sign in to Azure.") from error
    if not isinstance(token, str) or not TOKEN.fullmatch(token):
        raise FedError("GitHub's answer holds no token for this job: it cannot sign in to Azure.")
    return token


def variables(environment: Mapping[str, str], token_file: Path) -> dict[str, str]:
    """Return the variables by which the providers, the state backend and the Python clients find the
    identity.

    Raises:
        FedError: when the GitHub environment does not say which identity.
    """
    missing = [name for name in ("AZURE_CLIENT_ID", "AZURE_TENANT_ID") if not environment.get(name)]
    if missing:
        raise FedError(
            f"{' and '.join(missing)} not set: nobody says which identity this job is. They are variables of "
            "the GitHub environment that the job names; `./fed bootstrap` prints the commands that set them."
        )
    return {
        "ARM_USE_OIDC": "true",
        "ARM_CLIENT_ID": environment["AZURE_CLIENT_ID"],
        "ARM_TENANT_ID": environment["AZURE_TENANT_ID"],
        "AZURE_CLIENT_ID": environment["AZURE_CLIENT_ID"],
        "AZURE_TENANT_ID": environment["AZURE_TENANT_ID"],
        "AZURE_FEDERATED_TOKEN_FILE": str(token_file),
        # Without this, a failure here would be followed by attempts with whatever else the runner has.
        "AZURE_TOKEN_CREDENTIALS": "WorkloadIdentityCredential",
    }


def run(command: Sequence[str], *, refresh_seconds: float = REFRESH_SECONDS) -> int:
    """Run `command` signed in, and return its exit code (128 + n when signal n ended it).

    SIGINT and SIGTERM reach the command alone, once: GitHub cancels a job by sending them to this process.
    """
    if not in_github_job(os.environ):
        return _child(command, dict(os.environ))
    token = fetch(os.environ)
    with _private_folder() as folder:
        file = Path(folder) / "token"
        _write(file, token)
        docker = Path(folder) / "docker"
        docker.mkdir()
        environment = {**os.environ, **variables(os.environ, file), **docker_credentials.install(docker)}
        done = threading.Event()
        keeper = threading.Thread(target=_keep_fresh, args=(file, done, refresh_seconds), daemon=True)
        keeper.start()
        try:
            return _child(command, environment)
        finally:
            done.set()
            keeper.join()


def _private_folder() -> tempfile.TemporaryDirectory[str]:
    where = os.environ.get("RUNNER_TEMP")
    try:
        return tempfile.TemporaryDirectory(prefix="fed-oidc-", dir=where)
    except OSError as error:
        raise FedError(
            f"The job's token cannot be kept: no folder can be made in {where or tempfile.gettempdir()} "
            f"({error.strerror}). RUNNER_TEMP names it; it must exist and be the job's own."
        ) from error


def _keep_fresh(file: Path, done: threading.Event, seconds: float) -> None:
    while not done.wait(seconds):
        try:
            _write(file, fetch(os.environ))
        except FedError as error:
            # The access tokens in use last for an hour: the next attempt comes long before they end.
            print(f"fed: {error} Trying again in {seconds:.0f} s.", file=sys.stderr)


def _write(file: Path, token: str) -> None:
    print(f"::add-mask::{token}", flush=True, file=sys.stderr)
    new = file.with_suffix(".new")
    try:
        new.touch(mode=0o600)
        new.write_text(token)
        new.replace(file)
    except OSError as error:
        raise FedError(f"The job's token cannot be written to {file}: {error.strerror}.") from error


def _child(command: Sequence[str], environment: Mapping[str, str]) -> int:
    try:
        process = subprocess.Popen(list(command), env=dict(environment))  # noqa: S603 the caller's own command
    except OSError as error:
        raise FedError(f"{command[0]}: {error.strerror}.") from error

    def pass_on(number: int, frame: FrameType | None) -> None:
        process.send_signal(number)

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        code = process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return code if code >= 0 else 128 - code
