"""What waits until Azure knows a role: what is tried again, how often, and what is not."""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from types import SimpleNamespace
from typing import Any

import httpx
import pulumi
import pytest
from pulumi_azure_native import authorization

from components import backup, resource_manager, role_propagation
from components.role_propagation import MINUTES, asked_first, pause_after

REFUSED = 'Status=403 Code="KeyVaultAuthenticationFailure" Message="..."'
ELSE = 'Status=409 Code="StorageAccountAlreadyTaken" Message="..."'
MADE = "1 error occurred:\n\t* " + REFUSED + "\n\n"


@pytest.fixture
def paused(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were made, in seconds; none is waited for."""
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    monkeypatch.setattr(pulumi.log, "info", lambda _: None)
    return pauses


def try_again(*errors: str) -> bool:
    failed = pulumi.ErrorHookArgs(
        urn="urn", id="", name="st", type="t", failed_operation="create", errors=list(errors)
    )
    return asyncio.run(role_propagation._try_again(failed))


def test_pauses_grow_and_end_after_their_minutes() -> None:
    pauses: list[int] = []
    while (pause := pause_after(len(pauses) + 1)) is not None:
        pauses.append(pause)
    assert pauses[:6] == [2, 4, 8, 16, 30, 30]
    assert MINUTES * 60 - 30 <= sum(pauses) <= MINUTES * 60


def test_a_role_that_is_not_known_yet_is_waited_for(paused: list[float]) -> None:
    assert try_again(REFUSED)
    assert try_again(REFUSED, REFUSED)
    assert paused == [2, 4]


@pytest.mark.parametrize("error", [ELSE, MADE])
def test_another_refusal_and_what_exists_already_are_not_tried_again(paused: list[float], error: str) -> None:
    assert not try_again(error)
    assert not try_again(error, REFUSED)
    assert paused == []


def test_patience_ends(paused: list[float]) -> None:
    assert not try_again(*[REFUSED] * 40)


MISSING = "UserErrorMissingPermissions: the vault lacks a role"


def make(objections: list[str | None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Make something whose service has these objections, one after the other; the last one stays."""

    async def ask(_: Mapping[str, Any]) -> str | None:
        return objections.pop(0) if len(objections) > 1 else objections[0]

    monkeypatch.setattr(pulumi, "ResourceHook", lambda name, callback: SimpleNamespace(callback=callback))
    binding = asked_first("patience", ask)
    (hook,) = binding.before_create or []
    asyncio.run(hook.callback(pulumi.ResourceHookArgs(urn="urn", id="", name="backup", type="t")))  # type: ignore[arg-type, union-attr]


def test_a_service_is_asked_until_it_has_no_objection(
    paused: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    make([MISSING, MISSING, None], monkeypatch)
    assert paused == [2, 4]


def test_nothing_is_made_when_the_objection_stays(
    paused: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(TimeoutError, match=r"backup was not made.*UserErrorMissingPermissions.*Fix: "):
        make([MISSING], monkeypatch)
    assert sum(paused) <= MINUTES * 60


VAULT = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.DataProtection/backupVaults/v"
OPERATION = "https://management.azure.com/subscriptions/s/operations/1"


@pytest.fixture
def azure(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[httpx.Response]], list[httpx.Request]]:
    """Have Azure give these answers, one after the other; what it was asked is in the list."""

    async def token() -> str:
        return "a-token"

    def answer_with(answers: list[httpx.Response]) -> list[httpx.Request]:
        asked: list[httpx.Request] = []

        def handle(request: httpx.Request) -> httpx.Response:
            asked.append(request)
            return answers.pop(0)

        client = partial(httpx.AsyncClient, transport=httpx.MockTransport(handle))
        monkeypatch.setattr(httpx, "AsyncClient", client)
        return asked

    given = SimpleNamespace(token=SimpleNamespace(future=token))
    monkeypatch.setattr(authorization, "get_client_token_output", lambda opts: given)
    monkeypatch.delenv(resource_manager.ENDPOINT, raising=False)
    return answer_with


ACCEPTED = {"azure-asyncoperation": OPERATION, "retry-after-ms": "1"}
INPUTS = {"properties": {"dataSourceInfo": {"resourceID": "/disk"}}}


def objection() -> str | None:
    context: Any = SimpleNamespace(azure=None)
    return asyncio.run(backup._objection(context, VAULT, INPUTS))


def test_a_vault_is_asked_by_resource_manager_until_it_has_decided(
    azure: Callable[[list[httpx.Response]], list[httpx.Request]],
) -> None:
    asked = azure(
        [
            httpx.Response(202, headers=ACCEPTED),
            httpx.Response(200, json={"status": "InProgress"}, headers={"retry-after-ms": "1"}),
            httpx.Response(200, json={"status": "Succeeded"}),
        ]
    )
    assert objection() is None
    assert [request.url.path for request in asked] == [
        f"{VAULT}/validateForBackup",
        *["/subscriptions/s/operations/1"] * 2,
    ]
    assert asked[0].headers["authorization"] == "Bearer a-token"


def test_a_missing_role_is_an_objection_and_another_refusal_is_left_to_the_create(
    azure: Callable[[list[httpx.Response]], list[httpx.Request]], monkeypatch: pytest.MonkeyPatch
) -> None:
    warned: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", warned.append)
    error = {"code": "UserErrorMissingMSIPermissionsOnSnapshotResourceGroup", "message": "a role"}
    azure(
        [
            httpx.Response(202, headers=ACCEPTED),
            httpx.Response(200, json={"status": "Failed", "error": error}),
            httpx.Response(400, json={"error": {"code": "BMSUserErrorInvalidInput", "message": "no"}}),
        ]
    )
    assert objection() == f"{error['code']}: a role"
    assert objection() is None
    assert "BMSUserErrorInvalidInput" in warned[0]
