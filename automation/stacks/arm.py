"""The one client of Azure Resource Manager: what `fed` asks it itself, outside any deployment.

The same client talks to the emulator: only the address, its authority and the credential differ (`Endpoint`).
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import httpx
from azure.core.credentials import TokenCredential

from automation.ui.lazily import lazily
from automation.ui.options import On
from automation.ui.outcome import FedError

with lazily():
    from azure import identity

    from emulator import control, credential

AZURE = "https://management.azure.com"
SCOPE = "https://management.azure.com/.default"
#: Azure answers long operations within minutes; an import of large images may take longer.
OPERATION_SECONDS = 1800.0
#: Statuses after which a question is asked again, with these pauses (seconds) where Azure names none, as
#: Microsoft's own clients do (azure-core's RetryPolicy). Only 429 says that nothing was done: what is no
#: question or deletion is asked again after that alone.
PASSING = frozenset({408, 429, 500, 502, 503, 504})
PAUSES = (0.8, 1.6, 3.2, 6.4)
_REPEATABLE = frozenset({"GET", "DELETE"})
#: What the status of an operation says before its end.
RUNNING = frozenset({"Accepted", "InProgress", "Pending", "Running"})


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """Where Resource Manager is, and as whom to ask it."""

    url: str
    credential: TokenCredential
    verify: ssl.SSLContext | bool = True
    proxies: bool = True
    """Whether the proxies that the environment names lead there."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One answer: `status` is HTTP's, `body` is empty when there is none."""

    status: int
    body: Mapping[str, Any]

    @property
    def is_error(self) -> bool:
        """Whether Azure refused."""
        return self.status >= 400 or self.body.get("status") in {"Failed", "Canceled"}

    @property
    def error(self) -> str:
        """Azure's code and message."""
        error = self.body.get("error") or {}
        return f"{error.get('code', self.status)}: {error.get('message', 'no message')}"


class Arm:
    """Resource Manager, as one identity sees it. Raises FedError when it cannot be reached at all."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._client = httpx.Client(
            base_url=endpoint.url, verify=endpoint.verify, timeout=60, trust_env=endpoint.proxies
        )

    def token(self) -> str:
        """Return the access token with which Resource Manager is asked."""
        return self._endpoint.credential.get_token(SCOPE).token

    def get(self, path: str, version: str, **query: str) -> Answer:
        """GET one resource, or a list with all its pages in ``value``, or the refusal of a page."""
        answer = self._send("GET", path, {"api-version": version, **query})
        found = list(answer.body.get("value", []))
        following = answer.body.get("nextLink")
        while following:
            page = self._send("GET", str(following), None)
            if page.is_error:
                return page
            found += page.body.get("value", [])
            following = page.body.get("nextLink")
        return Answer(status=answer.status, body={**answer.body, "value": found}) if found else answer

    def post(self, path: str, version: str, body: Mapping[str, Any]) -> Answer:
        """POST an action and wait for its end; the answer is the operation's result.

        https://learn.microsoft.com/azure/azure-resource-manager/management/async-operations
        """
        return self._finished(path, self._request("POST", path, {"api-version": version}, body))

    def delete(self, path: str, version: str) -> Answer:
        """DELETE one resource and wait until it is gone."""
        return self._finished(path, self._request("DELETE", path, {"api-version": version}, None))

    def _finished(self, path: str, response: httpx.Response) -> Answer:
        where = response.headers.get("azure-asyncoperation") or response.headers.get("location")
        until = time.monotonic() + OPERATION_SECONDS
        while where and (response.status_code == 202 or _status(response) in RUNNING):
            if time.monotonic() > until:
                raise FedError(f"{path}: Azure is still not done after {OPERATION_SECONDS:.0f} s.")
            time.sleep(_pause(response))
            response = self._request("GET", where, None, None)
            where = response.headers.get("location", where) if response.status_code == 202 else where
        return _answer(response)

    def _send(self, method: str, path: str, query: Mapping[str, str] | None) -> Answer:
        return _answer(self._request(method, path, query, None))

    def _request(
        self, method: str, path: str, query: Mapping[str, str] | None, body: Mapping[str, Any] | None
    ) -> httpx.Response:
        token = self.token()
        for pause in (*PAUSES, None):
            try:
                response = self._client.request(
                    method, path, params=query, json=body, headers={"Authorization": f"Bearer {token}"}
                )
            except httpx.HTTPError as error:
                if pause is None or not _answer_was_lost(method, error):
                    raise FedError(f"Resource Manager did not answer {method} {path}: {error}.") from error
                time.sleep(pause)
                continue
            if pause is None or not _passes(method, response.status_code):
                break
            time.sleep(min(float(response.headers.get("retry-after", pause)), 60))
        return response


def _answer_was_lost(method: str, error: httpx.HTTPError) -> bool:
    """Whether Azure was reached, did not answer, and may be asked the same again."""
    return method in _REPEATABLE and isinstance(error, httpx.ReadError | httpx.RemoteProtocolError)


def _passes(method: str, status: int) -> bool:
    return status == HTTPStatus.TOO_MANY_REQUESTS or (status in PASSING and method in _REPEATABLE)


def of_azure() -> Arm:
    """Return Azure's Resource Manager, as the user who is logged in or the job."""
    return Arm(Endpoint(url=AZURE, credential=identity.DefaultAzureCredential()))


def of_emulator(emulator: control.Emulator) -> Arm:
    """Return the Resource Manager of an emulator."""
    return Arm(
        Endpoint(
            url=emulator.record.arm,
            credential=credential.EmulatorCredential(emulator.home),
            verify=emulator.ssl_context(),
            proxies=False,
        )
    )


def resource_manager(on: On) -> Arm:
    """Return Azure's Resource Manager, or the emulator's, which is started when needed."""
    return of_azure() if on is On.AZURE else of_emulator(control.Emulator.ensure())


def _pause(response: httpx.Response) -> float:
    """Return how many seconds Azure asks to wait before the next look; some services say milliseconds."""
    if "retry-after-ms" in response.headers:
        return float(response.headers["retry-after-ms"]) / 1000
    return float(response.headers.get("retry-after", "2"))


def _status(response: httpx.Response) -> str | None:
    status = _answer(response).body.get("status")
    return status if isinstance(status, str) else None


def _answer(response: httpx.Response) -> Answer:
    try:
        body = response.json() if response.content else {}
    except ValueError:
        body = {"error": {"code": str(response.status_code), "message": response.text[:500]}}
    return Answer(status=response.status_code, body=body if isinstance(body, dict) else {"value": body})
