"""Takes a stack down: what would be lost, who says so, and nothing left behind."""

import contextlib
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import typer
from pulumi.automation import DestroyResult, OnEvent, Stack
from rich.table import Table

from automation import holders, operation
from automation.emulated_state import backend, living
from automation.half_made import clear, roll_back
from automation.outcome import QuestionError, RefusedError
from automation.parties import is_counted, name_of, party_of, type_of
from automation.target import Target
from automation.view import sentence, stderr
from emulator.control import Emulator, stacks
from emulator.fabric.control import Fabric

CAREFUL = "prod"
"""The stack that nobody takes down by pressing a key."""

HOLDS_DATA = {
    "azure-native:compute:Disk": "disk",
    "azure-native:containerregistry:Registry": "registry",
    "azure-native:dataprotection:BackupVault": "backups",
    "azure-native:keyvault:Vault": "keys",
    "azure-native:operationalinsights:Workspace": "logs",
    "azure-native:storage:StorageAccount": "storage",
}
"""Types whose deletion loses more than a deployment can make again, and what they hold."""


def down(target: Target, *, yes: bool, confirm: str | None) -> None:
    """Delete every resource of a stack; on the emulator also the stack, and with the last one the emulator.

    Raises QuestionError when prod's name was not given, RefusedError when a person declined.
    """
    stack = target.existing_stack()
    if stack:
        killed = holders.recover(target, stack)
        state = stack.export_stack().deployment or {}
        resources = state.get("resources") or []
        if resources:
            stderr.print(_losses(target, resources))
            _ask(target, yes=yes, confirm=confirm)
        left = roll_back(target.emulator, stack) if target.emulator and killed else []
        if resources:
            _destroy(target, stack, resources, refresh=killed)
        if target.emulator:
            clear(target.emulator, stack, left)
            target.workspace.remove_stack(target.name, preserve_config=True)
    if target.emulator:
        _remove_emulator(target.emulator)
    stderr.print(f"fed: {target.name} is down" if stack else f"fed: {target.name} was not up")


def _destroy(target: Target, stack: Stack, resources: Sequence[Mapping[str, Any]], *, refresh: bool) -> None:
    if any(resource.get("protect") for resource in resources):
        # Pulumi would refuse; whoever got here has typed the stack's name.
        target.engine.run(
            ["state", "unprotect", "--all", "--yes", "--stack", target.name],
            str(target.workspace.work_dir),
            target.environment,
        )

    def run(on_event: OnEvent) -> DestroyResult:
        return stack.destroy(on_event=on_event, refresh=refresh or None, show_secrets=False, color="never")

    with holders.marked(target):
        _, record = operation.run(target, f"taking {target.name} down", run)
    stderr.print(f"fed: {target.name}: {sentence(record)}")


def _losses(target: Target, resources: Sequence[Mapping[str, Any]]) -> Table:
    counts: Counter[str] = Counter()
    kept: dict[str, list[str]] = {}
    for resource in resources:
        if not is_counted(resource["urn"], custom=bool(resource.get("custom"))):
            continue
        party = party_of(target.name, resource["urn"], resource.get("provider", ""), target.hospitals)
        counts[party] += 1
        if what := HOLDS_DATA.get(type_of(resource["urn"])):
            kept.setdefault(party, []).append(f"{what}: {name_of(resource['urn'])}")
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0), title_justify="left")
    table.title = f"{target.name} on {target.on}: this would be deleted"
    table.add_column("party")
    table.add_column("resources", justify="right")
    table.add_column("with what they hold")
    for party in sorted(counts, key=lambda name: (name != "centre", name)):
        table.add_row(party, str(counts[party]), "\n".join(sorted(kept.get(party, ()))))
    return table


def _ask(target: Target, *, yes: bool, confirm: str | None) -> None:
    asked = sys.stdin.isatty()
    if target.name == CAREFUL:
        if confirm is None and asked:
            confirm = typer.prompt(f"Type {CAREFUL} to delete all of it", err=True)
        if confirm != CAREFUL:
            raise QuestionError(
                f"{CAREFUL} is taken down only when its name is typed, or given with --confirm {CAREFUL}; "
                "nothing was deleted"
            )
    elif target.emulator is None and not yes:
        if not asked:
            raise QuestionError("nobody is here to ask: say --yes to delete this from Azure")
        if not typer.confirm("Delete all of it?", err=True):
            raise RefusedError("nothing was deleted")


def _remove_emulator(emulator: Emulator) -> None:
    """End the emulator and remove its files, unless a stack has resources on it or is being changed."""
    folder = backend(emulator)
    if any(stacks(folder).values()) or living(emulator):
        return
    if fabric := Fabric.running(emulator):
        fabric.stop()
    Emulator.destroy(emulator.home, force=True)  # plugins of a killed engine would count as an engine at work
    with contextlib.suppress(OSError):
        emulator.home.rmdir()
