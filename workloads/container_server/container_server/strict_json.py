"""JSON that somebody else wrote, with numbers that are numbers."""

import json
from typing import Any


def parse(content: bytes | str) -> Any:
    """The content. Raises ValueError for what is not JSON in UTF-8, or holds a number that is not finite."""
    try:
        return json.loads(content, parse_constant=_no_number, parse_float=_finite)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no number")


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"{text[:40]} is too large")
    return value
