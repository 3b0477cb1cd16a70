"""A data set's schema, read from its `datapackage.json`. Pure.

The form is the field's: a Frictionless Data Package (https://datapackage.org/standard/data-package/) with one
table, whose columns are a Table Schema (https://datapackage.org/standard/table-schema/). Of both, the part
below is understood; a key of the standard that is not among it is refused, because it would be a rule that
nobody keeps. Keys that begin with `fed:` are ours (docs/data-sets.md).
"""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal, final

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

FILE = "datapackage.json"
"""In the folder of a data set."""
LARGEST = 256 * 1024
"""Bytes of a schema."""

Type = Literal["integer", "number", "string", "boolean", "date"]
_NUMBERS = ("integer", "number")


class SchemaError(ValueError):
    """A schema that is not in its form; the message names the key."""


@final
@dataclass(frozen=True, kw_only=True)
class Column:
    """A column, as a file has it in its plain form."""

    name: str
    type: Type
    title: str
    unit: str
    required: bool
    """Whether no value may be missing."""
    minimum: float
    maximum: float
    listed: tuple[str, ...]
    """The only values that there may be, as text; empty where any may be."""
    labels: Mapping[str, str]
    """Value -> what it means, where the schema says so."""
    true: tuple[str, ...]
    false: tuple[str, ...]
    """How a boolean may be written; its plain forms are 1 and 0."""

    @property
    def possible(self) -> tuple[str, ...]:
        """Every value that may be, where they can be counted."""
        return ("0", "1") if self.type == "boolean" else self.listed


@final
@dataclass(frozen=True, kw_only=True)
class DataSet:
    """A table that hospitals have, one patient a row."""

    name: str
    version: str
    title: str
    columns: tuple[Column, ...]
    missing: frozenset[str]
    """Texts that stand for a missing value."""
    minimum_rows: int
    every_value_of: tuple[str, ...]
    """Columns of which each possible value has to be there."""
    each_group_of: Mapping[str, tuple[str, ...]]
    """Column that divides the rows -> outcomes of which each part should have every value."""
    sha256: str
    """Of the schema, however its JSON is laid out: what a hospital approves."""

    @property
    def file(self) -> str:
        """The name of a hospital's file in its plain form."""
        return f"{self.name}.csv"

    @cached_property
    def by_name(self) -> Mapping[str, Column]:
        """The columns by their names."""
        return {column.name: column for column in self.columns}


def read(content: bytes) -> DataSet:
    """Read a `datapackage.json`. Raises SchemaError."""
    if len(content) > LARGEST:
        raise SchemaError(f"larger than {LARGEST} bytes")
    try:
        package = _Package.model_validate(json.loads(content))
    except ValidationError as error:
        raise SchemaError("; ".join(map(_said, error.errors()[:3]))) from error
    except (ValueError, RecursionError) as error:
        raise SchemaError(f"not JSON: {str(error)[:100]}") from error
    table = package.resources[0].table
    return DataSet(
        name=package.name,
        version=package.version,
        title=package.title,
        columns=tuple(map(_column, table.fields)),
        missing=frozenset(table.missing),
        minimum_rows=table.minimum_rows,
        every_value_of=tuple(table.every_value_of),
        each_group_of={by: tuple(outcomes) for by, outcomes in table.each_group_of.items()},
        sha256=checksum(json.loads(content)),
    )


def checksum(package: Any) -> str:
    """SHA-256 of a schema's content: spaces and the order of keys do not count."""
    plain = json.dumps(package, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(plain.encode()).hexdigest()


def _said(error: Any) -> str:
    place = ".".join(map(str, error["loc"]))
    return f"{place or 'the whole'}: {error['msg'].removeprefix('Value error, ')}"


def _column(field: "_Field") -> Column:
    rules = field.constraints
    bounds = [-math.inf if rules.minimum is None else rules.minimum]
    bounds.append(math.inf if rules.maximum is None else rules.maximum)
    return Column(
        name=field.name,
        type=field.type,
        title=field.title or field.name,
        unit=field.unit,
        required=rules.required,
        minimum=bounds[0],
        maximum=bounds[1],
        listed=tuple(map(str, field.listed)),
        labels={str(one.value): one.label for one in field.categories if isinstance(one, _Category)},
        true=tuple(field.true),
        false=tuple(field.false),
    )


# The standard's form. Field names are those of the standard where Python allows them.

Text = Annotated[str, Field(max_length=2000)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,40}$")]
Value = Annotated[str, Field(min_length=1, max_length=100)] | Annotated[int, Field(strict=True)]
_COLUMN = re.compile(r"""[^\s=,;"'{}\x00-\x1f][^=,;"'{}\x00-\x1f]{0,59}""")
_NO_COLUMN = "a column's name is 1 to 60 characters without = , ; quotation marks or braces"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Category(_Part):
    value: Value
    label: Text = ""


class _Constraints(_Part):
    required: bool = False
    minimum: Annotated[float, Field(allow_inf_nan=False)] | None = None
    maximum: Annotated[float, Field(allow_inf_nan=False)] | None = None
    enum: tuple[Value, ...] = ()


class _Field(_Part):
    name: str
    type: Type
    title: Text = ""
    description: Text = ""
    example: Any = None
    format: Literal["default"] = "default"
    constraints: _Constraints = _Constraints()
    categories: tuple[_Category | Value, ...] = ()
    true: tuple[str, ...] = Field(("true", "True", "TRUE", "1"), alias="trueValues")
    false: tuple[str, ...] = Field(("false", "False", "FALSE", "0"), alias="falseValues")
    unit: Text = Field("", alias="fed:unit")

    @property
    def listed(self) -> tuple[str | int, ...]:
        """What `enum` or, for numbers and texts with meanings, `categories` lists."""
        return self.constraints.enum or tuple(
            one.value if isinstance(one, _Category) else one for one in self.categories
        )

    @model_validator(mode="after")
    def _is_one(self) -> "_Field":
        rules = self.constraints
        if not _COLUMN.fullmatch(self.name):
            raise ValueError(_NO_COLUMN)
        if self.type not in _NUMBERS and (rules.minimum, rules.maximum) != (None, None):
            raise ValueError(f"minimum and maximum are for {' and '.join(_NUMBERS)}, not for {self.type}")
        if rules.minimum is not None and rules.maximum is not None and rules.minimum > rules.maximum:
            raise ValueError("minimum is above maximum")
        if rules.enum and self.categories:
            raise ValueError("enum and categories list the same: keep one")
        if self.listed and self.type not in ("integer", "string"):
            raise ValueError(f"enum and categories are for integer and string, not for {self.type}")
        wanted = int if self.type == "integer" else str
        if any(not isinstance(one, wanted) for one in self.listed):
            raise ValueError(f"a value of enum or categories is not of the type {self.type}")
        return self


class _Schema(_Part):
    schema_: Text = Field("", alias="$schema")
    fields: tuple[_Field, ...] = Field(min_length=1, max_length=1000)
    # Columns may be in any order; another one is a difference.
    match: Literal["equal"] = Field("equal", alias="fieldsMatch")
    missing: tuple[Annotated[str, Field(max_length=20)], ...] = Field(("",), alias="missingValues")
    minimum_rows: int = Field(1, ge=1, alias="fed:minimumRows")
    every_value_of: tuple[str, ...] = Field((), alias="fed:everyValueOf")
    each_group_of: dict[str, tuple[str, ...]] = Field({}, alias="fed:eachGroupOf")

    @model_validator(mode="after")
    def _fits(self) -> "_Schema":
        names = [field.name for field in self.fields]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"the column {twice[0]} is there twice")
        counted = {field.name for field in self.fields if field.listed or field.type == "boolean"}
        groups = {*self.each_group_of, *(name for names in self.each_group_of.values() for name in names)}
        if other := sorted({*self.every_value_of, *groups} - counted):
            raise ValueError(
                f"fed:everyValueOf and fed:eachGroupOf need columns with listed values; {other[0]} has none"
            )
        return self


class _Resource(_Part):
    name: Name
    path: str
    title: Text = ""
    description: Text = ""
    type: Literal["table"] = "table"
    profile: Literal["tabular-data-resource"] = "tabular-data-resource"
    format: Literal["csv"] = "csv"
    mediatype: Literal["text/csv"] = "text/csv"
    encoding: Literal["utf-8"] = "utf-8"
    table: _Schema = Field(alias="schema")


class _Package(_Part):
    schema_: Text = Field("", alias="$schema")
    name: Name
    title: Annotated[str, Field(min_length=1, max_length=200)]
    description: Text = ""
    version: str = Field(pattern=r"^[0-9]+(\.[0-9]+){0,2}$")
    homepage: Text = ""
    created: Text = ""
    keywords: tuple[Text, ...] = ()
    licenses: tuple[dict[str, Text], ...] = ()
    sources: tuple[dict[str, Text], ...] = ()
    contributors: tuple[dict[str, Text], ...] = ()
    resources: tuple[_Resource, ...] = Field(min_length=1, max_length=1)

    @model_validator(mode="after")
    def _is_one_table(self) -> "_Package":
        if self.resources[0].path != f"{self.name}.csv":
            raise ValueError(f"the table's path has to be {self.name}.csv, as hospitals name their file")
        return self
