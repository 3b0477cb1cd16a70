"""`fed bootstrap`: what an organisation needs once, before its first deployment."""

from typing import Annotated

import typer

from automation.ui.lazily import lazily
from automation.ui.options import On, Where, Yes

with lazily():
    from automation.delivery import bootstrap

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

    if ask_github:
        bootstrap.subject_prefix()
    else:
        bootstrap.bootstrap(on, yes=yes)
