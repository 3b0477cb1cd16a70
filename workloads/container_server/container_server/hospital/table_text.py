"""Reads a table as spreadsheets and statistics programs write it, and writes it in one plain form. Pure.

What can be understood in one way only is read: a byte-order mark, UTF-16, Windows-1252, `;` or tab between
columns, spaces around values, empty lines at the end, line ends of any kind. Values are left to the caller.
"""

import codecs
import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}


class UnreadableError(ValueError):
    """The file is no table; the text says why, without quoting it."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A header and its rows (of any length) as text; `notes` say what was cured on the way."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    separator: str
    notes: tuple[str, ...] = ()


def read(content: bytes) -> Table:
    """Read a table; raises UnreadableError for what is not text, not CSV or empty."""
    text, notes = _decode(content)
    if "\0" in text:
        raise UnreadableError("not a text file (is it a spreadsheet? save it as CSV)")
    separator = separator_of(text)
    try:
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True))
    except csv.Error as error:
        raise UnreadableError("not a CSV file (a quotation mark is not closed, or not doubled)") from error
    while lines and not any(field.strip() for field in lines[-1]):
        lines.pop()
    if not lines:
        raise UnreadableError("empty")
    if separator != ",":
        notes.append(f"columns are separated by {SEPARATORS[separator]}")
    stripped = [[field.strip() for field in line] for line in lines]
    if stripped != lines:
        notes.append("spaces around names or values were removed")
    return Table(header=stripped[0], rows=stripped[1:], separator=separator, notes=tuple(notes))


def write(header: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    """Write a table in the plain form: UTF-8, commas, one line feed after each line."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode()


def _decode(content: bytes) -> tuple[str, list[str]]:
    if content.startswith(codecs.BOM_UTF8):
        return content[len(codecs.BOM_UTF8) :].decode("utf-8", "replace"), ["a byte-order mark was removed"]
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", "replace"), ["the file is UTF-16, read as such"]
    try:
        return content.decode("utf-8"), []
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace"), ["the file is not UTF-8, read as Windows-1252"]


def separator_of(text: str) -> str:
    """The separator that the first line has most of; a comma when it has none."""
    first = text.partition("\n")[0]
    return max(SEPARATORS, key=lambda separator: (first.count(separator), separator == ","))
