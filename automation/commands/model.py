"""`fed model`: the registered models, and which version people are to use."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from automation.ui.lazily import lazily
from automation.ui.options import DEFAULT_STACK, CentreAccount, Json, On, Where
from federation.naming import RESULTS_CONTAINER

with lazily():
    from automation.operate import centre as centres
    from automation.operate import centre_door, models
    from automation.ui import console
    from workloads.container_server.container_server import questions

if TYPE_CHECKING:
    from automation.operate.centre_blobs import Readable
    from workloads.container_server.container_server.answers import ModelVersion

PANEL = "Work"

app = typer.Typer(help="List, show, fetch, promote or retire registered models.", no_args_is_help=True)

StackName = Annotated[str, typer.Option("--stack", "-s", metavar="STACK", help="dev, mvp or prod.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="The model's name, which is its job's.")]
Version = Annotated[str | None, typer.Option("--version", help="A version; the champion when left out.")]


@app.command("list")
def list_(
    stack: StackName = DEFAULT_STACK,
    on: Where = On.EMULATOR,
    account: CentreAccount = None,
    as_json: Json = False,
) -> None:
    """List all versions of all models."""
    found = models.listing(centres.reach(stack, on, account).centre)
    if as_json:
        console.show_json({"models": found})
    else:
        console.show(models.table(found))


@app.command()
def show(
    name: Name,
    version: Version = None,
    *,
    whole: Annotated[
        bool, typer.Option("--card", help="Its model card instead: purpose, data, worth, consent.")
    ] = False,
    stack: StackName = DEFAULT_STACK,
    on: Where = On.EMULATOR,
    account: CentreAccount = None,
    as_json: Json = False,
) -> None:
    """Show a version with its metrics, and who promoted or retired it; or its model card."""
    if whole:
        results, row = _at_the_door(stack, on, account, name, version)
        typer.echo(models.model_card(results, row))
        return
    row = models.chosen(models.listing(centres.reach(stack, on, account).centre, name), name, version)
    if as_json:
        console.show_json(row)
    else:
        console.show(models.card(row))


@app.command()
def get(  # noqa: PLR0917 typer reads the order
    name: Name,
    folder: Annotated[Path, typer.Option("--to", metavar="FOLDER", help="A new folder for its files.")],
    version: Version = None,
    stack: StackName = DEFAULT_STACK,
    on: Where = On.EMULATOR,
    account: CentreAccount = None,
) -> None:
    """Fetch a version's files, which mlflow.pyfunc.load_model(FOLDER) loads.

    On Azure from the container `results`, through the centre's door, as whoever is signed in.
    """
    results, row = _at_the_door(stack, on, account, name, version)
    names = models.download(results, row, folder)
    console.say(f"{name} version {row['version']}: {len(names)} files in {folder}")


@app.command()
def promote(
    name: Name,
    version: Annotated[str, typer.Argument(metavar="VERSION")],
    stack: StackName = DEFAULT_STACK,
    on: Where = On.EMULATOR,
    account: CentreAccount = None,
) -> None:
    """Make a version the one to use: models:/NAME@champion. Who said so is recorded."""
    reached = centres.reach(stack, on, account)
    answer = reached.centre.ask(questions.Promote(name=name, version=version, by=reached.by()))
    before = answer["before"]
    instead = f" instead of version {before}" if before not in (None, version) else ""
    console.say(f"{name} version {version} is the champion{instead}")
    if why := answer.get("no_scores"):
        console.warn(f"hospitals cannot score their patients with it: {why}")


@app.command()
def retire(  # noqa: PLR0917 typer reads the order
    name: Name,
    version: Annotated[str, typer.Argument(metavar="VERSION")],
    why: Annotated[str, typer.Option("--why", metavar="TEXT")],
    stack: StackName = DEFAULT_STACK,
    on: Where = On.EMULATOR,
    account: CentreAccount = None,
) -> None:
    """Take a version out of use, for good. It stays in the register, with the reason."""
    reached = centres.reach(stack, on, account)
    reached.centre.ask(questions.Retire(name=name, version=version, by=reached.by(), why=why))
    console.say(f"{name} version {version} is retired")


def _at_the_door(
    stack: str, on: On, account: str | None, name: str, version: str | None
) -> "tuple[Readable, ModelVersion]":
    """Return the centre's container `results`, and a version: on Azure as that container names it, for its
    readers may ask the centre nothing.
    """
    results = centre_door.container(stack, on, account, RESULTS_CONTAINER)
    if on is On.AZURE:
        return results, models.chosen(models.registered(results), name, version)
    return results, models.chosen(models.listing(centres.reach(stack, on).centre, name), name, version)
