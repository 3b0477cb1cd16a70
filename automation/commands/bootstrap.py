"""`fed bootstrap`: what an organisation needs once, before its first deployment."""

from typing import Annotated

import typer

from automation.ui.options import On, Where, Yes

PANEL = "Deliver"


def command(
    on: Where = On.EMULATOR,
    yes: Yes = False,
    ask_github: Annotated[
        bool, typer.Option("--ask-github", help="Only print what your repository's OIDC subjects begin with.")
    ] = False,
) -> None:
    """Make the identities with which GitHub deploys, the state's storage and the registry of released images.

    Says first what it would make; --yes makes it, and prints the commands that let your repository in.
    """
    from automation.delivery import bootstrap  # noqa: PLC0415 slow

    def say(text: str) -> None:
        typer.echo(f"fed: {text}", err=True)

    if ask_github:
        bootstrap.subject_prefix(say)
    else:
        bootstrap.bootstrap(on, yes=yes, say=say)
