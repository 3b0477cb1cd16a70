"""Rows -> Parquet, by the schema: a row that breaks it is never written."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from .schema import Kind, Table

_TYPES: dict[Kind, pa.DataType] = {
    "string": pa.string(),
    "int64": pa.int64(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "dateTime": pa.timestamp("ms", tz="UTC"),
}


class BrokenRowError(ValueError):
    """A row that the schema does not allow; a fault of the curation's own."""


def arrow_schema(table: Table) -> pa.Schema:
    """The table's Parquet schema."""
    return pa.schema([pa.field(one.name, _TYPES[one.kind], nullable=one.nullable) for one in table.columns])


def write(table: Table, rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Write a table. Raises BrokenRowError for a wrong column, value, null or doubled key."""
    names = [column.name for column in table.columns]
    seen: set[tuple[Any, ...]] = set()
    for row in rows:
        if set(row) != set(names):
            raise BrokenRowError(
                f"{table.name}: columns {sorted(set(row) ^ set(names))} are missing or unknown"
            )
        for column in table.columns:
            value = row[column.name]
            if value is None and not column.nullable:
                raise BrokenRowError(f"{table.name}.{column.name} is null in {row}")
            if column.values and value is not None and value not in column.values:
                raise BrokenRowError(f"{table.name}.{column.name} is {value!r}, none of {column.values}")
        key = tuple(row[name] for name in table.key)
        if key in seen:
            raise BrokenRowError(f"{table.name}: two rows have the key {key}")
        seen.add(key)
    content = pa.Table.from_pylist(list(rows), schema=arrow_schema(table))
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(content, path, compression="zstd")
