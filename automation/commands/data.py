"""`fed data`: a hospital's data on the emulator, and the check of a file anywhere."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from automation.ui.lazily import lazily
from automation.ui.options import DEFAULT_STACK, Json, On, Where
from automation.ui.outcome import Code, RefusedError

with lazily():
    from automation.operate import data, emulated
    from automation.stacks import deploy
    from automation.stacks import target as targets
    from automation.ui import console

if TYPE_CHECKING:
    from emulator.datacentre.control import Fabric
    from workloads.container_server.container_server.hospital.dataset_check import Checked

PANEL = "Work"
app = typer.Typer(help="Check a hospital's data, upload them, or list them.", no_args_is_help=True)

File = Annotated[Path, typer.Argument(metavar="FILE", help="Named like its data set: heart.csv.")]
Party = Annotated[str, typer.Option("--party", "-p", metavar="NAME", help="The hospital.")]
InStack = Annotated[str, typer.Option("--stack", "-s", metavar="STACK", help="dev, mvp or prod.")]


@app.command()
def check(file: File, as_json: Json = False) -> None:
    """Check a file as the hospital's VM does after an upload; needs no deployment. Exit code 1: refused."""
    checked = data.check(file)
    if as_json:
        console.show_json(
            {"rows": checked.rows, "complaints": list(checked.complaints), "notes": list(checked.notes)}
        )
    else:
        typer.echo(_words(file, checked))
    raise typer.Exit(Code.NO if checked.complaints else Code.DONE)


@app.command()
def put(file: File, party: Party, stack: InStack = DEFAULT_STACK, on: Where = On.EMULATOR) -> None:
    """Check a file and upload it into a hospital's container `data`, as the hospital itself would."""
    checked, changed = data.put(*_open(stack, on, party), file)
    typer.echo(_words(file, checked))
    typer.echo(f"{'uploaded for' if changed else 'already there, unchanged, at'} {party}")


@app.command("list")
def list_data(
    party: Party, stack: InStack = DEFAULT_STACK, on: Where = On.EMULATOR, as_json: Json = False
) -> None:
    """List what a hospital's container `data` holds, with checksums (MD5)."""
    found = data.listing(*_open(stack, on, party))
    if as_json:
        console.show_json(found)
    elif not found:
        typer.echo(f"{party}: empty. Fix: ./fed data put --party {party} FILE")
    else:
        for name, md5 in found.items():
            typer.echo(f"{md5}  {name}")


def _open(stack: str, on: On, party: str) -> "tuple[Fabric, str]":
    if on is On.AZURE:
        raise RefusedError(
            f"on Azure only {party} itself can reach its account, which has no public front\n"
            "Fix: the hospital uploads through an endpoint of its own, see docs/hospital.md"
        )
    target = targets.open_target(stack, on)
    return emulated.running_fabric(target), data.container_of(deploy.outputs(target), party)


def _words(file: Path, checked: "Checked") -> str:
    verdict = (
        "refused" if checked.complaints else "not checked" if checked.rows is None else f"{checked.rows} rows"
    )
    return "\n  ".join((f"{file.name}: {verdict}", *checked.complaints, *checked.notes))
