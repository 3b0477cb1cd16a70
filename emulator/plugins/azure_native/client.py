"""Requests to Azure Resource Manager, with the patience and the impatience of the real provider.

Retried are answers 408, 429, 500, 502, 503 and 504, a 409 with the code AnotherOperationInProgress, and a
connection that ended without an answer (azcore's runtime/policy_retry.go, for every method); three times,
after 20, 60 and 120 seconds unless the answer says otherwise. Nothing else is, above all not a failure inside
an accepted operation: a program that relies on more would work here and fail on Azure.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from urllib.parse import parse_qsl, urlsplit

from emulator.arm.messages import Json, Request, Response
from emulator.plugins.package import CancelledError, ProviderError

Handle = Callable[[Request], Response]
Bearer = Callable[[], str]
"""Returns a bearer token that is good now."""

RETRIED = frozenset({408, 429, 500, 502, 503, 504})
RETRY_SECONDS = (20.0, 60.0, 120.0)
POLL_SECONDS = 10.0
"""How often the real provider asks for a pending operation when Azure does not say."""
_ENDED = frozenset({"succeeded", "failed", "canceled"})
FAST = 0.005
"""Factor on the retry pauses while the emulated Azure takes no time for anything."""


class OperationFailedError(ProviderError):
    """Azure accepted a request, and then the operation failed."""


class ArmClient:
    """Sends requests to a control plane for one provider instance; any thread may call."""

    def __init__(self, handle: Handle, bearer: Bearer, *, pace: float = 1.0) -> None:
        self._handle, self._bearer, self._pace = handle, bearer, pace
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        """Make every call that waits end with CancelledError."""
        self._cancelled.set()

    def get(self, path: str, version: str) -> Response:
        """Return the answer to a GET, whatever its status."""
        return self._send("GET", path, {"api-version": version}, None)

    def write(self, method: str, path: str, version: str, body: Json | None = None) -> Response:
        """Send a PUT, PATCH or DELETE and return the answer to it, whatever its status (after its work).

        Raises OperationFailedError when the request was accepted but its operation failed.
        """
        answer = self._send(method, path, {"api-version": version}, body)
        if answer.status < 300:
            self._await(answer, path, version)
        return answer

    def _send(self, method: str, path: str, query: Mapping[str, str], body: Json | None) -> Response:
        headers = {"authorization": f"Bearer {self._bearer()}", "host": "management.azure.com"}
        request = Request(method=method, path=path, query=query, headers=headers, body=body)
        for seconds in RETRY_SECONDS:
            answer = self._try(request)
            if answer and not _worth_retrying(answer):
                return answer
            self._wait(_retry_after(answer, seconds * self._pace) if answer else seconds * self._pace)
        answer = self._try(request)
        if answer is None:
            raise ProviderError(f"{method} {path}: the connection was closed before an answer, four times")
        return answer

    def _try(self, request: Request) -> Response | None:
        try:
            return self._handle(request)
        except ConnectionError:
            return None

    def _await(self, answer: Response, path: str, version: str) -> None:
        """Wait as azcore's poller does: a status URL, a result URL, else the state in the resource."""
        if url := answer.headers.get("azure-asyncoperation"):
            self._await_status(url, answer)
        elif answer.status == 202 and (url := answer.headers.get("location")):
            self._await_result(url, answer)
        elif _state(answer) not in _ENDED:
            self._await_state(answer, path, version)

    def _await_state(self, answer: Response, path: str, version: str) -> None:
        while _state(answer) not in _ENDED:
            self._wait(_retry_after(answer, POLL_SECONDS * self._pace))
            answer = self.get(path, version)
        if answer.status >= 400 or _state(answer) in {"failed", "canceled"}:
            raise OperationFailedError(describe(answer))

    def _await_status(self, url: str, answer: Response) -> None:
        while True:
            self._wait(_retry_after(answer, POLL_SECONDS))
            answer = self._follow(url)
            body = answer.body or {}
            status = str(body.get("status", "Succeeded")).lower()
            if answer.status >= 400 or status in {"failed", "canceled"}:
                raise OperationFailedError(describe(answer))
            if status == "succeeded":
                return

    def _await_result(self, url: str, answer: Response) -> None:
        while answer.status == 202:
            self._wait(_retry_after(answer, POLL_SECONDS))
            answer = self._follow(url)
        if answer.status >= 400 and answer.status != 404:
            raise OperationFailedError(describe(answer))

    def _follow(self, url: str) -> Response:
        parts = urlsplit(url)
        return self._send("GET", parts.path, dict(parse_qsl(parts.query)), None)

    def _wait(self, seconds: float) -> None:
        if self._cancelled.wait(seconds):
            raise CancelledError("cancelled while waiting for Azure")


def _state(answer: Response) -> str:
    """Return the provisioningState of an answered resource; one without any has ended."""
    properties = (answer.body or {}).get("properties")
    state = properties.get("provisioningState") if isinstance(properties, dict) else None
    return str(state or "Succeeded").lower()


def _worth_retrying(answer: Response) -> bool:
    return answer.status in RETRIED or (
        answer.status == 409 and error_of(answer).get("code") == "AnotherOperationInProgress"
    )


def _retry_after(answer: Response, otherwise: float) -> float:
    headers = answer.headers
    if "retry-after-ms" in headers:
        return float(headers["retry-after-ms"]) / 1000
    return float(headers["retry-after"]) if "retry-after" in headers else otherwise


def error_of(answer: Response) -> Json:
    """Return the error object of an answer; Microsoft.Insights leaves the wrapper out."""
    body = answer.body or {}
    error = body.get("error", body)
    return error if isinstance(error, dict) else {}


def describe(answer: Response) -> str:
    """Return what an answer refuses, as the real provider words it."""
    error = error_of(answer)
    if not error.get("code"):
        return f"Status={answer.status} Body={answer.body}"
    text = f'Status={answer.status} Code="{error["code"]}" Message="{error.get("message", "")}"'
    if details := error.get("details"):
        text += f" Details={details}"
    return text
