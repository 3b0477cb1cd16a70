"""Who waits for hours behind an account's door stays signed in."""

from typing import Any

import httpx
import pytest
from azure.core.credentials import AccessToken

from automation.operate.people import PeoplesContainer


class Hourly:
    """A credential whose tokens are good for an hour."""

    def __init__(self, now: list[float]) -> None:
        self._now = now
        self.given = 0

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        self.given += 1
        return AccessToken(f"token-{self.given}", int(self._now[0]) + 3600)


def test_a_token_is_renewed_before_it_ends_and_not_for_each_question(monkeypatch: pytest.MonkeyPatch) -> None:
    now, used = [1_000_000.0], []

    def request(method: str, url: str, *, headers: dict[str, str], **_: Any) -> httpx.Response:
        used.append(headers["Authorization"].rpartition("-")[2])
        return httpx.Response(200, content=b"{}")

    monkeypatch.setattr("automation.operate.people.time.time", lambda: now[0])
    monkeypatch.setattr("automation.operate.people.httpx.request", request)
    container = PeoplesContainer(account="acc", name="answers", credential=Hourly(now))
    for seconds in (0, 3000, 400, 3000):
        now[0] += seconds
        container.find("one.json")
    assert used == ["1", "1", "2", "2"]
