"""Which answers the provider sends again, and what it makes of a failure inside an accepted operation."""

import time
from collections.abc import Iterable

import pytest

from emulator.arm.messages import Request, Response
from emulator.plugins.azure_native.client import ArmClient, OperationFailedError
from emulator.plugins.package import CancelledError, ProviderError

BUSY = Response(status=409, body={"error": {"code": "AnotherOperationInProgress", "message": "busy"}})
DONE = Response(status=200, body={"id": "/x"})
POLL = "https://management.azure.com/subscriptions/s/operations/1?api-version=v"


class Answers:
    """Answers requests with a list, and remembers them."""

    def __init__(self, answers: Iterable[Response | ConnectionError]) -> None:
        self._answers = iter(answers)
        self.asked: list[Request] = []

    def __call__(self, request: Request) -> Response:
        self.asked.append(request)
        answer = next(self._answers)
        if isinstance(answer, ConnectionError):
            raise answer
        return answer


def client(answers: Answers) -> ArmClient:
    return ArmClient(answers, lambda: "token", pace=0.0001)


def test_a_busy_network_is_asked_again() -> None:
    answers = Answers([BUSY, Response(status=503), DONE])
    assert client(answers).write("PUT", "/x", "v", {}).status == 200
    assert len(answers.asked) == 3


def test_the_fourth_refusal_is_final() -> None:
    answers = Answers([BUSY] * 4)
    assert client(answers).write("PUT", "/x", "v", {}).status == 409
    assert len(answers.asked) == 4


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_a_lost_answer_is_asked_for_again(method: str) -> None:
    """azcore sends every method again (Azure/azure-sdk-for-go, sdk/azcore/runtime/policy_retry.go)."""
    answers = Answers([ConnectionError(), DONE])
    assert client(answers).write(method, "/x", "v", {}).status == 200
    assert len(answers.asked) == 2


def test_the_fourth_lost_answer_is_final() -> None:
    answers = Answers([ConnectionError()] * 4)
    with pytest.raises(ProviderError, match="closed before an answer, four times"):
        client(answers).write("PUT", "/x", "v", {})


@pytest.mark.parametrize(
    "refusal",
    [
        Response(status=409, body={"error": {"code": "StorageAccountOperationInProgress"}}),
        Response(status=400, body={"error": {"code": "ReferencedResourceNotProvisioned"}}),
        Response(status=403),
    ],
)
def test_other_refusals_are_final_at_once(refusal: Response) -> None:
    answers = Answers([refusal])
    assert client(answers).write("PUT", "/x", "v", {}) == refusal


def test_azure_s_own_pause_counts() -> None:
    answers = Answers([Response(status=429, headers={"retry-after-ms": "60"}), DONE])
    before = time.monotonic()
    client(answers).write("PUT", "/x", "v", {})
    assert time.monotonic() - before >= 0.06


def test_an_accepted_write_is_followed_to_its_end() -> None:
    accepted = Response(
        status=201, headers={"azure-asyncoperation": POLL, "retry-after-ms": "1"}, body={"id": "/x"}
    )
    running = Response(status=200, headers={"retry-after-ms": "1"}, body={"status": "InProgress"})
    answers = Answers([accepted, running, Response(status=200, body={"status": "Succeeded"})])
    assert client(answers).write("PUT", "/x", "v", {}) == accepted
    assert [asked.path for asked in answers.asked[1:]] == ["/subscriptions/s/operations/1"] * 2
    assert answers.asked[1].query == {"api-version": "v"}


def test_a_failure_inside_an_operation_is_not_tried_again() -> None:
    accepted = Response(status=201, headers={"azure-asyncoperation": POLL, "retry-after-ms": "1"})
    failed = Response(
        status=200,
        body={"status": "Failed", "error": {"code": "AnotherOperationInProgress", "message": "busy"}},
    )
    answers = Answers([accepted, failed])
    with pytest.raises(OperationFailedError, match="AnotherOperationInProgress"):
        client(answers).write("PUT", "/x", "v", {})
    assert len(answers.asked) == 2


def test_a_deletion_is_followed_by_its_location() -> None:
    pending = Response(status=202, headers={"location": POLL, "retry-after-ms": "1"})
    answers = Answers([pending, pending, Response(status=200)])
    client(answers).write("DELETE", "/x", "v")
    assert len(answers.asked) == 3


def test_a_write_without_urls_is_followed_in_the_resource() -> None:
    """Vaults and workspaces, as azcore's poller of the body does."""
    pending = Response(status=200, body={"properties": {"provisioningState": "RegisteringDns"}})
    answers = Answers([pending, pending, Response(status=200, body={"properties": {}})])
    client(answers).write("PUT", "/x", "v", {})
    assert [asked.method for asked in answers.asked] == ["PUT", "GET", "GET"]


def test_a_resource_that_ends_in_failure_fails_its_write() -> None:
    states = [
        Response(status=201, body={"properties": {"provisioningState": state}})
        for state in ("Creating", "Failed")
    ]
    with pytest.raises(OperationFailedError):
        client(Answers(states)).write("PUT", "/x", "v", {})


def test_an_engine_that_leaves_ends_the_waiting() -> None:
    waiting = ArmClient(Answers([BUSY] * 4), lambda: "token", pace=1)
    waiting.cancel()
    with pytest.raises(CancelledError):
        waiting.write("PUT", "/x", "v", {})
