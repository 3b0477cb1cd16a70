"""`fed backup`: archives of what cannot be made again, encrypted to a key that is not in Azure."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from automation.ui.lazily import lazily
from automation.ui.options import DEFAULT_STACK, InStack, Json, On, Where

with lazily():
    from automation.operate import machines, recover
    from automation.stacks import deploy
    from automation.stacks import target as targets
    from automation.ui import console

PANEL = "Work"
app = typer.Typer(help="Back up the parties' VMs, or make the key that opens backups.", no_args_is_help=True)

Parties = Annotated[
    list[str] | None,
    typer.Option("--party", "-p", metavar="NAME", help="centre or a hospital; all when left out."),
]


@app.command()
def key(file: Annotated[Path, typer.Argument(metavar="FILE", help="Where the private half goes.")]) -> None:
    """Make a key pair: the private half goes into FILE, which belongs offline; the public half is printed."""
    recipient = recover.new_key(file)
    console.say(f"{file} opens what is encrypted to the key below: keep it offline, and a copy elsewhere")
    typer.echo(recipient)


@app.command()
def now(party: Parties = None, stack: InStack = DEFAULT_STACK, on: Where = On.EMULATOR) -> None:
    """Have archives made now, besides those that are made by themselves."""
    for one in _parties(stack, on, party):
        typer.echo(_words(one.party, one.make()))


@app.command("list")
def list_backups(
    party: Parties = None,
    stack: InStack = DEFAULT_STACK,
    on: Where = On.EMULATOR,
    as_json: Json = False,
) -> None:
    """List what was backed up last, and the archives that there are."""
    rows = {
        one.party: {**one.made(), "archives": one.standing()["archives"]}
        for one in _parties(stack, on, party)
    }
    if as_json:
        console.show_json(rows)
        return
    for name, row in rows.items():
        typer.echo(_words(name, row["last"], row["recipient"]))
        if row["archives"]:
            typer.echo(f"  archives: {', '.join(row['archives'])}")


def _parties(stack: str, on: On, names: list[str] | None) -> "list[recover.Protected]":
    target = targets.open_deployed(stack, on)
    outputs = deploy.outputs(target)
    mute = machines.without_way_out(stack)
    if left_out := sorted(mute & set(outputs.parties)) if not names else []:
        console.warn(f"{', '.join(left_out)} has egress: none: {recover.MUTE}")
    chosen = names or [name for name in outputs.parties if name not in mute]
    return [recover.Protected.of(target, outputs, name) for name in chosen]


def _words(party: str, made: dict[str, Any] | None, recipient: str | None = None) -> str:
    if made is None:
        return f"{party}: {'not backed up yet' if recipient else 'no key: nothing is backed up'}"
    when = datetime.fromtimestamp(made["made"], UTC)
    return (
        f"{party}: {made['name']}, {when:%Y-%m-%d %H:%M} UTC, {made['files']} files, {made['size']:,} bytes"
    )
