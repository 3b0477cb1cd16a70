"""Prints what a command answers, a table for people or JSON for programs, and says the rest on `stderr`."""

import json
from typing import Any

from rich.console import Console, RenderableType

_WIDE = 160
"""Columns for a table that goes to a file or a pipe, where nothing needs to be folded."""

stderr = Console(stderr=True, highlight=False, soft_wrap=True)
"""For sentences: each stays one line, which the terminal folds."""


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
