"""`fed down`: take a stack down."""

from typing import Annotated

import typer

from automation.options import On, Stack, StackOption, Where, Yes, stack_name

PANEL = "Deploy"


def command(
    stack: Stack = None,
    stack_option: StackOption = None,
    on: Where = On.EMULATOR,
    yes: Yes = False,
    confirm: Annotated[
        str | None, typer.Option("--confirm", metavar="STACK", help="prod asks for its name; give it here.")
    ] = None,
) -> None:
    """Delete everything a stack has deployed, after showing what would be lost.

    Asks on Azure, and always for prod, which wants its name typed. The last stack on the emulator takes the
    emulator with it: nothing of it stays on this machine.
    """
    from automation import take_down  # noqa: PLC0415 slow
    from automation.target import open_target  # noqa: PLC0415

    name = stack_name(stack, stack_option)
    take_down.down(open_target(name, on, check=False), yes=yes, confirm=confirm)
