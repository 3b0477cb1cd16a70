"""The arguments that many commands share, and what they mean."""

from enum import StrEnum
from typing import Annotated

import typer

from automation.ui.outcome import QuestionError

DEFAULT_STACK = "dev"


class On(StrEnum):
    """Where a stack lives."""

    EMULATOR = "emulator"
    AZURE = "azure"


Stack = Annotated[str | None, typer.Argument(metavar="[STACK]", help="dev, mvp or prod; dev when left out.")]
StackOption = Annotated[str | None, typer.Option("--stack", "-s", metavar="STACK", help="The same as STACK.")]
NamedStack = Annotated[str | None, typer.Argument(metavar="STACK", help="dev, mvp or prod.")]
InStack = Annotated[str, typer.Option("--stack", "-s", metavar="STACK", help="dev, mvp or prod.")]
Where = Annotated[On, typer.Option("--on", help="The emulator on this machine, or Azure.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
OwnAccount = Annotated[
    str | None,
    typer.Option("--account", metavar="NAME", help="On Azure: the hospital's storage account."),
]
CentreAccount = Annotated[
    str | None,
    typer.Option("--account", metavar="NAME", help="On Azure, at the centre's door: its storage account."),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def stack_name(argument: str | None, option: str | None) -> str:
    """Return the stack that was asked for; raise QuestionError when two different ones were."""
    if argument and option and argument != option:
        raise QuestionError(f"two stacks were named, {argument} and {option}: name one")
    return argument or option or DEFAULT_STACK


def named_stack(argument: str | None, option: str | None) -> str:
    """Return the stack that was asked for; raise QuestionError when none was, or two different ones."""
    if not argument and not option:
        raise QuestionError("this changes what others rely on: name the stack, dev, mvp or prod")
    return stack_name(argument, option)
