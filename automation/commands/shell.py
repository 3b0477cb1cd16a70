"""`fed shell`: into a VM of the emulator."""

from typing import Annotated

import typer

from automation.ui.lazily import lazily
from automation.ui.options import DEFAULT_STACK, On, Where

with lazily():
    from automation.operate import enter

PANEL = "Look"


def command(
    party: Annotated[str, typer.Argument(metavar="PARTY", help="centre, or a hospital.")],
    container: Annotated[
        str | None, typer.Argument(metavar="[CONTAINER]", help="One of its containers; the VM when left out.")
    ] = None,
    script: Annotated[
        str | None, typer.Option("--command", "-c", metavar="SCRIPT", help="Run this instead of a shell.")
    ] = None,
    stack: Annotated[str, typer.Option("--stack", "-s", metavar="STACK")] = DEFAULT_STACK,
    on: Where = On.EMULATOR,
) -> None:
    """Open a shell as root of a party's VM, or as the user of one of its containers (emulator).

    Azure has no counterpart: there nobody opens a connection to a VM, and a command goes through its run
    command, which is recorded.
    """
    enter.shell(stack, on, party, container, script)
