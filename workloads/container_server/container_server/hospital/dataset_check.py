"""The shape of a data file, compared with its description in datasets/. Pure.

Complaints go to the centre in the report: they name columns and line numbers, never a patient's value.
"""

import csv
import io
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

DESCRIPTIONS = Path(__file__).with_name("datasets")
MOST_COMPLAINTS = 5


def description_of(file: str) -> Mapping[str, Any] | None:
    """The description of `<name>.csv`, or None for a file nobody described: it is staged as it is."""
    path = DESCRIPTIONS / f"{Path(file).stem}.json"
    return dict(json.loads(path.read_text())) if file.endswith(".csv") and path.is_file() else None


def check(file: str, content: bytes) -> tuple[int | None, list[str]]:
    """Rows (None when the file has no description) and what is wrong with it; at most MOST_COMPLAINTS."""
    description = description_of(file)
    if description is None:
        return None, []
    try:
        lines = list(csv.reader(io.StringIO(content.decode("utf-8"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        kind = "not UTF-8 text" if isinstance(error, UnicodeDecodeError) else "not a CSV file"
        return 0, [f"{file}: {kind}"]
    if not lines:
        return 0, [f"{file}: empty"]
    header, rows = lines[0], lines[1:]
    complaints = _header_complaints(file, header, description["columns"])
    if not complaints:
        complaints = _row_complaints(file, header, rows, description["columns"])
    if not complaints:
        complaints = _whole_complaints(file, header, rows, description)
    return len(rows), complaints[:MOST_COMPLAINTS]


def _header_complaints(file: str, header: list[str], columns: Mapping[str, Any]) -> list[str]:
    missing = [f"{file}: column {name} is missing" for name in columns if name not in header]
    unknown = sorted(set(header) - set(columns))
    # Not named: a wrong header may hold anything, also a patient's values when the header line is missing.
    return missing + (
        [f"{file}: {len(unknown)} column(s) that the description does not have"] if unknown else []
    )


def _row_complaints(
    file: str, header: list[str], rows: list[list[str]], columns: Mapping[str, Any]
) -> list[str]:
    complaints = []
    for number, row in enumerate(rows, start=2):
        if len(row) != len(header):
            complaints.append(f"{file}: line {number}: {len(row)} fields, expected {len(header)}")
            continue
        for name, value in zip(header, row, strict=True):
            if reason := _value_complaint(value, columns[name]):
                complaints.append(f"{file}: line {number}, column {name}: {reason}")
        if len(complaints) >= MOST_COMPLAINTS:
            break
    return complaints


def _value_complaint(value: str, rule: Mapping[str, Any]) -> str | None:
    if value == "":
        return None if rule.get("may_be_missing") else "empty, but it may not be missing"
    if "values" in rule:
        return None if value in rule["values"] else f"not one of {', '.join(rule['values'])}"
    try:
        number = float(value)
    except ValueError:
        return "not a number"
    if not math.isfinite(number) or not rule["minimum"] <= number <= rule["maximum"]:
        return f"outside {rule['minimum']} to {rule['maximum']}"
    return None


def _whole_complaints(
    file: str, header: list[str], rows: list[list[str]], description: Mapping[str, Any]
) -> list[str]:
    if len(rows) < description["minimum_rows"]:
        return [f"{file}: {len(rows)} rows, at least {description['minimum_rows']} are needed"]
    complaints = []
    for name in description["every_value_of"]:
        present = {row[header.index(name)] for row in rows}
        for value in description["columns"][name]["values"]:
            if value not in present:
                complaints.append(f"{file}: column {name} is never {value}")
    return complaints
