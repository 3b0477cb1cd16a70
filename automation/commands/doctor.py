"""`fed doctor`: what this machine has and lacks."""

import typer

from automation.ui.options import Json
from automation.ui.outcome import Code

PANEL = "This machine"


def command(as_json: Json = False) -> None:
    """Try what fed needs of this machine, print the cure for what is missing; exit with 1 if something is."""
    from dataclasses import asdict  # noqa: PLC0415 slow

    from automation.machine import doctor  # noqa: PLC0415
    from automation.ui.console import show, show_json  # noqa: PLC0415

    findings = doctor.examine()
    if as_json:
        show_json([asdict(finding) for finding in findings])
    else:
        show(doctor.table(findings))
    if any(finding.state == doctor.BAD for finding in findings):
        raise typer.Exit(Code.NO)
