"""`fed preview`: what `fed up` would change."""

from typing import Annotated

import typer

from automation.ui.options import Json, On, Stack, StackOption, Where, stack_name
from automation.ui.outcome import Code

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
    from automation.stacks import deploy, show_plan  # noqa: PLC0415 slow
    from automation.stacks.target import open_target  # noqa: PLC0415

    plan = deploy.preview(open_target(stack_name(stack, stack_option), on))
    show_plan.show(plan, as_json=as_json)
    if expect_no_changes and plan.changes:
        raise typer.Exit(Code.NO)
