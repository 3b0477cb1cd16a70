"""How documents are made from templates: a value that is missing ends it, and values are text, not markup."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def next_to(module: str, *, markup: bool = True) -> Environment:
    """Return the templates of the folder `templates` next to a module (its `__file__`).

    Without `markup` nothing is escaped: for documents that are no HTML, of values of our own.
    """
    return Environment(
        loader=FileSystemLoader(Path(module).parent / "templates"),
        autoescape=markup,  # noqa: S701 off only for what is no HTML
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
