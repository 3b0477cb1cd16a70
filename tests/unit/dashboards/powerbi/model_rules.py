"""Our own rules for models: what no tool of Microsoft's looks at, and Power BI would show or refuse.

A model is JSON, as `gates.read_models` returns it. Each rule yields what is wrong, in words.
"""

import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Final

from tests.unit.dashboards.powerbi.gates import Model, text
from workloads.curation.schema import TABLES, Column

MEASURES: Final = "Measures"
READERS: Final = "Readers"

_COLUMN: Final = re.compile(r"\b([A-Za-z_]\w*)\[([^\]]+)\]")
_MEASURE: Final = re.compile(r"(?<![\w'])\[([^\]]+)\]")
_AMONG = re.compile(r"(\w+)\[(\w+)\] IN \{([^}]*)\}")
_COMPARED: Final = re.compile(r"\b([A-Za-z_]\w*)\[(\w+)\]\s*(?:=|<>)\s*\"([^\"]*)\"")
_ADDRESS: Final = re.compile(r"https?://|[0-9a-f]{8}-[0-9a-f]{4}-|[\w.]+@[\w.]+\.\w+")


def model_faults(model: Model) -> Iterator[str]:
    """Everything that is wrong with a model."""
    tables = {table["name"]: table for table in model["tables"]}
    yield from _shape(model)
    yield from _tables_are_the_curated_ones(tables)
    for table in tables.values():
        yield from _table(table)
    yield from _measures(tables)
    yield from _relationships(model, tables)
    yield from _readers(model)


def _shape(model: Model) -> Iterator[str]:
    if model.get("discourageImplicitMeasures") is not True:
        yield "model: without discourageImplicitMeasures people add up what must not be added up"
    annotations = {one["name"]: one["value"] for one in model.get("annotations", ())}
    if annotations.get("__PBI_TimeIntelligenceEnabled") != "0":
        yield "model: hidden date tables are on (__PBI_TimeIntelligenceEnabled)"
    if model.get("defaultPowerBIDataSourceVersion") != "powerBI_V3":
        yield "model: defaultPowerBIDataSourceVersion must be powerBI_V3 for an import model"
    for expression in model.get("expressions", ()):
        if "IsParameterQuery=true" not in text(expression["expression"]):
            yield f"expression {expression['name']}: it is no parameter; queries stand in their partitions"


def _tables_are_the_curated_ones(tables: Mapping[str, Model]) -> Iterator[str]:
    """Names, order and types of columns equal the schema of the files."""
    for name in sorted({*TABLES, MEASURES} ^ set(tables)):
        yield f"table {name}: it is {'no curated table' if name in tables else 'missing'}"
    for name in set(TABLES) & set(tables):
        stated = [(column.name, column.kind) for column in TABLES[name].columns]
        found = [(column["name"], column["dataType"]) for column in tables[name].get("columns", ())]
        for wanted, got in itertools.zip_longest(stated, found):
            if wanted != got:
                yield f"table {name}: the schema says {wanted}, the model has {got}"


def _table(table: Model) -> Iterator[str]:
    name = table["name"]
    if not table.get("description"):
        yield f"table {name}: it has no description"
    for column in table.get("columns", ()):
        where = f"{name}[{column['name']}]"
        if not column.get("description"):
            yield f"{where}: it has no description"
        if column.get("sourceColumn") != column["name"]:
            yield f"{where}: its sourceColumn is {column.get('sourceColumn')}"
        if column.get("summarizeBy") != "none":
            yield f"{where}: it would be added up (summarizeBy)"
        if column["dataType"] in {"int64", "double", "dateTime"} and not column.get("formatString"):
            yield f"{where}: it has no formatString"
        if column["name"].endswith("_key") and not column.get("isHidden"):
            yield f"{where}: a key is not for people (isHidden)"
    if [partition["name"] for partition in table["partitions"]] != [name]:
        yield f"table {name}: it has one partition, of the same name"
    for partition in table["partitions"]:
        yield from _query(name, text(partition["source"]["expression"]))


def _query(table: str, query: str) -> Iterator[str]:
    if _ADDRESS.search(query):
        yield f"table {table}: an address, id or mail address is in its query; parameters hold these"
    source = (
        f'AzureStorage.BlobContents(StorageAccountUrl & "/" & ContainerName & "/curated/{table}.parquet")'
    )
    if table != MEASURES and source not in query:
        yield f"table {table}: its query must read {source}: the service refreshes from no computed address"


def _measures(tables: Mapping[str, Model]) -> Iterator[str]:
    columns = {(table, column["name"]) for table in tables for column in tables[table].get("columns", ())}
    measures = {one["name"]: one for table in tables.values() for one in table.get("measures", ())}
    for name, measure in measures.items():
        dax = text(measure["expression"])
        if not measure.get("formatString"):
            yield f"measure {name}: it has no formatString"
        if not measure.get("description"):
            yield f"measure {name}: it has no description"
        if "/" in re.sub(r'"[^"]*"', "", dax):
            yield f"measure {name}: DIVIDE instead of /, which fails where nothing is there"
        yield from _references(f"measure {name}", dax, columns, set(measures))
    for table in tables.values():
        own = {column["name"].lower() for column in table.get("columns", ())}
        for measure in table.get("measures", ()):
            if measure["name"].lower() in own:
                yield f"measure {measure['name']}: Power BI refuses it next to a column of that name"


def _references(where: str, dax: str, columns: set[tuple[str, str]], measures: set[str]) -> Iterator[str]:
    """Columns are written with their table and exist; measures without; values are ones a column can have."""
    for table, column in _COLUMN.findall(dax):
        if (table, column) not in columns:
            yield f"{where}: there is no {table}[{column}]"
    for name in _MEASURE.findall(dax):
        if name not in measures:
            yield f"{where}: there is no measure [{name}]; columns are written with their table"
    listed = [
        (table, column, value)
        for table, column, values in _AMONG.findall(dax)
        for value in re.findall(r'"([^"]*)"', values)
    ]
    for table, column, value in (*_COMPARED.findall(dax), *listed):
        known = _values(table, column)
        if known and value not in known:
            yield f"{where}: {table}[{column}] is never {value!r}"


def _values(table: str, column: str) -> tuple[str, ...]:
    found: Column | None = next((one for one in TABLES[table].columns if one.name == column), None)
    return found.values if found else ()


def _relationships(model: Model, tables: Mapping[str, Model]) -> Iterator[str]:
    types = {
        (name, column["name"]): column["dataType"]
        for name, table in tables.items()
        for column in table.get("columns", ())
    }
    found = set()
    for one in model.get("relationships", ()):
        ends = (one["fromTable"], one["fromColumn"]), (one["toTable"], one["toColumn"])
        found.add(ends)
        where = f"relationship {one['name']}"
        if types[ends[0]] != types[ends[1]]:
            yield f"{where}: it joins {types[ends[0]]} with {types[ends[1]]}"
        if one.get("crossFilteringBehavior", "oneDirection") != "oneDirection":
            yield f"{where}: it filters both ways, past row-level security"
        if one.get("toCardinality", "one") != "one":
            yield f"{where}: it is many to many"
    for table in TABLES.values():
        for column, dimension in table.refers_to.items():
            if ((table.name, column), (dimension, column)) not in found:
                yield f"table {table.name}: {column} is not related to {dimension}"


def _readers(model: Model) -> Iterator[str]:
    """The second lock: a reader of a dashboard sees shared rows and its party's own, whatever was written."""
    roles = {role["name"]: role for role in model.get("roles", ())}
    if set(roles) != {READERS}:
        yield f"roles: there must be one, {READERS}; found {', '.join(sorted(roles)) or 'none'}"
        return
    filters = {
        one["name"]: text(one["filterExpression"]) for one in roles[READERS].get("tablePermissions", ())
    }
    for table in TABLES.values():
        if any(column.name == "is_shared" for column in table.columns):
            wanted = f"{table.name}[is_shared] || {table.name}[site_key] IN VALUES ( access[site_key] )"
            if filters.get(table.name) != wanted:
                yield f"role {READERS}: {table.name} must be filtered by {wanted}"
    access = next((table for table in model["tables"] if table["name"] == "access"), None)
    if access and "each [principal] = Party" not in text(access["partitions"][0]["source"]["expression"]):
        yield "table access: it must hold the rows of Party alone"
