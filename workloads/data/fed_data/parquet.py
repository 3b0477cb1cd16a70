"""A Parquet file as CSV, in a process of its own: `python -m fed_data.parquet FROM TO`.

What decodes it is a large library in C++ and the file is not ours: it may end that process, and no other.
Rows are read a batch at a time, so memory does not grow with the file.
"""

import subprocess
import sys
from pathlib import Path

from .text import UnreadableError

BATCH_ROWS = 20_000
_NO_PARQUET = 3
"""Exit code."""


def to_csv(source: Path, target: Path) -> None:
    """Write the rows of a Parquet file as CSV. Raises UnreadableError."""
    root = Path(__file__).parents[1]
    done = subprocess.run(  # noqa: S603 - this file
        [sys.executable, "-P", "-c", f"import sys; sys.path.insert(0, {str(root)!r}); "
         "from fed_data.parquet import main; main()", str(source), str(target)],
        capture_output=True,
        check=False,
    )  # fmt: skip
    if done.returncode == _NO_PARQUET:
        raise UnreadableError("not a Parquet file, or one with columns that are no plain values")
    if done.returncode != 0:
        raise UnreadableError(f"the Parquet file could not be read (exit code {done.returncode})")


def main() -> None:
    """Convert; exit code 3 for what is no table in Parquet."""
    import pyarrow as pa  # noqa: PLC0415 - 60 MB of memory for those who need it
    import pyarrow.csv  # noqa: PLC0415
    import pyarrow.parquet  # noqa: PLC0415

    source, target = sys.argv[1:3]
    try:
        with pa.parquet.ParquetFile(source) as file:
            schema = pa.schema([pa.field(name, pa.string()) for name in file.schema_arrow.names])
            with pa.csv.CSVWriter(target, schema) as writer:
                for batch in file.iter_batches(batch_size=BATCH_ROWS):
                    columns = [column.cast(pa.string()) for column in batch.columns]
                    writer.write_batch(pa.record_batch(columns, schema=schema))
    except pa.ArrowException:
        sys.exit(_NO_PARQUET)
