"""Signs a person in to the centre's MLflow, with a password that is made here and that nobody else gets.

The centre is told its checksum alone (docs/adr/0037): neither a run command's answer, nor a blob, nor a log
holds it.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass, field

import httpx

from automation.operate.machines import Centre
from automation.ui.outcome import FedError
from workloads.container_server.container_server import questions

LIST = "#/experiments?workflowType=machine_learning"
"""MLflow's list of experiments. Without the last word it opens on pages for generative AI, all empty."""
_STRANGE = re.compile(r"[^a-z0-9._@+-]+")
_SECONDS = 20.0


@dataclass(frozen=True, kw_only=True)
class SignedIn:
    """An account at the centre's MLflow, until a moment (Unix time)."""

    name: str
    until: float
    password: str = field(repr=False)


def account_name(person: str) -> str:
    """Return the name of a person's account: of how `fed` names them, the first word, in small letters.

    `person` is when nothing remains.
    """
    first = _STRANGE.sub("-", person.lower().split()[0] if person.split() else "")
    return first.lstrip("._@+-")[:64] or "person"


def sign_in(centre: Centre, name: str) -> SignedIn:
    """Sign a person in; their password from before is no longer good. Raises as `Centre.ask`."""
    password = secrets.token_urlsafe(32)
    checksum = hashlib.sha256(password.encode()).hexdigest()
    answer = centre.ask(questions.SignIn(name=name, sha256=checksum))
    return SignedIn(name=answer["name"], until=answer["until"], password=password)


def newest_runs(address: str, account: SignedIn) -> str:
    """Return the page of the runs of the experiment that changed last, or of all experiments without one.

    `address` is MLflow's here. Raises FedError where it does not take the account.
    """
    asked = {"max_results": "1", "order_by": "last_update_time DESC"}
    try:
        answer = httpx.get(
            f"{address}/api/2.0/mlflow/experiments/search",
            params=asked,
            auth=(account.name, account.password),
            timeout=_SECONDS,
        )
        found = answer.raise_for_status().json().get("experiments", [])
    except (httpx.HTTPError, ValueError) as error:
        raise FedError(
            f"MLflow does not answer {account.name}: {error}\nFix: ./fed logs centre mlflow"
        ) from error
    page = f"#/experiments/{found[0]['experiment_id']}/runs?workflowType=machine_learning" if found else LIST
    return f"{address}/{page}"
