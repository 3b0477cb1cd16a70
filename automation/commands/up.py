"""`fed up`: deploy a stack."""

from typing import Annotated

import typer

from automation.ui.lazily import lazily
from automation.ui.options import Json, On, Stack, StackOption, Where, Yes, stack_name

with lazily():
    from automation.machine import system
    from automation.operate import backup, emulated, status
    from automation.operate import real as machines_that_are_real
    from automation.stacks import deploy
    from automation.stacks import target as targets

PANEL = "Deploy"


def command(  # noqa: PLR0917 typer reads the order
    stack: Stack = None,
    stack_option: StackOption = None,
    on: Where = On.EMULATOR,
    yes: Yes = False,
    machines: Annotated[
        bool,
        typer.Option(
            "--machines/--no-machines",
            envvar="FED_MACHINES",
            help="On the emulator: also run the networks and VMs, until every hospital is registered.",
        ),
    ] = True,
    reconnect: Annotated[
        list[str] | None,
        typer.Option(metavar="HOSPITAL", help="Make a hospital's peering again that somebody cut."),
    ] = None,
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Look at Azure first, and put back what was changed by hand.")
    ] = False,
    real: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PARTY",
            help="On the emulator: a hospital whose machine is a real one (QEMU); `none`: no longer.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Deploy a stack and show it; a run that was killed goes on where it ended.

    On Azure the plan is shown first and you are asked, unless you say --yes.
    """
    target = targets.open_target(stack_name(stack, stack_option), on)
    if real:
        machines_that_are_real.order(target, real)
    outputs = deploy.up(target, ask=on is On.AZURE and not yes, reconnect=reconnect or (), refresh=refresh)
    if machines:
        if target.emulator and system.can_install():
            system.require_packages()
        emulated.bring_up(target, outputs)
    if outputs.centre.backup:
        backup.settle(target.arm(), outputs.centre.backup)
    status.show(target, outputs, health=machines, as_json=as_json)
