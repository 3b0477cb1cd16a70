"""`fed ci`: the steps of the workflows in `.github/`, each runnable on a laptop."""

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from automation.ui.lazily import lazily
from automation.ui.options import Json, On, Where

with lazily():
    from automation.delivery import action_lock, affected, oidc, planning, steps
    from automation.stacks import plan as plans

PANEL = "Deliver"
app = typer.Typer(
    help="What the workflows do, step by step; each runs on a laptop too.", no_args_is_help=True
)


class UpTo(StrEnum):
    """The stacks that a commit is promoted to, in their order."""

    MVP = "mvp"
    PROD = "prod"


Stack = Annotated[str, typer.Argument(metavar="STACK", help="dev, mvp or prod.")]
Out = Annotated[Path, typer.Option("--out", help="The file to write.")]
Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the jobs' files are.")]


@app.command()
def branch(name: Annotated[str, typer.Argument(metavar="NAME")]) -> None:
    """Check that a branch is named feature-<what>; say how to rename it when it is not."""
    affected.check_branch(name)


@app.command(name="affected")
def affected_stacks(
    base: Annotated[str, typer.Option("--base", help="The commit that the change left.")],
    head: Annotated[str, typer.Option("--head", help="The change's last commit.")] = "HEAD",
) -> None:
    """Print the stacks that a change can reach, as JSON."""
    print(json.dumps(steps.affected_stacks(base, head)))


@app.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
def azure(command: Annotated[list[str], typer.Argument(metavar="-- COMMAND...")]) -> None:
    """Run COMMAND signed in to Azure with the job's token; outside GitHub, under your own login."""
    raise typer.Exit(oidc.run(command))


@app.command()
def plan(
    stack: Stack,
    out: Out,
    *,
    expect: Annotated[
        Path | None, typer.Option("--expect", help="The plan that was approved; another one is refused.")
    ] = None,
    drift: Annotated[
        bool, typer.Option("--drift", help="Read Azure first; exit with 1 when it is not what was deployed.")
    ] = False,
    on: Where = On.EMULATOR,
    as_json: Json = False,
) -> None:
    """Preview a stack and keep the plan, also when the preview fails: names only, never a value."""
    approved = planning.read_approved(expect, out) if expect is not None else None
    found = planning.plan(stack, on, out, drift=drift)
    plans.show(found, as_json=as_json)
    if approved is not None:
        planning.require_approved(found, approved)
    raise typer.Exit(planning.exit_code(found, drift=drift))


@app.command()
def unlock(stack: Stack, on: Where = On.EMULATOR) -> None:
    """Take a stack's lock from a run that was cancelled; only when no other run is going."""
    planning.unlock(stack, on)


@app.command()
def intent(stack: Stack, out: Out) -> None:
    """Write what a stack's settings allow: who may reach whom, and who may touch which data."""
    steps.write_intent(stack, out)


@app.command()
def comment(
    folder: Folder,
    expected: Annotated[str, typer.Option("--expected", help="What `fed ci affected` printed.")],
    pull_request: Annotated[
        int | None, typer.Option("--pull-request", help="Write it under this pull request; else print it.")
    ] = None,
) -> None:
    """Say what a change does to whom, from the files that the jobs of its pull request left."""
    text = steps.pull_request_comment(folder, steps.expected_stacks(expected))
    if pull_request is None:
        sys.stdout.write(text)
        return
    print(steps.comment_on(pull_request, text))


@app.command()
def deployed(stack: Stack) -> None:
    """Print the commit that a stack was last deployed from, by GitHub's record; nothing when it never was."""
    print(steps.deployed_commit(stack))


@app.command()
def report(
    folder: Folder,
    jobs: Annotated[str, typer.Option("--jobs", help="How the jobs that looked for drift ended.")],
) -> None:
    """Open, update or close the one issue about drift."""
    print(steps.report_drift(folder, jobs))


@app.command()
def promotable(
    commit: Annotated[str, typer.Argument(metavar="COMMIT")],
    upto: Annotated[UpTo, typer.Option("--upto", help="The last stack that it shall reach.")] = UpTo.MVP,
) -> None:
    """Check that dev runs a commit, its images were scanned, and prod pins what mvp pins."""
    steps.check_promotable(commit, upto)


@app.command()
def lock(
    update: Annotated[
        bool, typer.Option("--update", help="Write what the workflows use, if it is right.")
    ] = False,
) -> None:
    """Check with GitHub that each locked action's commit is the release that it is said to be."""
    action_lock.check(update=update)
