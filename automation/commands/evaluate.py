"""`fed evaluate`: have every hospital measure a registered model on its patients, without training."""

from typing import Annotated

import typer

from automation.ui.lazily import lazily
from automation.ui.options import DEFAULT_STACK, CentreAccount, Json, On, Where

with lazily():
    from automation.operate import session

PANEL = "Work"


def command(  # noqa: PLR0917 typer reads the order
    name: Annotated[str, typer.Argument(metavar="MODEL", help="The model's name, which is its job's.")],
    version: Annotated[
        str | None, typer.Option("--version", help="A version; the champion when left out.")
    ] = None,
    stack: Annotated[
        str, typer.Option("--stack", "-s", metavar="STACK", help="dev, mvp or prod.")
    ] = DEFAULT_STACK,
    on: Where = On.EMULATOR,
    account: CentreAccount = None,
    as_json: Json = False,
) -> None:
    """Measure a registered model at every hospital, without training; Ctrl-C only stops watching.

    It is the last round of the model's job, in which hospitals only measure: the same code, under the same
    approvals, through the same airlock. The model stays as it is, and no version comes of it.
    """
    session.evaluate(stack, on, account, name=name, version=version, as_json=as_json)
