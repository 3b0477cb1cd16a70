"""`fed env`: turn a shell towards the emulator."""

from typing import Annotated

import typer

from automation.ui.lazily import lazily

with lazily():
    from automation.stacks import shell

PANEL = "Work"


def command(
    unset: Annotated[bool, typer.Option("--unset", help="Print what turns the shell back.")] = False,
) -> None:
    """Print what a shell needs for plain `pulumi` and `az` commands on the emulator: eval "$(./fed env)".

    Afterwards `pulumi preview|up|refresh|destroy -s dev|mvp|prod` work there, and `az` in the subscriptions
    that the emulator then has. eval "$(./fed env --unset)"
    turns the shell back.
    """
    print("\n".join(shell.unset_lines() if unset else shell.export_lines()))
