"""How `fed` speaks: answers on standard output, as tables or as JSON; everything else on standard error."""

import json
import os
import sys
from typing import Any, NoReturn

import typer
from rich.console import Console, RenderableType
from rich.table import Table

from automation.ui.outcome import Code, QuestionError, RefusedError

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


def clear() -> None:
    """Empty the screen, where there is one."""
    _console().clear()


def width() -> int:
    """Return how many columns standard output has."""
    return _console().width


def write(text: str) -> None:
    """Write text to standard output at once."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        _reader_left()


class _Answering(Console):
    """Standard output for tables."""

    def on_broken_pipe(self) -> None:
        """End well; rich's own way is exit code 1."""
        _reader_left()


def _reader_left() -> NoReturn:
    """End well where whoever reads has read enough (`fed status | head -1`): click would end with 1."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is still in the buffer goes nowhere
    raise SystemExit(Code.DONE)


def _console() -> Console:
    console = _Answering(highlight=False)
    if not console.is_terminal:
        console.width = _WIDE
    return console


def show_json(document: Any) -> None:
    """Print a JSON document to standard output."""
    write(as_json(document))


def as_json(document: Any) -> str:
    """Return a JSON document as people read it."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
