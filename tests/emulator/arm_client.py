"""A caller of the control plane with all rights, for tests of Azure's rules."""

from typing import Any

from emulator.arm.control_plane import ControlPlane
from emulator.arm.ids import parse
from emulator.arm.messages import Request, Response
from emulator.arm.tokens import Caller
from emulator.arm.types import CATALOGUE

SUBSCRIPTION = "/subscriptions/11111111-1111-4111-8111-111111111111"
OTHER_SUBSCRIPTION = "/subscriptions/22222222-2222-4222-8222-222222222222"
GROUP = f"{SUBSCRIPTION}/resourceGroups/rg"
OTHER_GROUP = f"{SUBSCRIPTION}/resourceGroups/other"


class Arm:
    """Sends requests with the api-version that the catalogue names first for the type in the path."""

    def __init__(self, plane: ControlPlane, caller: Caller | None = None) -> None:
        self.plane = plane
        self._token, _ = plane.issue_token(caller)

    def as_caller(self, caller: Caller) -> "Arm":
        """The same control plane, asked by another principal."""
        return Arm(self.plane, caller)

    def __call__(self, method: str, path: str, body: dict[str, Any] | None = None, **query: str) -> Response:
        return self.plane.handle(
            Request(
                method=method,
                path=path,
                query={"api-version": _version(path), **query},
                headers={"authorization": f"Bearer {self._token}"},
                body=body,
            )
        )

    def put(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Write a resource that Azure accepts."""
        answer = self("PUT", path, body)
        assert answer.status in {200, 201, 202}, answer.body
        return answer.body if isinstance(answer.body, dict) else self.get(path)

    def get(self, path: str, **query: str) -> dict[str, Any]:
        """Read what is there."""
        answer = self("GET", path, None, **query)
        assert answer.status == 200, answer.body
        assert isinstance(answer.body, dict)
        return answer.body

    def rows(self, path: str) -> list[dict[str, Any]]:
        """Read a collection that Azure answers as a bare list."""
        answer = self("GET", path)
        assert isinstance(answer.body, list), answer.body
        return answer.body

    def refusal(self, path: str, body: dict[str, Any]) -> str:
        """Write a resource that Azure refuses; return ``code: message``."""
        return said(self("PUT", path, body))

    def follow(self, answer: Response) -> Response:
        """Return what the accepted operation of an answer came to."""
        path, _, _ = answer.headers["location"].removeprefix("https://management.azure.com").partition("?")
        return self("GET", path)

    def delete(self, path: str) -> None:
        """Delete what may go."""
        answer = self("DELETE", path)
        assert answer.status in {200, 202, 204}, answer.body


def said(answer: Response) -> str:
    """The ``code: message`` of a refusal."""
    assert answer.status >= 400, answer.body
    assert answer.body is not None
    error = answer.body.get("error", answer.body)
    return f"{error['code']}: {error['message']}"


def _version(path: str) -> str:
    parsed = parse(path)
    while parsed is not None:
        found = CATALOGUE.find(parsed.type)
        if found is not None:
            return found.versions[0]
        parsed = parse(parsed.parent)
    return "2022-12-01"
