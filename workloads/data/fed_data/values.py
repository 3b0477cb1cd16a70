"""One column's values: each text in its one plain form, or why it is none. Pure.

Most columns hold few different values, or values that come again: each is looked at once.
"""

import math
import re
from datetime import date
from typing import final

from .schema import Column

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?", "-", "."})
"""What programs write for a value that is missing, in lower case, where it is none that the schema lists."""
LONGEST_TEXT = 1000
_REMEMBERED = 100_000
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
_DECIMAL_COMMA = re.compile(r"[+-]?[0-9]+,[0-9]+")
_DATE = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[ T]00:00:00(?:\.0+)?)?")


class WrongValueError(ValueError):
    """Why a value is not taken, without quoting it."""


@final
class Values(dict[str, str]):
    """Text of a file -> plain form; raises WrongValueError. `commas`: whether 1,5 may be a number."""

    def __init__(self, column: Column, missing: frozenset[str], *, commas: bool):
        super().__init__()
        self.column = column
        self._missing = missing
        self._commas = commas
        self._listed = frozenset(column.listed)
        self._free = column.type == "string" and not column.listed
        self.present: set[str] = set()
        """The first plain values that were met, at least two where there are two."""
        self.spaces = False
        """Whether one had spaces around it."""

    def __missing__(self, raw: str) -> str:
        value = raw.strip()
        plain = self._plain(value)
        self.spaces = self.spaces or value != raw
        if len(self) >= _REMEMBERED:
            self.clear()
        elif len(self.present) < _REMEMBERED:
            self.present.add(plain)
        self[raw] = plain
        return plain

    def _plain(self, value: str) -> str:
        if value in self._listed:
            return value
        if value in self._missing or (not self._free and value.lower() in MISSING) or not value:
            if self.column.required:
                raise WrongValueError("empty, but it may not be missing")
            return ""
        match self.column.type:
            case "string":
                return self._text(value)
            case "boolean":
                return self._boolean(value)
            case "date":
                return _date(value)
            case _:
                return self._number(value)

    def _text(self, value: str) -> str:
        if self._listed:
            raise self._unlisted()
        if len(value) > LONGEST_TEXT or not value.isprintable():
            raise WrongValueError(f"not one line of at most {LONGEST_TEXT} characters")
        return value

    def _boolean(self, value: str) -> str:
        column, plain = self.column, {"1.0": "1", "0.0": "0"}.get(value, value)
        if plain in column.true or plain == "1":
            return "1"
        if plain in column.false or plain == "0":
            return "0"
        raise WrongValueError(f"not one of {', '.join(dict.fromkeys((*column.true, *column.false)))}")

    def _number(self, value: str) -> str:
        if self._commas and "," in value and _DECIMAL_COMMA.fullmatch(value):
            value = value.replace(",", ".")
        if not _NUMBER.fullmatch(value):
            raise self._unlisted() if self._listed else WrongValueError("not a number")
        number = float(value)
        if self.column.type == "integer":
            value = _whole(value, number)
            if self._listed and value not in self._listed:
                raise self._unlisted()
        low, high = self.column.minimum, self.column.maximum
        if not math.isfinite(number) or not low <= number <= high:
            raise WrongValueError(_outside(low, high))
        return value

    def _unlisted(self) -> WrongValueError:
        return WrongValueError(f"not one of {', '.join(self.column.listed)}")


def _whole(value: str, number: float) -> str:
    """`1.0`, as programs write whole numbers of a column with gaps, as 1."""
    if _WHOLE.fullmatch(value):
        return str(int(value))
    if not math.isfinite(number) or not number.is_integer() or abs(number) >= 2**53:
        raise WrongValueError("not a whole number")
    return str(int(number))


def _outside(low: float, high: float) -> str:
    if math.isinf(low) or math.isinf(high):
        return f"above {high:.15g}" if math.isinf(low) else f"below {low:.15g}"
    return f"outside {low:.15g} to {high:.15g}"


def _date(value: str) -> str:
    found = _DATE.fullmatch(value)
    try:
        return date.fromisoformat(found[1] if found else "").isoformat()
    except ValueError as error:
        raise WrongValueError("not a date such as 2026-03-31") from error
