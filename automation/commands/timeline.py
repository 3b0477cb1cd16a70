"""`fed timeline`: where a deployment's time went."""

from typing import Annotated

import typer

from automation.ui.lazily import lazily
from automation.ui.options import Json, On, Stack, StackOption, Where, stack_name

with lazily():
    from automation.timeline import report, run

PANEL = "Deploy"


def command(
    stack: Stack = None,
    stack_option: StackOption = None,
    on: Where = On.EMULATOR,
    most: Annotated[
        int, typer.Option("--top", min=1, help="Resources of the critical path to show, the slowest ones.")
    ] = 20,
    as_json: Json = False,
) -> None:
    """Show how long the last deployment took, resource by resource, and which ones the whole waited for.

    Writes a page with a bar for each resource. The run is the last one of this clone that changed something.
    """
    name = stack_name(stack, stack_option)
    report.show(run.last(name, on), run.page(name, on), most=most, as_json=as_json)
