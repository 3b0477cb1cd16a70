"""JSON as Resource Manager reads it: comments and names without quotes are taken, too.

azure-cli sends a template's own text between ``template:`` and the end of the body, with the comments that it
has (JsonCTemplatePolicy in its command module `resource`).
"""

from __future__ import annotations

import json
import re
from typing import Any

_PARTS = re.compile(r'"(?:[^"\\]|\\.)*"|//[^\n]*|/\*.*?\*/|(?P<bare>[A-Za-z_$][\w$]*)(?=\s*:)', re.DOTALL)


def loads(text: str) -> Any:
    """Return the value that a text stands for; raises ValueError."""
    try:
        return json.loads(text)
    except ValueError:
        return json.loads(_PARTS.sub(_strict, text))


def _strict(part: re.Match[str]) -> str:
    if part["bare"]:
        return f'"{part["bare"]}"'
    return "" if part[0].startswith("/") else part[0]
