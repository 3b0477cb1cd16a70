"""How a job's code differs from the version that a hospital approved before. Pure."""

import difflib
from collections.abc import Iterator, Mapping
from itertools import islice

from automation.ui.plain import plain

MOST_LINES = 400


def difference(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> Iterator[str]:
    """Yield a unified difference over all files (name -> content), at most MOST_LINES of it."""
    lines = _all(before, after)
    yield from islice(lines, MOST_LINES)
    if next(lines, None) is not None:
        yield f"... more than {MOST_LINES} lines: save both versions to compare them (--to FOLDER)"


def _all(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> Iterator[str]:
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        if _is_binary(old) or _is_binary(new):
            yield f"{plain(name)}: other content, which is no text"
            continue
        marks = ("/dev/null" if old is None else f"approved/{name}", "/dev/null" if new is None else name)
        for line in difflib.unified_diff(_lines(old), _lines(new), *marks, lineterm=""):
            yield plain(line)


def _is_binary(content: bytes | None) -> bool:
    try:
        (content or b"").decode()
    except UnicodeDecodeError:
        return True
    return False


def _lines(content: bytes | None) -> list[str]:
    return (content or b"").decode().splitlines()
