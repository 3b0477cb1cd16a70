"""`fed upgrade`: the images of the stack, one party at a time."""

from typing import Annotated

import typer

from automation.ui.lazily import lazily
from automation.ui.options import DEFAULT_STACK, InStack, On, Where

with lazily():
    from automation.operate import centre as centres
    from automation.operate import upgrade
    from automation.stacks import deploy
    from automation.stacks import target as targets

PANEL = "Deploy"


def command(
    *,
    party: Annotated[
        str | None,
        typer.Option("--party", metavar="PARTY", help="This one alone, the centre before others."),
    ] = None,
    wait: Annotated[
        float,
        typer.Option("--wait", metavar="SECONDS", min=0, help="How long each may take, with a running job."),
    ] = 3600,
    stack: InStack = DEFAULT_STACK,
    on: Where = On.EMULATOR,
) -> None:
    """Run the images that `fed up` wrote into the stack: the centre first, then one hospital after the other.

    Each waits for a running job, and is well before the next; one that is not goes back by itself and ends
    the upgrade. A hospital whose officers have not approved an image waits for them and runs what it ran.
    """
    target = targets.open_deployed(stack, on)
    arm, outputs = target.arm(), deploy.outputs(target)
    turns = upgrade.wanted(arm, outputs, party)
    upgrade.upgrade(centres.of(target, outputs).centre, turns, patience=wait)
