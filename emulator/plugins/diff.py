"""What changed between two property maps, in the terms of the engine: property paths and kinds of change."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pulumi_wire.values import UNKNOWN

Kind = Literal["add", "delete", "update"]
Same = Callable[[str, Any, Any], bool]
"""(property path, old, new) -> whether two unequal leaves mean the same."""

_SIMPLE = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. `path` is a Pulumi property path, for example ``subnets[0].addressPrefix``."""

    path: str
    kind: Kind

    @property
    def top(self) -> str:
        """The top-level property that the change is in."""
        return re.split(r"[.\[]", self.path, maxsplit=1)[0]


def changes(old: Mapping[str, Any], new: Mapping[str, Any], same: Same) -> list[Change]:
    """Return the differences from `old` to `new`. What is unknown counts as an update."""
    return list(_mappings(old, new, same, ""))


def _mappings(old: Mapping[str, Any], new: Mapping[str, Any], same: Same, path: str) -> Iterator[Change]:
    for name in sorted({*old, *new}):
        yield from _values(old.get(name), new.get(name), same, _member(path, name))


def _values(old: Any, new: Any, same: Same, path: str) -> Iterator[Change]:
    if isinstance(old, dict) and isinstance(new, dict):
        yield from _mappings(old, new, same, path)
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            before = old[index] if index < len(old) else None
            after = new[index] if index < len(new) else None
            yield from _values(before, after, same, f"{path}[{index}]")
    elif new is UNKNOWN or (old != new and not same(path, old, new)):
        yield Change(path, "add" if old is None else "delete" if new is None else "update")


def _member(path: str, name: str) -> str:
    if not _SIMPLE.fullmatch(name):
        escaped = name.replace("\\", "\\\\").replace('"', '\\"')
        return f'{path}["{escaped}"]'
    return f"{path}.{name}" if path else name
