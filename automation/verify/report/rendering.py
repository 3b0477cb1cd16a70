"""The one maker of documents from the templates next to this file; everything put into them is escaped."""

from typing import Any

from automation.ui import templates

_TEMPLATES = templates.next_to(__file__)


def render(template: str, **values: Any) -> str:
    """Return a template with values in it; a value that is missing raises UndefinedError."""
    return _TEMPLATES.get_template(template).render(**values)
