"""`fed status`: what a deployed stack looks like now."""

from collections.abc import Callable
from functools import partial
from typing import Annotated

import typer

from automation.ui.lazily import lazily
from automation.ui.options import CentreAccount, Json, On, Stack, StackOption, Where, stack_name

with lazily():
    from automation.operate import centre as centres
    from automation.operate import status
    from automation.stacks import deploy
    from automation.stacks import target as targets

PANEL = "Look"


def command(
    stack: Stack = None,
    stack_option: StackOption = None,
    on: Where = On.EMULATOR,
    *,
    health: Annotated[
        bool,
        typer.Option("--health/--no-health", help="Also ask the centre's VM how the federation is doing."),
    ] = True,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Look again every few seconds, until Ctrl-C.")
    ] = False,
    account: CentreAccount = None,
    as_json: Json = False,
) -> None:
    """Show the parties and how the federation in their VMs is doing; exit with 1 when nothing is deployed.

    Of each party: subscription, network, VM, storage, peering; containers, enrolment, last report. Then what
    waits for a person. With --account only what the centre says.
    """
    look = _look(stack_name(stack, stack_option), on, account, health=health, as_json=as_json)
    if watch:
        status.watch(look, status.WATCH_SECONDS[on])
    look()


def _look(stack: str, on: On, account: str | None, *, health: bool, as_json: bool) -> Callable[[], None]:
    """Return what one look shows."""
    if account is not None:
        return partial(status.show_told, on, centres.reach(stack, on, account).centre, as_json=as_json)
    target = targets.open_deployed(stack, on)
    return partial(status.show, target, deploy.outputs(target), health=health, as_json=as_json)
