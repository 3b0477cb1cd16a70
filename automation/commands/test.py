"""`fed test`: everything that checks this repository."""

import os
from typing import Annotated

import typer

from automation.ui.lazily import lazily
from automation.ui.outcome import Code

with lazily():
    from automation.machine import suite

PANEL = "This machine"


def command(
    parts: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PART]...", help="lint, unit, emulator, datacentre, e2e, long, real, a test file."
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", "-n", help="Tests at once; one more than CPUs, at most 4.")
    ] = None,
    keyword: Annotated[
        str | None, typer.Option("--keyword", "-k", help="Only tests whose name matches (pytest -k).")
    ] = None,
    order: Annotated[
        int | None,
        typer.Option("--order", metavar="SEED", help="Shuffle the tests; the same number, the same order."),
    ] = None,
) -> None:
    """Run the checks: lint and types, then the tests, with their durations; all but `long` and `real`.

    `long` runs the campaigns that take minutes each, `real` the tests of a real machine (root, QEMU); with a
    part or a test file, those found there.
    """
    at_once = workers if workers is not None else min((os.cpu_count() or 1) + 1, suite.MOST_WORKERS)
    raise typer.Exit(Code.DONE if suite.run(parts or [], at_once, keyword, order) else Code.NO)
