"""`fed data`: a hospital's data, through its door."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from automation.commands import audit, dataset
from automation.ui.lazily import lazily
from automation.ui.options import DEFAULT_STACK, InStack, Json, On, OwnAccount, Where
from automation.ui.outcome import Code
from federation.naming import DATA_CONTAINER, SCORES_CONTAINER

with lazily():
    from azure import identity

    from automation.operate import arrival, centre_blobs, consent, data, desk, emulated, people
    from automation.stacks import deploy
    from automation.stacks import target as targets
    from automation.ui import console

if TYPE_CHECKING:
    from automation.operate.centre_blobs import Readable
    from automation.operate.data import Container
    from emulator.datacentre.control import Datacentre
    from federation.outputs import Outputs

PANEL = "Work"
app = typer.Typer(help="Upload a hospital's data, list them, or have patients scored.", no_args_is_help=True)

File = Annotated[Path, typer.Argument(metavar="FILE", help="Named like its data set: heart.csv.")]
Party = Annotated[str, typer.Option("--party", "-p", metavar="NAME", help="The hospital.")]


@app.command()
def put(
    file: File,
    party: Party,
    *,
    stack: InStack = DEFAULT_STACK,
    on: Where = On.EMULATOR,
    account: OwnAccount = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Until the hospital's VM has looked. Exit code 1: refused.")
    ] = False,
) -> None:
    """Check a file and upload it into a hospital's container `data`, as the hospital's own people do.

    On Azure: behind the hospital's door (docs/hospital.md), as whoever is signed in (az login). --wait reads
    the hospital's record: on Azure as one of its officers, with --account.
    """
    words = ["put", str(file.resolve()), *(["--wait"] if wait else [])]
    container = _open(stack, on, party, account, words)
    before = arrival.last(consent.record_of(stack, on, party, account), file.name) if wait else None
    checked, changed = data.put(container, file)
    typer.echo(dataset.verdict(file, checked))
    typer.echo(f"{'uploaded for' if changed else 'already there, unchanged, at'} {party}")
    if not wait:
        return
    entry = before
    if changed or entry is None:
        entry = arrival.wait(lambda: consent.record_of(stack, on, party, account), file.name, before)
    typer.echo(f"{party}'s VM, {arrival.moment(entry)}: {audit.checked(entry)}")
    raise typer.Exit(Code.NO if audit.refusals(entry) else Code.DONE)


@app.command("list")
def list_data(
    party: Party,
    stack: InStack = DEFAULT_STACK,
    on: Where = On.EMULATOR,
    account: OwnAccount = None,
    as_json: Json = False,
) -> None:
    """List what a hospital's container `data` holds, with checksums (MD5)."""
    words = ["list", *(["--json"] if as_json else [])]
    found = data.listing(_open(stack, on, party, account, words))
    if as_json:
        console.show_json(found)
    elif not found:
        typer.echo(f"{party}: empty. Fix: ./fed data put --party {party} FILE")
    else:
        for name, md5 in found.items():
            typer.echo(f"{md5}  {name}")


@app.command()
def score(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="MODEL.csv, or MODEL.ANYTHING.csv, with the model's inputs."),
    ],
    party: Party,
    *,
    stack: InStack = DEFAULT_STACK,
    on: Where = On.EMULATOR,
    account: OwnAccount = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Until there is an answer. Exit code 1: it says why not.")
    ] = False,
) -> None:
    """Have a promoted model predict for a hospital's own patients, at the hospital; nothing leaves it."""
    words = ["score", str(file.resolve()), *(["--wait"] if wait else [])]
    container = _open(stack, on, party, account, words)
    scores = _scores(stack, on, party, account, words) if wait else None
    prefix = f"{file.name.removesuffix('.csv')}."
    before = arrival.scored(scores.read(prefix), file.name) if scores else None
    changed = data.ask_scores(container, file)
    typer.echo(f"{'asked' if changed else 'asked before, unchanged,'} at {party}")
    if scores is None:
        typer.echo(f"the answer is in its container {SCORES_CONTAINER} within a minute: ./fed data scores")
        return
    found = before
    if changed or found is None:
        found = arrival.wait_for_scores(lambda: scores.read(prefix), file.name, before)
    name, text = found
    answered = name == file.name
    typer.echo(
        f"{name} is in its container {SCORES_CONTAINER}: ./fed data scores" if answered else text.strip()
    )
    raise typer.Exit(Code.DONE if answered else Code.NO)


@app.command()
def scores(
    folder: Annotated[Path, typer.Option("--to", metavar="FOLDER", help="A new folder for them.")],
    party: Party,
    stack: InStack = DEFAULT_STACK,
    on: Where = On.EMULATOR,
    account: OwnAccount = None,
) -> None:
    """Fetch what models said of a hospital's patients, and why there is no answer where there is none."""
    found = _scores(stack, on, party, account, ["scores", "--to", str(folder.resolve())])
    for name in centre_blobs.write_folder(found, "", folder):
        typer.echo(folder / name)


def _open(stack: str, on: On, party: str, account: str | None, words: list[str]) -> "Container":
    """Return a hospital's container; on the emulator, where it has a door, run ``data <words>`` behind it."""
    if on is On.AZURE:
        return _of_people(stack, on, party, account, DATA_CONTAINER)
    target = targets.open_target(stack, on)
    datacentre, outputs = _behind_the_door(target, party, words)
    return data.OwnersContainer(datacentre=datacentre, id=data.container_of(outputs, party))


def _scores(stack: str, on: On, party: str, account: str | None, words: list[str]) -> "Readable":
    """Return a hospital's container `scores`, as `_open` its container `data`."""
    if on is On.AZURE:
        return _of_people(stack, on, party, account, SCORES_CONTAINER)
    target = targets.open_target(stack, on)
    datacentre, outputs = _behind_the_door(target, party, words)
    return data.OwnScores(datacentre=datacentre, outputs=outputs, hospital=party)


def _of_people(
    stack: str, on: On, party: str, account: str | None, container: str
) -> "people.PeoplesContainer":
    return people.PeoplesContainer(
        account=account or _account(stack, on, party),
        name=container,
        credential=identity.DefaultAzureCredential(),
    )


def _behind_the_door(
    target: "targets.Target", party: str, words: list[str]
) -> "tuple[Datacentre, Outputs[str]]":
    """Become ``data <words>`` behind a hospital's door; where it has none, return the emulator's own way."""
    datacentre, outputs = emulated.running_datacentre(target), deploy.outputs(target)
    data.container_of(outputs, party)
    door = target.settings.hospitals[party].door if target.settings else None
    if door is not None:
        own = outputs.hospitals[party].storage_account.rpartition("/")[2]
        behind = ["--party", party, "--on", On.AZURE.value, "--account", own]
        desk.sit_down(datacentre, door, ["data", *words, *behind])
    return datacentre, outputs


def _account(stack: str, on: On, party: str) -> str:
    """Return the name of a hospital's account, from the stack's state."""
    outputs = deploy.outputs(targets.open_deployed(stack, on))
    data.container_of(outputs, party)
    return outputs.hospitals[party].storage_account.rpartition("/")[2]
