"""Data sets for tests."""

import json
from collections.abc import Sequence
from typing import Any

from fed_data import schema
from fed_data.schema import DataSet


def package(*fields: dict[str, Any], name: str = "any", missing: Sequence[str] = ("",), **rules: Any) -> Any:
    """A `datapackage.json` with these columns; rules are keys of its table schema."""
    table = {"fields": list(fields), "missingValues": list(missing), **rules}
    resource = {"name": name, "path": f"{name}.csv", "schema": table}
    return {"name": name, "title": "Any patients", "version": "1.0", "resources": [resource]}


def data_set(*fields: dict[str, Any], **rules: Any) -> DataSet:
    """The data set with these columns."""
    return schema.read(json.dumps(package(*fields, **rules)).encode())
