"""`fed preview`: what `fed up` would change."""

from typing import Annotated

import typer

from automation.ui.lazily import lazily
from automation.ui.options import Json, On, Stack, StackOption, Where, stack_name
from automation.ui.outcome import Code

with lazily():
    from automation.stacks import deploy
    from automation.stacks import plan as plans
    from automation.stacks import target as targets

PANEL = "Deploy"


def command(
    stack: Stack = None,
    stack_option: StackOption = None,
    on: Where = On.EMULATOR,
    expect_no_changes: Annotated[
        bool, typer.Option("--expect-no-changes", help="Exit with 1 when something would change.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show what `fed up` would change, party by party; nothing is changed."""
    plan = deploy.preview(targets.open_target(stack_name(stack, stack_option), on))
    plans.show(plan, as_json=as_json)
    if expect_no_changes and plan.changes:
        raise typer.Exit(Code.NO)
