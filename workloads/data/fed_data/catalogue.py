"""The data sets that there are, and which one a file is of."""

from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath
from typing import final

from . import schema
from .schema import DataSet
from .text import Text, UnreadableError

RELEASED = Path(__file__).parents[1]
"""A folder for each data set: `workloads/data` in a clone, what is copied of it in an image."""
ENDINGS = (".csv", ".parquet")


@final
class Catalogue:
    """Data sets by name; of two with one name the later one counts."""

    def __init__(self, data_sets: Iterable[DataSet]):
        self._by_name = {one.name: one for one in data_sets}

    @classmethod
    def released(cls) -> "Catalogue":
        """Those that come with this release. Raises SchemaError for a fault of the release's own."""
        return cls(schema.read(path.read_bytes()) for path in sorted(RELEASED.glob(f"*/{schema.FILE}")))

    def __iter__(self) -> Iterator[DataSet]:
        return iter(self._by_name.values())

    def named(self, name: str) -> DataSet | None:
        """The data set of a name."""
        return self._by_name.get(name)

    def of(self, file: str) -> DataSet | None:
        """The data set that a file belongs to by its name (`heart.csv`, `heart.parquet`)."""
        path = PurePath(file)
        return self.named(path.stem) if path.suffix in ENDINGS else None

    def stranger(self, file: str, content: Path) -> str:
        """What to say of a file of none of them."""
        files = ", ".join(sorted(one.file for one in self)) or "none"
        said = f"{file}: no data set has this name, so it is not checked (there is {files})"
        same = [one.file for one in self if set(one.by_name) == set(_header(file, content))]
        return f"{said}; its columns are those of {same[0]}: is it meant to have that name?" if same else said


def rows_of_any(file: str, content: Path) -> int | None:
    """Rows of a CSV file that no schema describes; None for whatever else it is."""
    if not file.endswith(".csv"):
        return None
    try:
        return sum(1 for _ in Text(content).rows())
    except UnreadableError:
        return None


def _header(file: str, content: Path) -> Iterable[str]:
    if not file.endswith(".csv"):
        return ()
    try:
        return Text(content).header
    except UnreadableError:
        return ()
