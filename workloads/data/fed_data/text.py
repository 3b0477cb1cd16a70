"""Reads a table as spreadsheets and statistics programs write it, row by row: it may be larger than memory.

What can be understood in one way only is read: a byte-order mark, UTF-16, Windows-1252, `;` or tab between
columns, spaces around names, empty lines at the end, line ends of any kind. Values are left to the caller.
"""

import codecs
import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import final

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}
LONGEST_LINE = 1 << 20
"""Bytes: a table has line ends."""
MOST_EMPTY_LINES = 1000


class UnreadableError(ValueError):
    """The file is no table; the text says why, without quoting it."""


@final
class Text:
    """A file that is a table: `header`, then `rows()` of any length. Raises UnreadableError."""

    def __init__(self, path: Path):
        self.notes: list[str] = []
        """What was cured on the way."""
        self._path = path
        self._encoding = self._find_encoding()
        self.separator = self._find_separator()
        self._lines = self._read()
        header = next(self._lines, None)
        if header is None:
            raise UnreadableError("empty")
        if self.separator != ",":
            self.notes.append(f"columns are separated by {SEPARATORS[self.separator]}")
        self.header: Sequence[str] = [name.strip() for name in header]

    def rows(self) -> Iterator[Sequence[str]]:
        """What comes after the header, once; empty lines only where rows follow them."""
        return self._lines

    def _read(self) -> Iterator[list[str]]:
        with self._path.open(encoding=self._encoding, errors="replace", newline="") as stream:
            reader = csv.reader(stream, delimiter=self.separator, strict=True)
            empty: list[list[str]] = []
            try:
                for line in reader:
                    if (line and line[0]) or any(map(str.strip, line)):
                        if empty:
                            yield from empty
                            empty.clear()
                        yield line
                    elif len(empty) < MOST_EMPTY_LINES:
                        empty.append(line)
                    else:
                        raise UnreadableError(f"more than {MOST_EMPTY_LINES} empty lines")
            except csv.Error as error:
                raise UnreadableError(
                    "not a CSV file (a quotation mark is not closed, or not doubled)"
                ) from error

    def _find_encoding(self) -> str:
        with self._path.open("rb") as stream:
            start = stream.read(4)
            if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                self.notes.append("the file is UTF-16, read as such")
                return "utf-16"
            if marked := start.startswith(codecs.BOM_UTF8):
                self.notes.append("a byte-order mark was removed")
            stream.seek(0)
            decoder, valid = codecs.getincrementaldecoder("utf-8")(), True
            while chunk := stream.read(LONGEST_LINE):
                if b"\0" in chunk:
                    raise UnreadableError("not a text file (is it a spreadsheet? save it as CSV)")
                if len(chunk) == LONGEST_LINE and not (b"\n" in chunk or b"\r" in chunk):
                    raise UnreadableError(f"a line is longer than {LONGEST_LINE} bytes: it is no table")
                valid = valid and _decodes(decoder, chunk)
            valid = valid and _decodes(decoder, b"", final=True)
        if marked:
            return "utf-8-sig"
        if not valid:
            self.notes.append("the file is not UTF-8, read as Windows-1252")
        return "utf-8" if valid else "cp1252"

    def _find_separator(self) -> str:
        with self._path.open(encoding=self._encoding, errors="replace") as stream:
            first = stream.readline(LONGEST_LINE)
        return separator_of(first)


def separator_of(line: str) -> str:
    """The separator that a first line has most of; a comma when it has none."""
    return max(SEPARATORS, key=lambda separator: (line.count(separator), separator == ","))


def _decodes(decoder: codecs.IncrementalDecoder, chunk: bytes, final: bool = False) -> bool:
    try:
        decoder.decode(chunk, final)
    except UnicodeDecodeError:
        return False
    return True
