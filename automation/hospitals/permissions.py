"""What a list of permissions, as Azure answers it for a scope, allows."""

import re
from collections.abc import Mapping, Sequence
from typing import Any


def allows(granted: Sequence[Mapping[str, Any]], action: str) -> bool:
    """Tell whether any one role allows `action`: what its actions match and its notActions do not.

    The list does not show conditions of role assignments.
    """
    return any(
        any(_matches(pattern, action) for pattern in role.get("actions", []))
        and not any(_matches(pattern, action) for pattern in role.get("notActions", []))
        for role in granted
    )


def _matches(pattern: str, action: str) -> bool:
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), action, re.IGNORECASE) is not None
