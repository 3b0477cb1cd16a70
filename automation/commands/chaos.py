"""`fed chaos`: faults on purpose, and what became of them."""

from pathlib import Path
from typing import Annotated

import typer

from automation.ui.lazily import lazily
from automation.ui.options import Json
from automation.ui.outcome import Code

with lazily():
    from automation.chaos import report as reports
    from automation.chaos import run, trial
    from automation.ui import console

PANEL = "This machine"


def command(  # noqa: PLR0917 typer reads the order
    seed: Annotated[int, typer.Option("--seed", help="The same seed mixes the faults alike.")] = 1,
    fault: Annotated[
        list[str] | None, typer.Option("--fault", metavar="NAME", help="Only this fault; may be repeated.")
    ] = None,
    minutes: Annotated[float, typer.Option("--minutes", min=0, help="Begin nothing new after these.")] = 60,
    moments: Annotated[
        int,
        typer.Option("--moments", min=1, help="How often each fault of processes, people and VMs strikes."),
    ] = 2,
    report: Annotated[
        Path | None, typer.Option("--report", metavar="FILE", help="Also write the tables (Markdown).")
    ] = None,
    as_json: Json = False,
) -> None:
    """Strike a federation on an emulator of its own, in a copy of this clone, and show what became of it.

    Resource Manager refuses, forgets to answer or fails later, at every operation of a stack's life; what
    deploys is killed, people get in each other's way, and processes, networks and disks of a federation
    that trains fail, at moments that chance chooses. Exits 1 when anything did not converge within two
    more runs, is lost, or is left running.
    """
    if report is not None:
        reports.check(report, run.PARTS)
    campaign = run.run(seed=seed, faults=fault or (), minutes=minutes, moments=moments)
    if report is not None:
        reports.write(report, campaign, run.PARTS)
    if as_json:
        console.show_json(trial.document(campaign))
    else:
        console.write(trial.markdown(campaign))
    if not campaign.held:
        raise typer.Exit(Code.NO)
