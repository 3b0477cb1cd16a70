"""`fed dashboards`: what each party may see of the federation."""

from pathlib import Path
from typing import Annotated

import typer

from automation.ui.lazily import lazily
from automation.ui.options import (
    DEFAULT_STACK,
    Json,
    NamedStack,
    On,
    OwnAccount,
    StackOption,
    Where,
    named_stack,
)
from automation.ui.outcome import QuestionError

with lazily():
    from azure import identity

    from automation.operate.dashboards import local as local_dashboards
    from automation.operate.dashboards import publish as powerbi
    from automation.stacks import deploy
    from automation.stacks import target as targets
    from federation import stack_file

PANEL = "Look"

app = typer.Typer(help="Show each party's dashboard, or publish it to Power BI.", invoke_without_command=True)

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
    account: OwnAccount = None,
    as_json: Json = False,
) -> None:
    """Write one HTML page for each party, from its own tables as its own identity may read them.

    With what left a hospital, from its own record: on Azure as one of its officers, with --account.
    """
    if context.invoked_subcommand is not None:
        if party or source or out or account:
            raise QuestionError("--party, --from, --account and --out belong to `fed dashboards` alone")
        return
    made = local_dashboards.make(
        stack, on, parties=tuple(party or ()), source=source, account=account, folder=out, as_json=as_json
    )
    if show:
        local_dashboards.open_in_browser(made)


@app.command()
def publish(
    stack: NamedStack = None,
    stack_option: StackOption = None,
    on: Where = On.EMULATOR,
) -> None:
    """Publish each audience's dashboard into its own Power BI workspace, as the stack's file says."""
    if on is not On.AZURE:
        raise QuestionError(
            "Power BI has no emulator: publish with --on azure. The same pages, here: ./fed dashboards --open"
        )
    stack = named_stack(stack, stack_option)
    settings = stack_file.load_stack(targets.ROOT, stack)
    if not powerbi.publications(settings, ""):
        print(f"{stack} publishes no dashboard: nobody in its file has one (docs/dashboards.md).")
        return
    outputs = deploy.outputs(targets.open_target(stack, on))
    credential = identity.DefaultAzureCredential()
    for publication in powerbi.publications(settings, outputs.centre.storage_url):
        powerbi.publish(publication, stack, credential)
        after = (
            "and refreshed" if publication.dashboard.connection else "empty: no connection in its file yet"
        )
        print(f"{publication.party}: published to workspace {publication.dashboard.workspace}, {after}.")
