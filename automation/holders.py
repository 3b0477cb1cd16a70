"""Who holds a stack, and what a killed engine leaves behind in its state.

The engine locks a stack with a file in the backend (``.pulumi/locks``) and notes each operation in the state
before it starts it. A killed one leaves both. On the emulator they can be judged here: a lock whose process
is gone is stale, and an operation that was under way can be begun again, because the emulated provider knows
the creates that it was killed in. On Azure the lock and the resource may be somebody else's: there it is a
person who decides, and is told how.
"""

import json
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pulumi.automation import Deployment, Stack

from automation.half_made import HalfMade, half_made
from automation.outcome import FedError
from automation.parties import name_of, type_of
from automation.target import Target
from automation.view import stderr
from federation.naming import PROJECT

_NOT_THERE_YET = "creating"


@dataclass(frozen=True)
class Holder:
    """An engine that holds a stack, from its lock file."""

    pid: int
    user: str
    host: str
    since: str

    @property
    def lives(self) -> bool:
        """Whether that engine may still be at work; one on another machine cannot be judged."""
        return self.host != socket.gethostname() or _is_engine(self.pid)


def refuse_held(target: Target) -> None:
    """Raise FedError when an engine that lives holds the emulated stack; free it from one that was killed."""
    held = _holders(target)
    living = next((holder for holder in held if holder.lives), None)
    if living:
        raise FedError(
            f"the stack {target.name} is held by another run: process {living.pid} of {living.user} on "
            f"{living.host}, since {living.since}. Wait for it, or interrupt it there; nothing was changed."
        )
    if held:
        stderr.print(f"fed: the last run of {target.name} was killed; going on from there")
        target.stack().cancel()


def recover(target: Target, stack: Stack) -> list[HalfMade]:
    """Make a stack ready after a run that was killed: free its lock, clear the operations it was killed in.

    Returns what may be half made on the emulator. Raises FedError when another run holds the stack, and on
    Azure when a person must look first.
    """
    state = stack.export_stack()
    if target.emulator:
        refuse_held(target)
    content = dict(state.deployment or {})
    pending: list[dict[str, Any]] = content.pop("pending_operations", None) or []
    if not pending:
        return []
    created = [operation for operation in pending if operation["type"] == _NOT_THERE_YET]
    if created and not target.emulator:
        raise FedError(_ask_a_person(target.name, created))
    stack.import_stack(Deployment(version=state.version, deployment=content))
    return half_made(state.deployment or {})


def _holders(target: Target) -> list[Holder]:
    if target.emulator is None:
        return []
    backend = Path(target.emulator.record.backend.removeprefix("file://"))
    folder = backend / ".pulumi" / "locks" / "organization" / PROJECT / target.name
    found = []
    for file in sorted(folder.glob("*.json")):
        try:
            lock = json.loads(file.read_text())
        except (FileNotFoundError, ValueError):
            continue  # released, or killed while it was being written
        found.append(Holder(lock["pid"], lock["username"], lock["hostname"], lock["timestamp"]))
    return found


def _is_engine(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/exe").readlink().name.removesuffix(" (deleted)") == "pulumi"
    except OSError:
        return False


def _ask_a_person(stack: str, pending: list[dict[str, Any]]) -> str:
    lines = "\n".join(
        f"  - {name_of(operation['resource']['urn'])} ({type_of(operation['resource']['urn'])})"
        for operation in pending
    )
    return (
        f"the last run of {stack} was killed while Azure was making these resources; nobody recorded whether "
        f"they exist:\n{lines}\n"
        "Mend: look for each in the portal or with `az resource show`. Delete those that exist and hold "
        "nothing, or take them over with `pulumi import`. Then forget the question with "
        f"`pulumi refresh -s {stack} --clear-pending-creates`, and run this again."
    )
