"""What `$filter` asks of the lists over groups and over all types.

https://learn.microsoft.com/rest/api/resources/resources/list
"""

from __future__ import annotations

import re
from collections.abc import Callable

from emulator.arm import ids
from emulator.arm.errors import bad_request
from emulator.arm.store import Row

_CONDITION = re.compile(r"\s*(\w+)\s+(eq|ne)\s+'((?:[^']|'')*)'\s*", re.IGNORECASE)
_READ: dict[str, Callable[[Row], str | None]] = {
    "resourcetype": lambda row: row.type,
    "name": lambda row: row.name,
    "location": lambda row: row.location,
    "resourcegroup": lambda row: ids.group_of(row.id),
}


def chosen(rows: list[Row], text: str) -> list[Row]:
    """Return the rows that a filter keeps; raise ArmError (400) for one that is not understood."""
    if not text.strip():
        return rows
    conditions = [_CONDITION.fullmatch(part) for part in re.split(r"\s+and\s+", text, flags=re.IGNORECASE)]
    found = [(one[1].lower(), one[2].lower(), one[3].replace("''", "'")) for one in conditions if one]
    known = {*_READ, "tagname", "tagvalue"}
    if len(found) < len(conditions) or any(name not in known for name, _, _ in found):
        raise bad_request(
            "InvalidFilterInQueryString", f"Invalid $filter '{text}' specified in the query string"
        )
    tag = {name: value for name, _, value in found if name in {"tagname", "tagvalue"}}
    plain = [one for one in found if one[0] in _READ]
    return [row for row in rows if _tagged(row, tag) and all(_holds(row, *one) for one in plain)]


def _holds(row: Row, name: str, operator: str, wanted: str) -> bool:
    value = _READ[name](row)
    return (str(value or "").lower() == wanted.lower()) == (operator == "eq")


def _tagged(row: Row, wanted: dict[str, str]) -> bool:
    """Say whether a resource has the tag that is asked for: names without case, values with."""
    tags = {name.lower(): value for name, value in (row.body.get("tags") or {}).items()}
    name, value = wanted.get("tagname"), wanted.get("tagvalue")
    if name is not None:
        return name.lower() in tags and value in {None, tags[name.lower()]}
    return value is None or value in tags.values()
