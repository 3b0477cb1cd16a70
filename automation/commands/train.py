"""`fed train`: train one model over all hospitals."""

from typing import Annotated

import typer

from automation.ui.lazily import lazily
from automation.ui.options import CentreAccount, Json, On, Stack, StackOption, Where, stack_name

with lazily():
    from automation.operate import session

PANEL = "Work"


def command(  # noqa: PLR0917 typer reads the order
    stack: Stack = None,
    stack_option: StackOption = None,
    job: Annotated[
        str, typer.Option("--job", help="A job of workloads/jobs, or one at the centre.")
    ] = "heart",
    rounds: Annotated[
        int | None, typer.Option("--rounds", min=1, help="Rounds, if not the job's own.")
    ] = None,
    param: Annotated[list[str] | None, typer.Option("--param", metavar="NAME=VALUE")] = None,
    follow: Annotated[
        str | None, typer.Option("--follow", metavar="ID", help="Watch a job that runs.")
    ] = None,
    resume: Annotated[
        str | None, typer.Option("--resume", metavar="ID", help="Go on with a job that failed.")
    ] = None,
    on: Where = On.EMULATOR,
    account: CentreAccount = None,
    as_json: Json = False,
) -> None:
    """Train a model over the hospitals' private data and show what it is worth; Ctrl-C only stops watching.

    What the job needs from another job (the statistics, for `heart`) is run first; the job itself is
    submitted by this command when that has ended, so stopping it before leaves the job unsubmitted.
    """
    session.train(
        stack_name(stack, stack_option),
        on,
        account=account,
        job=job,
        rounds=rounds,
        parameters=tuple(param or ()),
        watch=follow,
        resume=resume,
        as_json=as_json,
    )
