"""`fed doctor`: what this machine has and lacks."""

from dataclasses import asdict

import typer

from automation.ui.lazily import lazily
from automation.ui.options import Json
from automation.ui.outcome import Code

with lazily():
    from automation.machine import doctor
    from automation.ui import console

PANEL = "This machine"


def command(as_json: Json = False) -> None:
    """Try what fed needs of this machine, print the fix for what is missing; exit with 1 if something is."""
    findings = doctor.examine()
    if as_json:
        console.show_json([asdict(finding) for finding in findings])
    else:
        console.show(doctor.table(findings))
    if any(finding.state == doctor.BAD for finding in findings):
        raise typer.Exit(Code.NO)
