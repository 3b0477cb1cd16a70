"""Shows the status of a target to whoever asked."""

from collections.abc import Mapping
from typing import Any

from automation.operate import health as federation
from automation.operate import status
from automation.stacks.target import Target
from automation.ui.console import show as show_table
from automation.ui.console import show_json, stderr, width
from automation.ui.outcome import FedError, QuestionError, RefusedError


def show(target: Target, outputs: Mapping[str, Any], *, health: bool, as_json: bool) -> None:
    """Read the parties that `outputs` name, with `health` also how the federation is doing, and print them.

    A federation that does not answer is said on standard error, and is no failure: its parties are there.
    """
    parties = status.read(target.arm(), outputs)
    found = _health(target, outputs) if health else None
    if as_json:
        show_json(status.as_json(target.name, target.on, parties, found))
        return
    show_table(status.table(parties, width=width()))
    if found:
        show_table("")
        show_table(federation.table(found))
        show_table(federation.last_job(found))


def _health(target: Target, outputs: Mapping[str, Any]) -> Mapping[str, Any] | None:
    try:
        return federation.read(target, outputs)
    except (FedError, RefusedError, QuestionError) as silent:
        stderr.print(f"fed: the centre does not say how the federation is doing: {silent}", markup=False)
        return None
