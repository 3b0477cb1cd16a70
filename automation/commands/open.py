"""`fed open`: a page of the running federation in the operator's browser."""

from enum import StrEnum
from typing import Annotated

import typer

from automation.ui.lazily import lazily
from automation.ui.options import DEFAULT_STACK, On, Where

with lazily():
    from automation.operate import enter

PANEL = "Look"


class Page(StrEnum):
    """What can be opened."""

    MLFLOW = "mlflow"


def command(
    page: Annotated[Page, typer.Argument(metavar="PAGE", help="mlflow: experiments, runs, models.")],
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Port of this machine's loopback; 0 for any.")
    ] = 5000,
    name: Annotated[
        str | None, typer.Option("--as", metavar="NAME", help="Whose account; yours when left out.")
    ] = None,
    stack: Annotated[str, typer.Option("--stack", "-s", metavar="STACK")] = DEFAULT_STACK,
    on: Where = On.EMULATOR,
) -> None:
    """Lead a port of this machine to MLflow on the centre's VM, until Ctrl-C, and sign you in (emulator).

    The account may read for 12 hours; its password is said once. Azure has no counterpart: there nobody opens
    a connection to a VM. Models and metrics are in the centre's storage account as well (docs/jobs.md).
    """
    enter.open_page(stack, on, page, port, name)
