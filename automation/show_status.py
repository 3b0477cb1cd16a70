"""Shows the status of a target to whoever asked."""

from collections.abc import Mapping
from typing import Any

from automation import status
from automation.output import show as show_table
from automation.output import show_json, width
from automation.target import Target


def show(target: Target, outputs: Mapping[str, Any], *, as_json: bool) -> None:
    """Read the parties that `outputs` name and print them."""
    parties = status.read(target.arm(), outputs)
    if as_json:
        show_json(status.as_json(target.name, target.on, parties))
    else:
        show_table(status.table(parties, width=width()))
