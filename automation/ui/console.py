"""How `fed` speaks: answers on standard output, as tables or as JSON; everything else on standard error."""

import json
import sys
from typing import Any

import typer
from rich.console import Console, RenderableType
from rich.table import Table

from automation.ui.outcome import QuestionError, RefusedError

_WIDE = 160
"""Columns for a table that goes to a file or a pipe, where nothing needs to be folded."""

stderr = Console(stderr=True, highlight=False)
"""For what is shown while it goes on; sentences go through `say` and `warn`."""


def say(sentence: str) -> None:
    """Print a sentence to standard error; each stays one line, which the terminal folds."""
    stderr.print(f"fed: {sentence}", markup=False, soft_wrap=True)


def warn(sentence: str) -> None:
    """Print a warning to standard error."""
    stderr.print(f"warning: {sentence}", style="yellow", markup=False, soft_wrap=True)


def confirm(question: str, *, unasked: str, declined: str) -> None:
    """Ask a person for a yes.

    Raises QuestionError with `unasked` where there is no terminal to ask at, RefusedError with `declined`.
    """
    if not sys.stdin.isatty():
        raise QuestionError(unasked)
    if not typer.confirm(question, err=True):
        raise RefusedError(declined)


def typed(question: str) -> str | None:
    """Return what a person types as an answer, None where there is no terminal to ask at."""
    return str(typer.prompt(question, err=True)) if sys.stdin.isatty() else None


def table(*headings: str) -> Table:
    """Return an empty table in the style of all others; long values are folded."""
    result = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for heading in headings:
        result.add_column(heading, overflow="fold")
    return result


def show(renderable: RenderableType) -> None:
    """Print a table or text to standard output."""
    _console().print(renderable)


def width() -> int:
    """Return how many columns standard output has."""
    return _console().width


def _console() -> Console:
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _WIDE
    return console


def show_json(document: Any) -> None:
    """Print a JSON document to standard output."""
    print(json.dumps(document, indent=2, ensure_ascii=False))
