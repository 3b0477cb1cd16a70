"""What waits until Azure knows a role: what is tried again, how often, and what is not."""

import asyncio

import pulumi
import pytest

from components import role_propagation
from components.role_propagation import MINUTES, pause_after

REFUSED = 'Status=403 Code="KeyVaultAuthenticationFailure" Message="..."'
ELSE = 'Status=409 Code="StorageAccountAlreadyTaken" Message="..."'
MADE = "1 error occurred:\n\t* " + REFUSED + "\n\n"


@pytest.fixture
def paused(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were made, in seconds; none is waited for."""
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(role_propagation.asyncio, "sleep", sleep)
    monkeypatch.setattr(role_propagation.pulumi.log, "info", lambda _: None)
    return pauses


def try_again(*errors: str) -> bool:
    failed = pulumi.ErrorHookArgs(
        urn="urn", id="", name="st", type="t", failed_operation="create", errors=list(errors)
    )
    return asyncio.run(role_propagation._try_again(failed))


def test_pauses_grow_and_end_after_their_minutes() -> None:
    pauses = []
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
