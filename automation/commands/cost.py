"""`fed cost`: what each party has cost this month."""

import typer

from automation.ui.lazily import lazily
from automation.ui.options import Json, On, Stack, StackOption, Where, stack_name
from automation.ui.outcome import Code

with lazily():
    from automation.operate import cost
    from automation.stacks import deploy
    from automation.stacks import target as targets

PANEL = "Look"


def command(
    stack: Stack = None,
    stack_option: StackOption = None,
    on: Where = On.EMULATOR,
    as_json: Json = False,
) -> None:
    """Show what each party has spent this month, Azure's forecast, its budget, and the hours of its VM.

    Exits with 1 where a party has spent more than its budget, or will. The figures are Azure's and hours old;
    on the emulator nothing costs anything.
    """
    target = targets.open_deployed(stack_name(stack, stack_option), on)
    if not cost.show(target, deploy.outputs(target), as_json=as_json):
        raise typer.Exit(Code.NO)
