"""`fed bench`: how fast everything is on this machine, and against what."""

from pathlib import Path
from typing import Annotated

import typer

from automation.ui.lazily import lazily
from automation.ui.options import Json
from automation.ui.outcome import Code, QuestionError

with lazily():
    from automation.bench import plot, results, run
    from automation.bench import report as reports
    from automation.ui import console

PANEL = "This machine"


def command(
    hospitals: Annotated[
        str, typer.Option("--hospitals", metavar="N,N,...", help="Sizes of federation to measure.")
    ] = "3,10,30,100",
    machines: Annotated[
        bool, typer.Option("--machines/--no-machines", help="Also run machines, and train on them.")
    ] = True,
    compare: Annotated[
        bool,
        typer.Option(
            "--compare/--alone", help="Also measure the floor, a plain program, NVFlare's simulator."
        ),
    ] = True,
    report: Annotated[
        Path | None,
        typer.Option("--report", metavar="FILE.md", help="Also write the page, with FILE.svg and FILE.json."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure deployments of growing federations and trainings, in copies of this clone; some 25 minutes.

    Quiet machine, please: nothing else should run. Exits 1 when a target that was measured is missed.
    """
    asked = f"./fed bench --hospitals {hospitals}"
    asked += ("" if machines else " --no-machines") + ("" if compare else " --alone")
    found = run.run(hospitals=_sizes(hospitals), machines=machines, compare=compare, command=asked)
    if report is not None:
        picture = report.with_suffix(".svg")
        picture.write_text(plot.plot(found), encoding="utf-8")
        report.write_text(reports.markdown(found, picture.name), encoding="utf-8")
        report.with_suffix(".json").write_text(console.as_json(reports.document(found)), encoding="utf-8")
    if as_json:
        console.show_json(reports.document(found))
    else:
        console.write(reports.markdown(found))
    if any(target.holds is False for target in results.targets(found)):
        raise typer.Exit(Code.NO)


def _sizes(text: str) -> list[int]:
    """Return the sizes that were asked for. Raises QuestionError."""
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() and 1 <= int(word) <= 1000 for word in words):
        raise QuestionError(f"--hospitals {text!r} is no list of numbers from 1 to 1000, such as 3,10,30")
    return sorted({int(word) for word in words})
