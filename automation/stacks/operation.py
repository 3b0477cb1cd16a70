"""Runs an operation of the engine: shows it, and turns its end into words."""

import re
from collections.abc import Callable, Iterable
from typing import TypeVar

from pulumi.automation import CommandError, ConcurrentUpdateError, OnEvent

from automation.stacks.engine import EngineKilledError
from automation.stacks.events import Record
from automation.stacks.policy_pack import Violation, refusal, told
from automation.stacks.recovery.holders import refuse_held
from automation.stacks.target import Target
from automation.stacks.view import shown
from automation.ui.console import say, warn
from automation.ui.outcome import FedError, RefusedError
from policies.rule import Level

T = TypeVar("T")

_PROTECTED = re.compile(r"(resource )?\"\S+\"\s+cannot be deleted\s+because it is protected\..*", re.DOTALL)
"""Pulumi's words, which go on to say how to take the protection away."""
_KEPT = (
    "this change would delete it, and it holds data that no deployment can make again, so it is protected. "
    "If a hospital is to leave: ./fed hospital remove NAME, which keeps its data. Else put back what the "
    "change took out of the stack file or the program"
)


def run(target: Target, doing: str, operation: Callable[[OnEvent], T]) -> tuple[T, Record]:
    """Run `operation` (which must pass the given callback to the engine) and show it while it lasts.

    Raises RefusedError when it breaks a mandatory rule of `policies/`; FedError with the engine's diagnostics
    when it fails, when it was interrupted, and with the name of the other side when somebody else holds the
    stack.
    """
    record = Record(target.name, target.hospitals)
    target.engine.interrupted = False
    target.engine.on_interrupt = lambda: say(
        "interrupted: finishing and recording what is under way (once more ends it at once)"
    )
    try:
        with shown(record, doing):
            result = operation(record.add)
    except ConcurrentUpdateError as error:
        refuse_held(target)
        if target.emulator:  # nobody holds it now: whoever did has ended since the engine looked
            raise FedError(
                f"another run held the stack {target.name} and has ended meanwhile. Nothing was changed; run "
                "this again."
            ) from error
        raise FedError(f"somebody else holds the stack {target.name}: {stderr_of(error)}") from error
    except EngineKilledError as error:
        raise FedError(
            f"{doing} ended half-way{_changes(record)}: the engine was killed ({error.signal_name}), by a "
            "person or because memory ran out. Fix: run it again; it goes on from there."
        ) from error
    except CommandError as error:
        if target.engine.interrupted:
            raise FedError(f"{doing} was interrupted; run it again to go on from there.") from error
        if refused := refusal(record.violations):
            raise RefusedError(f"{refused}\n{doing} stopped there{_changes(record)}.") from error
        raise FedError(_failure(doing, record, error)) from error
    if target.engine.interrupted:  # too late for the engine, but what would follow must not begin
        raise FedError(
            f"{doing} was interrupted when it had done everything; run it again to go on from there."
        )
    advise(record.violations)
    for warning in record.warnings():
        warn(warning)
    return result, record


def advise(violations: Iterable[Violation]) -> None:
    """Show the violations of rules that are only advice."""
    for text in told(violations, Level.ADVISORY):
        warn(text)


def stderr_of(error: CommandError) -> str:
    """Return what the engine printed as its error."""
    return str(error).rpartition("\n stderr: ")[2].strip()


def _failure(doing: str, record: Record, error: CommandError) -> str:
    found = record.errors() or [stderr_of(error) or str(error)]
    lines = "\n".join(f"- {_PROTECTED.sub(_KEPT, text)}" for text in found)
    return f"{doing} failed{_changes(record)}:\n{lines}"


def _changes(record: Record) -> str:
    done = sum(record.totals()[word] for word in ("created", "updated", "replaced", "deleted"))
    return f" after {done} changes" if done else ""
