"""Who holds a stack, and what a killed run leaves behind in it.

The engine locks a stack with a file in the backend (``.pulumi/locks``). A killed one leaves the lock; on
Azure it also leaves operations in the state of which nobody saw the end. On the emulator both can be judged
here: a lock whose process is gone is stale, and what was under way can be begun again. On Azure the lock and
the resources may be somebody else's: there a person decides, and is told how (docs/adr/0043).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pulumi.automation import Deployment, Stack

from automation.stacks.emulated_state import Holder, locks
from automation.stacks.target import Target
from automation.stacks.urns import name_of, type_of
from automation.ui.console import say
from automation.ui.outcome import FedError
from clone import paths

_NOT_THERE_YET = "creating"


def refuse_held(target: Target, stack: Stack | None = None) -> bool:
    """Raise FedError when an engine that lives holds the emulated stack; free it from one that was killed.

    Returns whether there was one to free it from.
    """
    held = locks(target.emulator, target.name) if target.emulator else []
    living = next((holder for holder in held if holder.lives), None)
    if living:
        raise FedError(
            f"the stack {target.name} is held by another run: process {living.pid} of {living.user} on "
            f"{living.host}, since {living.since}. {_way_out(target.name, living)} Nothing was changed."
        )
    if held:
        say(f"the last run of {target.name} was killed; going on from there")
        (stack or target.stack()).cancel()
    return bool(held)


def _way_out(stack: str, holder: Holder) -> str:
    if holder.is_here:
        return "Wait for it, or interrupt it there."
    return (
        f"Wait for it, or interrupt it there. If there is no {holder.host} any more (a container gets a new "
        f'name at each start), free the stack: eval "$(./fed env)"; pulumi cancel {stack} --yes.'
    )


def recover(target: Target, stack: Stack) -> bool:
    """Make a stack ready for a run; tell whether the one before was killed.

    Frees the lock and clears the operations that a killed engine left. Raises FedError when another run holds
    the stack, and on Azure when a person must look first.
    """
    killed = False
    if target.emulator:
        killed = refuse_held(target, stack) or _mark(target).exists()
    state = stack.export_stack()
    content = dict(state.deployment or {})
    pending: list[dict[str, Any]] = content.pop("pending_operations", None) or []
    if not pending:
        return killed
    created = [operation for operation in pending if operation["type"] == _NOT_THERE_YET]
    if created and not target.emulator:
        raise FedError(_ask_a_person(target.name, created))
    stack.import_stack(Deployment(version=state.version, deployment=content))
    return True


@contextmanager
def marked(target: Target) -> Iterator[None]:
    """Leave a mark on an emulated stack for as long as a run that changes it lasts.

    An engine that ends by itself records what it did and frees its lock; then the mark goes, too, whether the
    run succeeded or not.
    """
    if target.emulator is None:
        yield
        return
    mark = _mark(target)
    paths.private_folder(mark.parent)
    mark.touch()
    try:
        yield
    finally:
        if not locks(target.emulator, target.name):
            mark.unlink(missing_ok=True)


def _mark(target: Target) -> Path:
    assert target.emulator  # noqa: S101 only emulated stacks are marked
    return target.emulator.home / paths.emulator().relative_to(paths.home()) / "unfinished" / target.name


def _ask_a_person(stack: str, pending: list[dict[str, Any]]) -> str:
    lines = "\n".join(
        f"  - {name_of(operation['resource']['urn'])} ({type_of(operation['resource']['urn'])})"
        for operation in pending
    )
    return (
        f"the last run of {stack} was killed while Azure was making these resources; nobody recorded whether "
        f"they exist:\n{lines}\n"
        "Fix: look for each in the portal or with `az resource show`. Delete those that exist and hold "
        "nothing, or take them over with `pulumi import`. Then forget the question with "
        f"`pulumi refresh -s {stack} --clear-pending-creates`, and run this again."
    )
