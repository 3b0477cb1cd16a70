"""A data file compared with its description in datasets/, and what of it the client gets. Pure.

Complaints and notes go to the centre in the report: they name columns and line numbers, never a patient's
value.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .table_text import Table, UnreadableError, read, write

DESCRIPTIONS = Path(__file__).with_name("datasets")
MOST_COMPLAINTS = 5
MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?", "-", "."})
"""What programs write for a value that is missing, in lower case."""

_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_DECIMAL_COMMA = re.compile(r"[+-]?[0-9]+,[0-9]+")


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What a file is found to be."""

    rows: int | None
    """Counted also where no data set has the file's name; None for what is no table."""
    complaints: tuple[str, ...] = ()
    """Why it is refused, at most MOST_COMPLAINTS."""
    notes: tuple[str, ...] = ()
    """What was read otherwise than it is written, and what a person should know although it is taken."""
    content: bytes = b""
    """What the client gets: the table in its one plain form, its columns in the description's order."""


def description_of(file: str) -> Mapping[str, Any] | None:
    """The description of `<name>.csv`, or None for a file nobody described: it is staged as it is."""
    path = DESCRIPTIONS / f"{Path(file).stem}.json"
    return dict(json.loads(path.read_text())) if file.endswith(".csv") and path.is_file() else None


def check(file: str, content: bytes) -> Checked:
    """Compare a file, by its name and content, with the description of its data set."""
    description = description_of(file)
    if description is None:
        return Checked(rows=_rows_of_any(file, content), notes=(_no_such_data_set(file),), content=content)
    try:
        table = read(content)
    except UnreadableError as error:
        return Checked(rows=0, complaints=(f"{file}: {error}",))
    columns = description["columns"]
    found = _header_complaints(table.header, columns)
    rows: list[dict[str, str]] = []
    if not found:
        rows, found = _rows(table, columns)
    if not found:
        found = _whole_complaints(rows, description)
    if found:
        said = tuple(f"{file}: {complaint}" for complaint in found[:MOST_COMPLAINTS])
        return Checked(rows=len(table.rows), complaints=said)
    notes = (*table.notes, *_group_notes(rows, description))
    return Checked(
        rows=len(rows),
        notes=tuple(f"{file}: {note}" for note in notes),
        content=write(list(columns), ([row[name] for name in columns] for row in rows)),
    )


def _rows_of_any(file: str, content: bytes) -> int | None:
    """Rows of a CSV file that nobody described; None for whatever else it is."""
    if not file.endswith(".csv"):
        return None
    try:
        return len(read(content).rows)
    except UnreadableError:
        return None


def _no_such_data_set(file: str) -> str:
    known = ", ".join(sorted(f"{path.stem}.csv" for path in DESCRIPTIONS.glob("*.json")))
    return f"{file}: no data set has this name, so it is not checked (there is {known})"


def _header_complaints(header: Sequence[str], columns: Mapping[str, Any]) -> list[str]:
    missing = [f"column {name} is missing" for name in columns if name not in header]
    twice = [
        f"column {name} is there {header.count(name)} times" for name in columns if header.count(name) > 1
    ]
    # Not named: a wrong header may hold anything, also a patient's values when the header line is missing.
    unknown = len(set(header) - set(columns))
    return missing + twice + ([f"{unknown} column(s) that the description does not have"] if unknown else [])


def _rows(table: Table, columns: Mapping[str, Any]) -> tuple[list[dict[str, str]], list[str]]:
    """Return the rows with each value in its plain form, and what is wrong with them (then few rows)."""
    rows, complaints = [], []
    for number, line in enumerate(table.rows, start=2):
        if len(line) != len(table.header):
            complaints.append(f"line {number}: {len(line)} fields, expected {len(table.header)}")
        else:
            row = dict(zip(table.header, (_plain(value, table.separator) for value in line), strict=True))
            rows.append({name: _as_listed(value, columns[name]) for name, value in row.items()})
            complaints += [
                f"line {number}, column {name}: {reason}"
                for name, value in rows[-1].items()
                if (reason := _value_complaint(value, columns[name]))
            ]
        if len(complaints) >= MOST_COMPLAINTS:
            break
    return rows, complaints


def _plain(value: str, separator: str) -> str:
    """A missing value as nothing; a decimal comma as a point, where commas do not separate the columns."""
    if value.lower() in MISSING:
        return ""
    return value.replace(",", ".") if separator != "," and _DECIMAL_COMMA.fullmatch(value) else value


def _as_listed(value: str, rule: Mapping[str, Any]) -> str:
    """`1.0`, as programs write whole numbers of a column with gaps, as the `1` that the description lists."""
    listed: Sequence[str] = rule.get("values", ())
    if value in listed or not _NUMBER.fullmatch(value):
        return value
    number = float(value)
    same = [each for each in listed if _NUMBER.fullmatch(each) and float(each) == number]
    return same[0] if same else value


def _value_complaint(value: str, rule: Mapping[str, Any]) -> str | None:
    if value == "":
        return None if rule.get("may_be_missing") else "empty, but it may not be missing"
    if "values" in rule:
        return None if value in rule["values"] else f"not one of {', '.join(rule['values'])}"
    if not _NUMBER.fullmatch(value):
        return "not a number"
    number = float(value)
    if not math.isfinite(number) or not rule["minimum"] <= number <= rule["maximum"]:
        return f"outside {rule['minimum']} to {rule['maximum']}"
    return None


def _whole_complaints(rows: Sequence[Mapping[str, str]], description: Mapping[str, Any]) -> list[str]:
    if len(rows) < description["minimum_rows"]:
        return [f"{len(rows)} rows, at least {description['minimum_rows']} are needed"]
    return [
        f"column {name} is never {value}"
        for name in description["every_value_of"]
        for value in _absent(rows, name, description)
    ]


def _group_notes(rows: Sequence[Mapping[str, str]], description: Mapping[str, Any]) -> list[str]:
    """What a person should know of rows that a model is trained or measured on, although they are taken."""
    columns = description["columns"]
    groups = [(by, group) for by in description.get("each_group_of", {}) for group in columns[by]["values"]]
    absent = [
        f"no {group} row has {outcome} {value}: what compares the two cannot be computed here"
        for by, group in groups
        for outcome in description["each_group_of"][by]
        for value in _absent([row for row in rows if row[by] == group], outcome, description)
    ]
    return absent + [f"column {name} has one value only" for name in columns if _is_constant(rows, name)]


def _is_constant(rows: Sequence[Mapping[str, str]], name: str) -> bool:
    return len({row[name] for row in rows}) == 1


def _absent(rows: Sequence[Mapping[str, str]], name: str, description: Mapping[str, Any]) -> list[str]:
    """Return the listed values of a column that no row has."""
    present = {row[name] for row in rows}
    return [value for value in description["columns"][name]["values"] if value not in present]
