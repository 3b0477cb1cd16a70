"""The state of an emulated stack, read where it is: a file of this machine's own backend.

Pulumi's command line would say the same, but each question would start the engine once more (0.4 s of CPU).
The layout is that of Pulumi's file backend: ``.pulumi/stacks/<project>/<stack>.json``, and next to it the
checkpoint before (``.bak``).
"""

import json
import shutil
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pulumi.automation import (
    Deployment,
    OutputMap,
    OutputValue,
    Stack,
    UpdateSummary,
    Workspace,
)

from automation.stacks.urns import type_of
from automation.ui.console import say
from automation.ui.outcome import FedError
from emulator.control import Emulator
from federation.naming import PROJECT

_STACK = "pulumi:pulumi:Stack"


@dataclass(frozen=True)
class Holder:
    """An engine that holds a stack, from its lock file."""

    pid: int
    user: str
    host: str
    since: str

    @property
    def is_here(self) -> bool:
        """Whether that engine was started on this machine, by its present name."""
        return self.host == socket.gethostname()

    @property
    def lives(self) -> bool:
        """Whether that engine may still be at work; one on another machine cannot be judged."""
        return not self.is_here or _is_engine(self.pid)


def living(emulator: Emulator) -> list[Holder]:
    """Return the engines that are changing any stack of this emulator right now."""
    return [holder for holder in locks(emulator, "*") if holder.lives]


def locks(emulator: Emulator, stack: str) -> list[Holder]:
    """Return the engines that a stack (``*`` for all) says it is held by, dead ones included."""
    found = []
    folder = emulator.backend / ".pulumi" / "locks" / "organization"
    for file in sorted(folder.glob(f"*/{stack}/*.json")):  # of the federation or of the delivery program
        try:
            lock = json.loads(file.read_text())
        except (FileNotFoundError, ValueError):
            continue  # released, or killed while it was being written
        found.append(Holder(lock["pid"], lock["username"], lock["hostname"], lock["timestamp"]))
    return found


def deployment(emulator: Emulator, stack: str) -> dict[str, Any]:
    """Return the state of a stack: ``resources`` and ``pending_operations``; empty when nothing is deployed.

    Raises FedError when it cannot be read.
    """
    file = _checkpoint(emulator, stack)
    if not file.exists():
        return {}
    content = _read(file)
    if content is None or "checkpoint" not in content:
        raise FedError(
            f"the state of {stack} cannot be read, nor can the one before it: {file}. Pulumi has lost what "
            f"is deployed on the emulator. Start again: rm -r {emulator.home}; ./fed up {stack}"
        )
    found: dict[str, Any] = content["checkpoint"].get("latest") or {}
    return found


def put_back(emulator: Emulator, stack: str) -> None:
    """Put back the checkpoint before when the power went while an engine wrote one, and say so.

    Pulumi refuses such a stack altogether (``failed to load checkpoint: EOF``). Nothing is touched while an
    engine that lives holds the stack.
    """
    file = _checkpoint(emulator, stack)
    if not file.exists() or any(holder.lives for holder in locks(emulator, stack)):
        return
    before = file.with_name(f"{file.name}.bak")
    if _read(file) is None and _read(before) is not None:
        shutil.copy(before, file)
        say(f"the state of {stack} was cut off while it was being written; going on from the one before it")
    # What another PULUMI_BACKEND_URL or an older version of this program left (`paths.file_backend`): without
    # a description the backend reads the file as it is.
    file.with_name(f"{file.name}.attrs").unlink(missing_ok=True)


def _checkpoint(emulator: Emulator, stack: str) -> Path:
    return emulator.backend / ".pulumi" / "stacks" / PROJECT / f"{stack}.json"


def _read(file: Path) -> dict[str, Any] | None:
    """Return the JSON object in a file, None when it is not whole."""
    try:
        content = json.loads(file.read_text())
    except (FileNotFoundError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _is_engine(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/exe").readlink().name.removesuffix(" (deleted)") == "pulumi"
    except OSError:
        return False


class EmulatedStack(Stack):
    """A stack on the emulator, which answers questions about its state from the file."""

    def __init__(self, name: str, workspace: Workspace, emulator: Emulator) -> None:
        # Not as `Stack` begins: `pulumi stack select` would know no more than the file does, and would change
        # what a person's shell has selected.
        self.name, self.workspace, self._emulator = name, workspace, emulator

    @classmethod
    def existing(cls, name: str, workspace: Workspace, emulator: Emulator) -> "EmulatedStack | None":
        """Return the stack, None where there is none."""
        put_back(emulator, name)
        return cls(name, workspace, emulator) if _checkpoint(emulator, name).exists() else None

    @classmethod
    def made(cls, name: str, workspace: Workspace, emulator: Emulator) -> "EmulatedStack":
        """Return the stack; make an empty one where there is none yet."""
        found = cls.existing(name, workspace, emulator)
        if found is None:
            Stack.create_or_select(name, workspace)
        return found or cls(name, workspace, emulator)

    def export_stack(self) -> Deployment:
        """Return the state."""
        return Deployment(version=3, deployment=deployment(self._emulator, self.name))

    def outputs(self) -> OutputMap:
        """Return the outputs; none of this program's is secret."""
        resources = deployment(self._emulator, self.name).get("resources") or ()
        outputs: Mapping[str, Any] = next(
            (resource.get("outputs") or {} for resource in resources if type_of(resource["urn"]) == _STACK),
            {},
        )
        return {name: OutputValue(value=value, secret=False) for name, value in outputs.items()}

    def info(self, show_secrets: bool = False) -> UpdateSummary:
        """Say that the update that just ended succeeded; nobody here asks for more."""
        return UpdateSummary("update", datetime.now(UTC), "", {}, {}, "succeeded")
