"""The semantic model of a dashboard, as TMDL: one text a file of its `definition` folder.

Tables and columns are the curated tables' own, under the same names; the table `Measures` is the model's.
https://learn.microsoft.com/analysis-services/tmdl/tmdl-overview
"""

from collections.abc import Iterator, Sequence
from typing import Final

from dashboards.powerbi.description import CELL_POSITION, OWN_MEASURES, Audience, Measure, measures
from workloads.curation.schema import TABLES, Column, Table

COMPATIBILITY_LEVEL: Final = 1702
MEASURES: Final = "Measures"

#: What a table's measures are called together, for people.
_FOLDERS: Final = {
    "dim_site": "Hospitals",
    "dim_run": "Jobs",
    "fact_statistics": "Statistics",
    "fact_histogram": "Distributions",
    "fact_metric": "Models",
    "fact_curve": "Curves",
}
#: Column -> the column by which it is sorted. Only where a label has one position (Power BI refuses others).
_SORTED_BY: Final = {
    ("dim_site", "site_label"): "sort_order",
    ("dim_feature", "feature_label"): "sort_order",
    ("dim_run", "run_label"): "started_at",
}
_FORMATS: Final = {"int64": "0", "double": "0.0##", "dateTime": "d MMM yyyy HH:mm"}
_M_TYPES: Final = {
    "string": "type text",
    "int64": "Int64.Type",
    "double": "type number",
    "boolean": "type logical",
    "dateTime": "type datetime",
}
_READERS: Final = "Readers"


def files(audience: Audience) -> dict[str, str]:
    """Path below `definition` -> text."""
    return {
        "database.tmdl": _text(["database", f"\tcompatibilityLevel: {COMPATIBILITY_LEVEL}"]),
        "model.tmdl": _text(_model([*TABLES, MEASURES])),
        "expressions.tmdl": _text(_parameters(audience)),
        "relationships.tmdl": _text(_relationships()),
        **{f"tables/{table.name}.tmdl": _text(_table(table)) for table in TABLES.values()},
        f"tables/{MEASURES}.tmdl": _text(_measures([*measures(audience).values(), *OWN_MEASURES])),
        f"roles/{_READERS}.tmdl": _text(_role()),
    }


def _model(tables: Sequence[str]) -> Iterator[str]:
    yield from (
        "model Model",
        "\tculture: en-US",
        "\tdefaultPowerBIDataSourceVersion: powerBI_V3",
        "\tdiscourageImplicitMeasures",
        "\tsourceQueryCulture: en-US",
        "",
        "annotation __PBI_TimeIntelligenceEnabled = 0",
        "",
    )
    yield from (f"ref table {table}" for table in tables)
    yield from ("", f"ref role {_READERS}")


def _parameters(audience: Audience) -> Iterator[str]:
    container, party = ("server", "centre") if audience == "centre" else ("client-<hospital>", "<hospital>")
    for name, value, description in (
        (
            "StorageAccountUrl",
            "https://<account>.blob.core.windows.net",
            "Blob endpoint of the centre's storage",
        ),
        ("ContainerName", container, "Container whose curated/ folder holds the tables"),
        ("Party", party, "Whose readers these are: the rows of `access` that count"),
    ):
        yield f"/// {description}; `./fed dashboards publish` sets it."
        yield (
            f'expression {name} = "{value}" '
            'meta [IsParameterQuery=true, Type="Text", IsParameterQueryRequired=true]'
        )
        yield ""


def _relationships() -> Iterator[str]:
    for table in TABLES.values():
        for column, dimension in table.refers_to.items():
            yield from (
                f"relationship {table.name}_{column}",
                f"\tfromColumn: {table.name}.{column}",
                f"\ttoColumn: {dimension}.{column}",
                "",
            )


def _table(table: Table) -> Iterator[str]:
    yield f"/// {table.description}"
    yield f"table {table.name}"
    if table.name == "access":
        yield "\tisHidden"
    yield ""
    for column in table.columns:
        yield from _column(table, column)
    yield from (f"\tpartition {table.name} = m", "\t\tmode: import", "\t\tsource =")
    yield from (f"\t\t\t\t{line}" for line in _query(table))


def _column(table: Table, column: Column) -> Iterator[str]:
    """Yield a column; hidden where it only joins, sorts or feeds measures."""
    is_fact = bool(table.refers_to)
    joins = column.name in (*table.refers_to, *table.key[: 0 if is_fact else 1])
    feeds = is_fact and column.kind in {"int64", "double"} and column.name not in ("round", "point")
    unit = f", in {column.unit}" if column.unit and column.unit not in column.description else ""
    yield f"\t/// {column.description}{unit}"
    yield f"\tcolumn {column.name}"
    yield f"\t\tdataType: {column.kind}"
    if joins or feeds or column.name == "sort_order":
        yield "\t\tisHidden"
    if table.key == (column.name,):
        yield "\t\tisKey"
    if column.kind in _FORMATS:
        yield f"\t\tformatString: {_FORMATS[column.kind]}"
    yield "\t\tsummarizeBy: none"
    yield f"\t\tsourceColumn: {column.name}"
    if position := _SORTED_BY.get((table.name, column.name)):
        yield f"\t\tsortByColumn: {position}"
    yield ""


def _query(table: Table) -> Iterator[str]:
    """M. The address is written out: the service does not refresh from one that a function is given."""
    types = [f'            {{"{column.name}", {_M_TYPES[column.kind]}}}' for column in table.columns]
    yield "let"
    yield (
        '    Source = Parquet.Document(AzureStorage.BlobContents(StorageAccountUrl & "/" & ContainerName & '
        f'"/curated/{table.name}.parquet")),'
    )
    yield from ("    Typed = Table.TransformColumnTypes(", "        Source,", "        {")
    yield from (f"{one}," for one in types[:-1])
    yield from (types[-1], "        },", '        "en-US"', f"    ){',' if table.name == 'access' else ''}")
    if table.name == "access":
        yield "    Own = Table.SelectRows(Typed, each [principal] = Party)"
    yield from ("in", "    Own" if table.name == "access" else "    Typed")


def _measures(found: Sequence[Measure]) -> Iterator[str]:
    yield from ("/// All measures; each is blank where no single value is meant.", f"table {MEASURES}", "")
    for measure in found:
        yield f"\t/// {measure.description}"
        name = measure.name if measure.name.isalnum() else f"'{measure.name}'"
        lines = measure.dax.splitlines()
        if len(lines) == 1:
            yield f"\tmeasure {name} = {lines[0]}"
        else:
            yield f"\tmeasure {name} ="
            yield from (f"\t\t\t{line}" for line in lines)
        yield f"\t\tformatString: {measure.format}"
        if measure is CELL_POSITION:
            yield "\t\tisHidden"
        yield f"\t\tdisplayFolder: {_FOLDERS[measure.home]}"
        yield ""
    yield from (
        "\t/// Holds nothing: a table needs a column",
        "\tcolumn empty",
        "\t\tdataType: string",
        "\t\tisHidden",
        "\t\tsummarizeBy: none",
        "\t\tsourceColumn: empty",
        "",
        f"\tpartition {MEASURES} = m",
        "\t\tmode: import",
        "\t\tsource = #table(type table [empty = text], {})",
    )


def _role() -> Iterator[str]:
    """Yield the second lock: whatever a container holds, readers see what is shared and what is their
    party's.
    """
    yield "/// Sees the rows that every hospital may see, and those that `access` gives to its party."
    yield from (f"role {_READERS}", "\tmodelPermission: read", "")
    for table in TABLES.values():
        if any(column.name == "is_shared" for column in table.columns):
            yield (
                f"\ttablePermission {table.name} = {table.name}[is_shared] || "
                f"{table.name}[site_key] IN VALUES ( access[site_key] )"
            )
            yield ""


def _text(lines: Sequence[str] | Iterator[str]) -> str:
    return "\n".join(lines).rstrip() + "\n"
