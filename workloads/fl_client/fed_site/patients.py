"""The hospital's own files, as the airlock reads them: how many patients, which version, which columns.

The folder is mounted read-only: what a job states about its patients is compared with this.
"""

import csv
import hashlib
import math
import os
from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def own_files() -> "OwnFiles":
    """Those of this container."""
    return OwnFiles(Path(os.environ.get("FED_DATA", "/data")))


@final
class OwnFiles:
    """Files of a folder, the agreed ones (file -> columns) or all; each CSV file has a header and one patient
    a row.
    """

    def __init__(self, folder: Path, agreed: Mapping[str, Collection[str]] | None = None):
        self._folder = folder
        self._agreed = agreed

    def of(self, agreed: Mapping[str, Collection[str]]) -> "OwnFiles":
        """Files and columns that a job's manifest names; all where it names none."""
        return OwnFiles(self._folder, agreed)

    @cached_property
    def patients(self) -> int:
        """Rows of the longest CSV file; 0 without one."""
        return max((sum(1 for _ in _rows(path)) - 1 for path in self._csv_files()), default=0)

    @cached_property
    def sha256(self) -> str:
        """Of the only file, or of the names and checksums of several."""
        sums = {path.name: _sha256(path) for path in self._files("*")}
        if len(sums) == 1:
            return next(iter(sums.values()))
        return hashlib.sha256("".join(f"{name} {each}\n" for name, each in sums.items()).encode()).hexdigest()

    def rows(self, file: str) -> Iterator[str]:
        """Each row of a CSV file as one text, its file and columns with it."""
        rows = _rows(self._folder / file)
        header = next(rows, [])
        return ("\0".join((file, *header, *row)) for row in rows)

    def readings(self, feature: str) -> list[tuple[str, list[Array]]]:
        """Each file that has the column, with each way to read a feature of that name as its values.

        `column`: its numbers without the missing, or (where all are 0 or 1) with the missing as 0;
        `column=value`: 1 where the column is that number, else 0; `column missing`: 1 where it is empty.
        """
        found = [(path.name, list(self._readings(path, feature))) for path in self._csv_files()]
        return [(file, ways) for file, ways in found if ways]

    def reading(self, feature: str, *, missing_is_0: bool) -> Array | None:
        """One of those ways, in the first file that has the column; None where none has it.

        A column that happens to hold 0 and 1 alone is read with the missing as 0 only where that is asked.
        """
        for _, ways in self.readings(feature):
            return ways[-1] if missing_is_0 else ways[0]
        return None

    def _readings(self, path: Path, feature: str) -> Iterator[Array]:
        columns = self._columns(path)
        name, equals, value = feature.rpartition("=")
        if feature in columns:
            values = columns[feature]
            present = values[~np.isnan(values)]
            yield present
            if present.size and np.isin(present, (0.0, 1.0)).all():
                yield np.nan_to_num(values)
        elif equals and name in columns and value.isdecimal():
            yield (columns[name] == float(value)).astype(float)
        elif feature.endswith(" missing") and feature.removesuffix(" missing") in columns:
            yield np.isnan(columns[feature.removesuffix(" missing")]).astype(float)

    def _columns(self, path: Path) -> dict[str, Array]:
        if path not in self._parsed:
            header, *rows = list(_rows(path)) or [[]]
            self._parsed[path] = {
                name: np.array([_number(row[place]) if place < len(row) else math.nan for row in rows])
                for place, name in enumerate(header)
                if not self._agreed or name in self._agreed[path.name]
            }
        return self._parsed[path]

    @cached_property
    def _parsed(self) -> dict[Path, dict[str, Array]]:
        return {}

    def _csv_files(self) -> list[Path]:
        return self._files("*.csv")

    def _files(self, pattern: str) -> list[Path]:
        found = sorted(path for path in self._folder.glob(pattern) if path.is_file())
        return [path for path in found if not self._agreed or path.name in self._agreed]


def _rows(path: Path) -> Iterator[list[str]]:
    with path.open(newline="", encoding="utf-8", errors="replace") as stream:
        yield from (row for row in csv.reader(stream) if row)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
