"""`fed dataset`: what hospitals' tables look like, and whether a file is one of them."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from automation.ui.lazily import lazily
from automation.ui.options import DEFAULT_STACK, InStack, Json, On, Where
from automation.ui.outcome import Code

with lazily():
    from automation.operate import consent, data_sets
    from automation.stacks import target as targets
    from automation.ui import console
    from workloads.data.fed_data import catalogue

if TYPE_CHECKING:
    from workloads.data.fed_data.check import Checked
    from workloads.data.fed_data.schema import Column, DataSet

PANEL = "Work"
app = typer.Typer(help="Describe data sets, and check a file against one.", no_args_is_help=True)

File = Annotated[Path, typer.Argument(metavar="FILE", help="A table, CSV or Parquet: one patient a row.")]
Named = Annotated[str, typer.Argument(metavar="NAME|FOLDER", help="A data set, or a folder with its schema.")]


@app.command("list")
def list_data_sets(as_json: Json = False) -> None:
    """List the data sets of this release."""
    found = list(catalogue.Catalogue.released())
    if as_json:
        console.show_json({one.name: _summary(one) for one in found})
    else:
        for one in found:
            typer.echo(f"{one.name} {one.version}: {one.title} ({len(one.columns)} columns)")


@app.command()
def show(named: Named, as_json: Json = False) -> None:
    """Show a data set's columns, and the checksum of its schema that hospitals approve."""
    found = data_sets.find(named)
    if as_json:
        console.show_json({**_summary(found), "columns": {one.name: _rules(one) for one in found.columns}})
        return
    typer.echo(f"{found.name} {found.version}: {found.title}\nfile {found.file}, checksum {found.sha256}\n")
    width = max(len(one.name) for one in found.columns)
    for one in found.columns:
        typer.echo(f"  {one.name:{width}}  {_words(one)}")


@app.command()
def new(
    file: File,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="Else the file's name.")] = None,
    to: Annotated[
        Path | None,
        typer.Option("--to", metavar="FOLDER", help="Else ./NAME."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Draft the schema of a data set from a hospital's own file (CSV), for a person to edit.

    Nothing in the draft speaks of fewer than ten patients.
    """
    path, draft = data_sets.new(file, name, to)
    if as_json:
        console.show_json({"schema": str(path), "remarks": list(draft.remarks)})
        return
    typer.echo("\n  ".join((f"drafted: {path}", *draft.remarks)))
    typer.echo(f"Now edit it, then: ./fed dataset check {file} --dataset {path.parent}")


@app.command()
def check(
    file: File,
    named: Annotated[
        str | None,
        typer.Option("--dataset", "-d", metavar="NAME|FOLDER", help="Else the file's name says which."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Check a file as the hospital's VM does after an upload. Exit code 1: refused."""
    checked = data_sets.check(file, named)
    if as_json:
        console.show_json(
            {"rows": checked.rows, "complaints": list(checked.complaints), "notes": list(checked.notes)}
        )
    else:
        typer.echo(verdict(file, checked, named))
    raise typer.Exit(Code.NO if checked.complaints else Code.DONE)


@app.command()
def approve(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="With the data set's schema.")],
    party: Annotated[str, typer.Option("--party", "-p", metavar="NAME", help="The hospital.")],
    stack: InStack = DEFAULT_STACK,
    on: Where = On.EMULATOR,
) -> None:
    """Approve a data set that no release has, in a hospital's place (emulator)."""
    package, found = data_sets.package(folder)
    consent.House.of(targets.open_target(stack, on, check=False), party).adopt(package)
    typer.echo(f"{party} knows the data set {found.name} {found.version}, checksum {found.sha256}")


def verdict(file: Path, checked: "Checked", named: str | None = None) -> str:
    """Return what was found of a file, for people; `named` is its data set where the file's name is not."""
    named = named or file.name.partition(".")[0]
    said = "refused" if checked.complaints else "no table" if checked.rows is None else f"{checked.rows} rows"
    fix = [f"Fix: correct the file; ./fed dataset show {named} has the columns"] if checked.complaints else []
    return "\n  ".join((f"{file.name}: {said}", *checked.complaints, *checked.notes, *fix))


def _summary(one: "DataSet") -> dict[str, Any]:
    return {"version": one.version, "title": one.title, "file": one.file, "sha256": one.sha256}


def _rules(one: "Column") -> dict[str, Any]:
    return {
        "type": one.type,
        "title": one.title,
        "unit": one.unit,
        "required": one.required,
        "minimum": _bound(one.minimum),
        "maximum": _bound(one.maximum),
        "values": {value: one.labels.get(value, "") for value in one.listed},
    }


def _bound(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _words(one: "Column") -> str:
    listed = ", ".join(f"{value} {one.labels.get(value, '')}".strip() for value in one.listed)
    about = [f"{one.title}{f', {one.unit}' if one.unit else ''}", listed or one.type]
    about += [f"at least {one.minimum:g}"] if math.isfinite(one.minimum) else []
    about += [f"at most {one.maximum:g}"] if math.isfinite(one.maximum) else []
    return "; ".join((*about, *(["may not be missing"] if one.required else [])))
