"""`fed rotate`: the centre's keys and certificates are replaced, without losing a job."""

from typing import Annotated, Literal

import typer

from automation.ui.lazily import lazily
from automation.ui.options import DEFAULT_STACK, CentreAccount, On, Where, Yes

with lazily():
    from automation.operate import centre as centres
    from automation.operate import rotation

PANEL = "Deliver"


def command(
    what: Annotated[
        Literal["root", "lead", "server"],
        typer.Argument(metavar="WHAT", help="root, lead (the administrator) or server."),
    ],
    *,
    now: Annotated[
        bool, typer.Option("--now", help="Restart the server at once, though a job runs: it fails.")
    ] = False,
    finish: Annotated[
        bool, typer.Option("--finish", help="Withdraw the old root, whichever hospital has not moved.")
    ] = False,
    stack: Annotated[
        str, typer.Option("--stack", "-s", metavar="STACK", help="dev, mvp or prod.")
    ] = DEFAULT_STACK,
    on: Where = On.EMULATOR,
    account: CentreAccount = None,
    yes: Yes = False,
) -> None:
    """Replace a key of the centre: say what that interrupts, ask, and go on when no job runs.

    A new root takes over when every hospital has renewed under it; `fed status` says how far that is.
    """
    centre = centres.reach(stack, on, account).centre
    rotation.rotate(centre, what, now=now, finish=finish, yes=yes)
