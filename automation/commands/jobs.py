"""`fed jobs`: the training jobs of a stack."""

from typing import Annotated

import typer

from automation.ui.lazily import lazily
from automation.ui.options import DEFAULT_STACK, Json, On, Where

with lazily():
    from automation.operate import session

PANEL = "Work"

app = typer.Typer(
    help="List the jobs, show what one asks of the hospitals, or stop it.", invoke_without_command=True
)

StackName = Annotated[str, typer.Option("--stack", "-s", metavar="STACK", help="dev, mvp or prod.")]


@app.callback()
def listing(
    context: typer.Context,
    stack: StackName = DEFAULT_STACK,
    on: Where = On.EMULATOR,
    as_json: Json = False,
) -> None:
    """List all jobs, newest first."""
    if context.invoked_subcommand is None:
        session.jobs(stack, on, as_json=as_json)


@app.command()
def show(
    job_id: Annotated[str, typer.Argument(metavar="ID")],
    stack: StackName = DEFAULT_STACK,
    on: Where = On.EMULATOR,
    as_json: Json = False,
) -> None:
    """Show who asks for a job, why, what it reads and sends, and what each hospital says to it."""
    session.show_job(stack, on, job_id, as_json=as_json)


@app.command()
def abort(
    job_id: Annotated[str, typer.Argument(metavar="ID")],
    stack: StackName = DEFAULT_STACK,
    on: Where = On.EMULATOR,
) -> None:
    """Stop a job that is queued or running."""
    session.abort(stack, on, job_id)
