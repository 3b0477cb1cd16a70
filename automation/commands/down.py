"""`fed down`: take a stack down."""

from typing import Annotated

import typer

from automation.ui.lazily import lazily
from automation.ui.options import On, Stack, StackOption, Where, Yes, stack_name

with lazily():
    from automation.operate import session
    from automation.stacks import take_down
    from automation.stacks import target as targets

PANEL = "Deploy"


def command(  # noqa: PLR0917 typer reads the order
    stack: Stack = None,
    stack_option: StackOption = None,
    on: Where = On.EMULATOR,
    yes: Yes = False,
    confirm: Annotated[
        str | None, typer.Option("--confirm", metavar="STACK", help="prod asks for its name; give it here.")
    ] = None,
    delete_data: Annotated[
        list[str] | None,
        typer.Option(
            "--delete-data", metavar="HOSPITAL", help="Delete this hospital's data, too; may be repeated."
        ),
    ] = None,
) -> None:
    """Delete what a stack has deployed, after showing what would be lost; a hospital's data stay.

    Asks on Azure, and always for prod, which wants its name typed. What a hospital has put into its account
    is kept, with the account and its key, unless --delete-data names the hospital; the demonstration data of
    `fed up` on the emulator are no hospital's. The last stack on the emulator takes the emulator with it:
    nothing of it stays on this machine.
    """
    target = targets.open_target(stack_name(stack, stack_option), on, check=False)
    session.name_running_jobs(target)
    take_down.down(target, yes=yes, confirmed=confirm, delete_data=delete_data or ())
