"""`fed logs`: what a party's containers say."""

from typing import Annotated

import typer

from automation.ui.lazily import lazily
from automation.ui.options import DEFAULT_STACK, CentreAccount, On, Where

with lazily():
    from automation.operate import logs

PANEL = "Look"


def command(
    party: Annotated[str, typer.Argument(metavar="PARTY", help="centre, or a hospital.")],
    container: Annotated[
        str, typer.Argument(metavar="[CONTAINER]", help="container-server when left out.")
    ] = "container-server",
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C (emulator).")] = False,
    tail: Annotated[
        int | None,
        typer.Option(
            "--tail", "-n", min=1, metavar="LINES", help="The last lines only; 40 on Azure when left out."
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--since", metavar="TIME", help="Lines of 90s, 10m, 2h, 1d before now or since 2026-12-01T16:00."
        ),
    ] = None,
    stack: Annotated[str, typer.Option("--stack", "-s", metavar="STACK")] = DEFAULT_STACK,
    on: Where = On.EMULATOR,
    account: CentreAccount = None,
) -> None:
    """Show a container's log: all of it on the emulator, its end on Azure (a run command carries 4 KB)."""
    logs.show(stack, on, party, container, follow=follow, tail=tail, since=since, account=account)
