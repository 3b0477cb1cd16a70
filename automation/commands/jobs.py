"""`fed jobs`: the training jobs of a stack."""

import json
from pathlib import Path
from typing import Annotated

import typer

from automation.ui.lazily import lazily
from automation.ui.options import DEFAULT_STACK, CentreAccount, Json, On, Where
from federation.naming import INBOX_CONTAINER, RESULTS_CONTAINER

with lazily():
    from automation.operate import centre_door, drafts, inbox, session, trial

PANEL = "Work"

app = typer.Typer(
    help="List the jobs; draft, try, submit, watch, show or stop one, and fetch what it left.",
    invoke_without_command=True,
)

Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="With a job.yaml (docs/jobs.md).")]
JobId = Annotated[str, typer.Argument(metavar="ID", help="May be shortened to its beginning.")]
StackName = Annotated[str, typer.Option("--stack", "-s", metavar="STACK", help="dev, mvp or prod.")]


@app.callback()
def listing(
    context: typer.Context,
    stack: StackName = DEFAULT_STACK,
    on: Where = On.EMULATOR,
    account: CentreAccount = None,
    as_json: Json = False,
) -> None:
    """List all jobs, newest first."""
    if context.invoked_subcommand is None:
        session.jobs(stack, on, account, as_json=as_json)


@app.command()
def show(
    job_id: JobId,
    stack: StackName = DEFAULT_STACK,
    on: Where = On.EMULATOR,
    account: CentreAccount = None,
    as_json: Json = False,
) -> None:
    """Show who asks for a job, why, what it reads and sends, and what each hospital says to it."""
    session.show_job(stack, on, job_id, account, as_json=as_json)


@app.command()
def abort(
    job_id: JobId,
    stack: StackName = DEFAULT_STACK,
    on: Where = On.EMULATOR,
    account: CentreAccount = None,
) -> None:
    """Stop a job that is queued or running."""
    session.abort(stack, on, job_id, account)


@app.command("try")
def try_job(
    folder: Folder,
    *,
    rounds: Annotated[int, typer.Option("--rounds", min=1)] = 2,
    param: Annotated[list[str] | None, typer.Option("--param", metavar="NAME=VALUE")] = None,
    dataset: Annotated[
        list[Path] | None, typer.Option("--dataset", metavar="FOLDER", help="A data set of yours.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="FOLDER", help="Deal out these tables instead.")
    ] = None,
    rows: Annotated[int, typer.Option("--rows", min=1, help="Made-up patients of each hospital.")] = 200,
    hospitals: Annotated[int, typer.Option("--hospitals", min=1, max=9)] = 3,
    printed: Annotated[bool, typer.Option("--printed", help="Show what the code printed, too.")] = False,
    as_json: Json = False,
) -> None:
    """Run a job here, at made-up hospitals: what would leave them, what stays, where the code fails.

    Nothing is deployed or sent. Data are drawn within what the data set's schema allows. Exit code 1: it
    would have failed.
    """
    words = [f"--rows={rows}", f"--hospitals={hospitals}", f"--rounds={rounds}"]
    words += [f"--param={pair}" for pair in param or ()]
    words += [f"--dataset={one.resolve()}" for one in dataset or ()]
    words += [f"--data={data.resolve()}"] if data else []
    for event in trial.run(folder, words):
        for line in [json.dumps(event)] if as_json else trial.sentences(event, printed=printed):
            typer.echo(line)


@app.command()
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Lower case, digits and -.")],
    script: Annotated[
        Path, typer.Option("--from-script", metavar="FILE", help="A script of NVFlare's Client API.")
    ],
    into: Annotated[Path | None, typer.Option("--to", metavar="FOLDER", help="Default: NAME.")] = None,
) -> None:
    """Draft a job's folder around a training script: job.yaml, with what a person has to look at."""
    folder = into or Path(name)
    remarks = drafts.new(name, script, folder)
    typer.echo(f"{folder / 'job.yaml'}: a draft. Look at it, then: ./fed jobs try {folder}")
    for remark in remarks:
        typer.echo(f"  {remark}")


@app.command()
def submit(
    folder: Folder,
    stack: StackName = DEFAULT_STACK,
    on: Where = On.EMULATOR,
    account: CentreAccount = None,
    *,
    wait: Annotated[bool, typer.Option(help="Watch it to its end.")] = False,
) -> None:
    """Bring a job's folder to the centre, which puts it before the hospitals; print its id."""
    job_id = inbox.submit(centre_door.container(stack, on, account, INBOX_CONTAINER), folder)
    typer.echo(job_id)
    if wait:
        session.watch(stack, on, job_id, account)


@app.command()
def watch(
    job_id: JobId,
    stack: StackName = DEFAULT_STACK,
    on: Where = On.EMULATOR,
    account: CentreAccount = None,
) -> None:
    """Follow a job to its end: whom it waits for, its rounds, what it measured. Exit code 1: it failed."""
    session.watch(stack, on, session.whole_id(stack, on, job_id, account), account)


@app.command()
def logs(
    job_id: JobId,
    stack: StackName = DEFAULT_STACK,
    on: Where = On.EMULATOR,
    account: CentreAccount = None,
) -> None:
    """Show what the hospitals said to a job: whose answers did not count, and where its code failed.

    What the code printed stays at the hospital. On the emulator: ./fed logs HOSPITAL fl-box
    """
    session.job_log(stack, on, job_id, account)


@app.command()
def download(
    job_id: JobId,
    into: Annotated[
        Path | None, typer.Option("--to", metavar="FOLDER", help="Default: the job's id.")
    ] = None,
    stack: StackName = DEFAULT_STACK,
    on: Where = On.EMULATOR,
    account: CentreAccount = None,
) -> None:
    """Write what a job left at the centre into a new folder."""
    whole = job_id if account else session.whole_id(stack, on, job_id)
    folder = into or Path(whole)
    for name in inbox.download(centre_door.container(stack, on, account, RESULTS_CONTAINER), whole, folder):
        typer.echo(f"{folder}/{name}")
