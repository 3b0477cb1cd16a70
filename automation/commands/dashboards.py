"""`fed dashboards`: what each party may see of the federation."""

from pathlib import Path
from typing import Annotated

import typer

from automation.options import DEFAULT_STACK, Json, On, Where
from automation.outcome import QuestionError

PANEL = "Look"

app = typer.Typer(help="Show each party's dashboard.", invoke_without_command=True)

StackName = Annotated[str, typer.Option("--stack", "-s", metavar="STACK", help="dev, mvp or prod.")]


@app.callback()
def pages(
    context: typer.Context,
    *,
    stack: StackName = DEFAULT_STACK,
    party: Annotated[
        list[str] | None,
        typer.Option("--party", metavar="NAME", help="centre or a hospital; all when left out."),
    ] = None,
    show: Annotated[bool, typer.Option("--open", help="Open the pages in the browser.")] = False,
    source: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="PLACE", help="Tables in a folder, or a container's https:// address."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FOLDER", help=".fed/dashboards/STACK when left out.")
    ] = None,
    on: Where = On.EMULATOR,
    as_json: Json = False,
) -> None:
    """Write one HTML page for each party, from its own tables as its own identity may read them."""
    if context.invoked_subcommand is not None:
        if party or source or out:
            raise QuestionError("--party, --from and --out belong to `fed dashboards` alone")
        return
    from automation.operate import local_dashboards  # noqa: PLC0415 slow

    made = local_dashboards.make(
        stack, on, parties=tuple(party or ()), source=source, folder=out, as_json=as_json
    )
    if show:
        local_dashboards.open_in_browser(made)
