"""`fed hospital`: a hospital joins, leaves, is looked at, or says which jobs may run there."""

import json
from pathlib import Path
from typing import Annotated

import typer

from automation.ui.lazily import lazily
from automation.ui.options import DEFAULT_STACK, CentreAccount, InStack, Json, On, Where, Yes

with lazily():
    from automation.hospitals import membership as hospital
    from automation.operate import centre as centres
    from automation.operate import consent
    from automation.stacks import target as targets
    from automation.ui import console

PANEL = "Deliver"
app = typer.Typer(
    help="Let a hospital join or leave a federation, and say which jobs may run there.", no_args_is_help=True
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The hospital's name, which never changes.")]
Code = Annotated[
    str, typer.Argument(metavar="CODE", help="The checksum of the job's code, or its beginning.")
]

Digest = Annotated[
    str, typer.Argument(metavar="DIGEST", help="The image's digest, or its beginning: see review.")
]


@app.command()
def add(
    name: Name,
    *,
    subscription: Annotated[
        str | None, typer.Option("--subscription", metavar="ID", help="The hospital's own subscription.")
    ] = None,
    address_space: Annotated[
        str | None, typer.Option("--address-space", metavar="CIDR", help="The next free range when left out.")
    ] = None,
    location: Annotated[
        str | None, typer.Option("--location", metavar="REGION", help="The stack's region when left out.")
    ] = None,
    machines: Annotated[
        bool,
        typer.Option(
            "--machines/--no-machines", envvar="FED_MACHINES", help="On the emulator: also run its VM."
        ),
    ] = True,
    stack: InStack = DEFAULT_STACK,
    on: Where = On.EMULATOR,
    yes: Yes = False,
) -> None:
    """Enter a hospital into the stack file and show the plan; with --yes deploy it.

    One that has left comes back with the data that it kept.
    """
    hospital.add(
        stack,
        on,
        name,
        subscription=subscription,
        address_space=address_space,
        location=location,
        machines=machines,
        yes=yes,
    )


@app.command()
def remove(
    name: Name,
    *,
    delete_data: Annotated[
        str | None,
        typer.Option("--delete-data", metavar="NAME", help="Delete its data, too: its name again."),
    ] = None,
    wait: Annotated[
        float, typer.Option("--wait", metavar="SECONDS", min=0, help="How long a round under way may take.")
    ] = 600,
    stack: InStack = DEFAULT_STACK,
    on: Where = On.EMULATOR,
    yes: Yes = False,
) -> None:
    """Let a hospital leave and show the plan; with --yes revoke its certificate and deploy it.

    Its network, machine and rights go, here and at the centre; its data stay, with nothing that reaches them.
    """
    hospital.remove(stack, on, name, delete_data=delete_data, wait_seconds=wait, yes=yes)


@app.command()
def approve(
    name: Name,
    *,
    stack: InStack = DEFAULT_STACK,
    on: Where = On.EMULATOR,
    account: CentreAccount = None,
) -> None:
    """Let the centre sign what a hospital asked for: to enrol, to renew, after a lost disk, to come back.

    What waits, since when, and what happens when nobody approves, is in `fed status`.
    """
    hospital.approve(centres.reach(stack, on, account).centre, name)


@app.command("list")
def list_hospitals(stack: InStack = DEFAULT_STACK, on: Where = On.EMULATOR, as_json: Json = False) -> None:
    """Show the hospitals of a stack: members, not deployed yet, leaving, or left."""
    rows = hospital.list_hospitals(targets.open_target(stack, on))
    if as_json:
        console.show_json(rows)
        return
    table = console.table(*hospital.COLUMNS)
    for row in rows:
        table.add_row(*(row[column] for column in hospital.COLUMNS))
    console.show(table)


@app.command()
def review(
    name: Name,
    *,
    code: Annotated[
        str | None,
        typer.Option("--code", metavar="CODE", help="What this job says of itself, and what changed."),
    ] = None,
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FOLDER", help="Save the code into a new folder.")
    ] = None,
    stack: InStack = DEFAULT_STACK,
    on: Where = On.EMULATOR,
    as_json: Json = False,
) -> None:
    """Show the jobs and images that asked to run at a hospital and what it said.

    With --code: who asks and why, what it reads and sends, what changed since the version approved before.
    """
    house = consent.House.of(targets.open_target(stack, on, check=False), name)
    if code is not None and to is None:
        typer.echo("\n".join(house.look(code)))
        return
    if code is not None and to is not None:
        files = house.save(str(house.job(code)["code"]), to)
        typer.echo("\n".join(str(to / file) for file in files))
        return
    found = house.review()
    if as_json:
        console.show_json(found)
        return
    for job in found["jobs"]:
        typer.echo(f"{job['code'][:12]}  {job['answer']:<8}  {job['name']}, asked by {job['submitter']}")
    if not found["jobs"]:
        typer.echo(f"no job has asked to run at {name}")
    for image in found.get("images", []):
        typer.echo(f"image {image['digest'][:19]}  {image['answer']:<8}  {image['image']}")
    for rule, value in found["rules"].items():
        typer.echo(f"rule of the house: {rule} {json.dumps(value)}")
    if found["fault"]:
        console.stderr.print(f"fed: {found['fault']}")


@app.command("approve-job")
def approve_job(
    name: Name,
    code: Code,
    *,
    by: Annotated[str, typer.Option("--by", metavar="PERSON", help="Who approves, for the record.")],
    stack: InStack = DEFAULT_STACK,
    on: Where = On.EMULATOR,
) -> None:
    """Let a job's code run at a hospital from now on, in the hospital's place (emulator)."""
    consent.House.of(targets.open_target(stack, on, check=False), name).approve(code, by)
    typer.echo(f"{name} approves {code[:12]}: a job that waits for it starts by itself")


@app.command("refuse-job")
def refuse_job(
    name: Name,
    code: Code,
    *,
    why: Annotated[str, typer.Option("--why", metavar="TEXT", help="What its author is told.")],
    stack: InStack = DEFAULT_STACK,
    on: Where = On.EMULATOR,
) -> None:
    """Let a job's code not run at a hospital, in the hospital's place (emulator)."""
    consent.House.of(targets.open_target(stack, on, check=False), name).refuse(code, why)
    typer.echo(f"{name} refuses {code[:12]}")


@app.command("approve-image")
def approve_image(
    name: Name,
    digest: Digest,
    *,
    by: Annotated[str, typer.Option("--by", metavar="PERSON", help="Who approves, for the record.")],
    stack: InStack = DEFAULT_STACK,
    on: Where = On.EMULATOR,
) -> None:
    """Let one of the platform's images run on a hospital's VM, in the hospital's place (emulator)."""
    image = consent.House.of(targets.open_target(stack, on, check=False), name).approve_image(digest, by)
    typer.echo(f"{name} approves {image['image']} {image['digest'][:19]}: it runs when it is its turn")


@app.command("refuse-image")
def refuse_image(
    name: Name,
    digest: Digest,
    *,
    why: Annotated[str, typer.Option("--why", metavar="TEXT", help="What the centre is told.")],
    stack: InStack = DEFAULT_STACK,
    on: Where = On.EMULATOR,
) -> None:
    """Let one of the platform's images not run on a hospital's VM, in the hospital's place (emulator)."""
    image = consent.House.of(targets.open_target(stack, on, check=False), name).refuse_image(digest, why)
    typer.echo(f"{name} refuses {image['image']} {image['digest'][:19]}: it runs what it ran")


@app.command()
def airlock(
    name: Name,
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="Its new policy, in JSON; without one it is shown."),
    ] = None,
    stack: InStack = DEFAULT_STACK,
    on: Where = On.EMULATOR,
) -> None:
    """Show what a hospital decided about its airlock, or decide it, in the hospital's place (emulator)."""
    house = consent.House.of(targets.open_target(stack, on, check=False), name)
    if file is not None:
        house.decide(consent.read_policy(file))
    console.show_json(house.airlock())


@app.command()
def withdraw(
    name: Name,
    code: Code,
    *,
    why: Annotated[str, typer.Option("--why", metavar="TEXT", help="What its author is told.")] = "",
    stack: InStack = DEFAULT_STACK,
    on: Where = On.EMULATOR,
) -> None:
    """Take back an approval, in the hospital's place (emulator); what runs with it there ends."""
    consent.House.of(targets.open_target(stack, on, check=False), name).withdraw(code, why)
    typer.echo(f"{name} no longer approves {code[:12]}: a job that runs with it there ends at its next round")
