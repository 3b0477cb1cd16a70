"""Azure's errors: a status, a code and a message, and the shape they travel in."""

from collections.abc import Sequence
from typing import Any

from emulator.arm.messages import Json


class ArmError(Exception):
    """A refusal that is answered to the client as Azure would word it."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        target: str | None = None,
        details: Sequence[Json] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.target = target
        self.details = details
        self.headers = headers or {}

    def error(self) -> Json:
        """Return the `error` object: code and message, target and details where the provider gives them."""
        answer: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.target is not None:
            answer["target"] = self.target
        if self.details is not None:
            answer["details"] = list(self.details)
        return answer


def bad_request(code: str, message: str, **more: Any) -> ArmError:
    """Return a 400."""
    return ArmError(400, code, message, **more)


def not_found(code: str, message: str, **more: Any) -> ArmError:
    """Return a 404."""
    return ArmError(404, code, message, **more)


def conflict(code: str, message: str) -> ArmError:
    """Return a 409."""
    return ArmError(409, code, message)
