"""What a box sees of the hospital's data: the files and columns that its job's manifest names.

Written again for each run, after the box before has ended, into a folder that the box alone mounts,
read-only; gone with the box.
"""

import csv
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, final

from fed_data.text import separator_of

from container_server.files import empty

Agreed = Mapping[str, Sequence[str]]
"""File -> columns. A file that is no `.csv` has none that could be told apart: named, it is given whole."""
UNFINISHED: Final = ".new"
"""Ends the name of a file that is being checked (staging.py)."""
_READABLE: Final = 0o640
"""By the box's user, who is in this service's group."""


class NoInputError(Exception):
    """Data that cannot be given to a box; the text names the file and no value of it."""


@final
class BoxInput:
    """Fills and empties the folder `input` from the folder `data`."""

    def __init__(self, data: Path, folder: Path):
        self._data = data
        self._folder = folder

    def fill(self, agreed: Agreed) -> None:
        """Write what was agreed; a file or column that is not here is left out. Raises NoInputError."""
        empty(self._folder)
        for path in sorted(self._data.iterdir()):
            if path.name in agreed and path.is_file() and path.suffix != UNFINISHED:
                self._give(path, agreed[path.name])

    def clear(self) -> None:
        """Remove what the last box saw."""
        empty(self._folder)

    def _give(self, path: Path, columns: Sequence[str]) -> None:
        target = self._folder / path.name
        try:
            if path.suffix == ".csv":
                _cut(path, target, columns)
            else:
                shutil.copyfile(path, target)
        except (csv.Error, OSError) as error:
            raise NoInputError(f"{path.name} cannot be given to the box: {type(error).__name__}") from error
        target.chmod(_READABLE)


def _cut(source: Path, target: Path, columns: Sequence[str]) -> None:
    """Copy the named columns of a table, a line at a time, with the separator that it has."""
    with source.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as stream:
        separator = separator_of(stream.readline())
        stream.seek(0)
        rows = csv.reader(stream, delimiter=separator)
        header = next(rows, [])
        places = [place for place, name in enumerate(header) if name in columns]
        with target.open("w", encoding="utf-8", errors="surrogateescape", newline="") as cut:
            writer = csv.writer(cut, delimiter=separator, lineterminator="\n")
            writer.writerow(header[place] for place in places)
            writer.writerows([row[at] if at < len(row) else "" for at in places] for row in rows if row)
