"""What goes into the control plane and what comes out: one HTTP exchange, free of any web framework."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One HTTP request.

    `path` starts with a slash and holds no query; `headers` have lower-case names; `body` is the parsed JSON
    object or None.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Json | None = None

    @property
    def endpoint(self) -> str:
        """Whom the client asked, for absolute URLs; Azure where it does not say."""
        return f"https://{self.headers.get('host') or 'management.azure.com'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One HTTP answer; a `body` of None is an empty one. Nearly every other is an object, some are lists."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
