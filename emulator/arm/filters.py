"""What `$filter` asks of the lists over groups and over all types.

https://learn.microsoft.com/rest/api/resources/resources/list
"""

from __future__ import annotations

import re
from collections.abc import Callable

from emulator.arm import ids
from emulator.arm.errors import bad_request
from emulator.arm.store import Row

Test = Callable[[Row], bool]

_TEXT = r"'((?:[^']|'')*)'"
_COMPARED = re.compile(rf"\s*(\w+)\s+(eq|ne)\s+{_TEXT}\s*", re.IGNORECASE)
_CONTAINED = re.compile(rf"\s*substringof\(\s*{_TEXT}\s*,\s*(\w+)\s*\)\s*", re.IGNORECASE)
_BEGUN = re.compile(rf"\s*startswith\(\s*tagName\s*,\s*{_TEXT}\s*\)\s*", re.IGNORECASE)
_READ: dict[str, Callable[[Row], str | None]] = {
    "resourcetype": lambda row: row.type,
    "name": lambda row: row.name,
    "location": lambda row: row.location,
    "resourcegroup": lambda row: ids.group_of(row.id),
}
_SEARCHED = frozenset({"name", "resourcegroup"})


def chosen(rows: list[Row], text: str) -> list[Row]:
    """Return the rows that a filter keeps; raise ArmError (400) for one that is not understood."""
    if not text.strip():
        return rows
    tag: dict[str, str] = {}
    tests = [_test(part, tag) for part in re.split(r"\s+and\s+", text, flags=re.IGNORECASE)]
    if None in tests:
        raise bad_request(
            "InvalidFilterInQueryString", f"Invalid $filter '{text}' specified in the query string"
        )
    return [row for row in rows if _tagged(row, tag) and all(test(row) for test in tests if test)]


def _test(part: str, tag: dict[str, str]) -> Test | None:
    """Return what one condition asks of a row, None for one that is not understood.

    What is asked of one tag's name and value is put into `tag`: the two belong together.
    """
    if found := _COMPARED.fullmatch(part):
        return _comparison(found[1].lower(), found[2].lower(), _plain(found[3]), tag)
    if found := _CONTAINED.fullmatch(part):
        return _search(found[2].lower(), _plain(found[1]).lower())
    if found := _BEGUN.fullmatch(part):
        begin = _plain(found[1]).lower()
        return lambda row: any(name.startswith(begin) for name in _tags(row))
    return None


def _comparison(name: str, operator: str, wanted: str, tag: dict[str, str]) -> Test | None:
    if name in {"tagname", "tagvalue"} and operator == "eq":
        tag[name] = wanted
        return lambda _: True
    read = _READ.get(name)
    if read is None:
        return None
    return lambda row: (str(read(row) or "").lower() == wanted.lower()) == (operator == "eq")


def _search(name: str, wanted: str) -> Test | None:
    if name not in _SEARCHED:
        return None
    return lambda row: wanted in str(_READ[name](row) or "").lower()


def _plain(text: str) -> str:
    return text.replace("''", "'")


def _tags(row: Row) -> dict[str, str]:
    """Return the tags by names in lower case: names are compared without case, values with."""
    return {name.lower(): value for name, value in (row.body.get("tags") or {}).items()}


def _tagged(row: Row, wanted: dict[str, str]) -> bool:
    """Say whether a resource has the tag that is asked for."""
    tags, name, value = _tags(row), wanted.get("tagname"), wanted.get("tagvalue")
    if name is not None:
        return name.lower() in tags and value in {None, tags[name.lower()]}
    return value is None or value in tags.values()
