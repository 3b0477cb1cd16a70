"""Takes a stack down: what would be lost, who says so, and nothing left behind."""

import contextlib
import shutil
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from pulumi.automation import DestroyResult, OnEvent, Stack
from rich.table import Table

from automation.stacks import hospital_data, operation
from automation.stacks.emulated_state import living
from automation.stacks.recovery import holders
from automation.stacks.recovery.half_made import clear, roll_back
from automation.stacks.target import Target
from automation.stacks.urns import is_counted, name_of, party_of, type_of
from automation.stacks.view import sentence
from automation.timeline import run as timeline
from automation.ui.console import confirm, say, stderr, typed, warn
from automation.ui.outcome import QuestionError
from emulator.control import Emulator, stacks
from emulator.datacentre.control import Datacentre
from federation.azure_facts import POWER_BI_GATEWAY
from federation.naming import PROJECT

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


def down(target: Target, *, yes: bool, confirmed: str | None, delete_data: Collection[str]) -> None:
    """Delete every resource of a stack but the data of hospitals that `delete_data` does not name.

    On the emulator a stack without resources goes, too, and with the last one the emulator.
    Raises QuestionError when prod's name was not given or a hospital is unknown, RefusedError when a person
    declined.
    """
    stack = target.existing_stack()
    if stack is None and delete_data:
        raise QuestionError(
            f"--delete-data names {', '.join(sorted(delete_data))}, but {target.name} is not up on "
            f"{target.on}: no hospital has data there"
        )
    kept: Mapping[str, str] = {}
    if stack:
        killed = holders.recover(target, stack)
        resources = (stack.export_stack().deployment or {}).get("resources") or []
        kept = hospital_data.kept(target, resources, delete_data)
        going = set(hospital_data.without(target, resources, kept))
        doomed = [resource for resource in resources if resource["urn"] in going]
        if doomed:
            stderr.print(_losses(target, doomed))
            for line in _obstacles(doomed) if target.emulator is None else ():
                warn(line)
        _tell_kept(target, kept)
        if doomed:
            _ask(target, yes=yes, confirmed=confirmed)
        left = roll_back(target.emulator, stack) if target.emulator and killed else []
        if doomed:
            _destroy(target, stack, doomed, whole=not kept, refresh=killed)
        if target.emulator:
            clear(target.emulator, stack, left)
        if target.emulator and not kept:
            target.workspace.remove_stack(target.name, preserve_config=True)
    if target.emulator:
        _remove_pages(target.emulator, target.name)
        timeline.forget(target.name, str(target.on))
        _remove_emulator(target.emulator)
    but = f" but for the data of {', '.join(sorted(kept))}" if kept else ""
    say(f"{target.name} is down{but}" if stack else f"{target.name} was not up")


def _destroy(
    target: Target, stack: Stack, doomed: Sequence[Mapping[str, Any]], *, whole: bool, refresh: bool
) -> None:
    if protected := [str(resource["urn"]) for resource in doomed if resource.get("protect")]:
        # Pulumi would refuse; whoever got here has typed the stack's name.
        target.engine.run(
            ["state", "unprotect", *protected, "--yes", "--stack", target.name],
            str(target.workspace.work_dir),
            target.environment,
        )
    targets = None if whole else [str(resource["urn"]) for resource in doomed]

    def run(on_event: OnEvent) -> DestroyResult:
        return stack.destroy(
            on_event=on_event, target=targets, refresh=refresh or None, show_secrets=False, color="never"
        )

    with holders.marked(target):
        _, record = operation.run(target, f"taking {target.name} down", run)
    say(f"{target.name}: {sentence(record)}")


def _obstacles(doomed: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield what may keep Azure from deleting something, and what to do first.

    Azure moved a deleted disk backup to deletedBackupInstances (recorded by azure-cli, 2026-08-31); that it
    refuses to delete the vault meanwhile is documented of Recovery Services vaults. Power Platform holds a
    subnet on which a gateway is, as it is documented of other services' delegations (azure-docs#116634).
    """
    for resource in doomed:
        if type_of(resource["urn"]) == "azure-native:dataprotection:BackupVault":
            settings = resource["inputs"]["properties"]["securitySettings"]["softDeleteSettings"]
            days = settings["retentionDurationInDays"]
            yield (
                f"{name_of(resource['urn'])} keeps deleted backups for {days:.0f} days, and Azure may refuse "
                "to delete it until then. Fix: run this again afterwards"
            )
        for subnet in resource["inputs"].get("subnets") or ():
            if any(each["serviceName"] == POWER_BI_GATEWAY for each in subnet.get("delegations") or ()):
                yield (
                    f"{name_of(resource['urn'])} has a subnet for Power BI's data gateway, which Azure does "
                    "not delete while a gateway is on it. Fix: remove the gateway in Power Platform's admin "
                    "centre first"
                )


def _tell_kept(target: Target, kept: Mapping[str, str]) -> None:
    for name, what in sorted(kept.items()):
        stderr.print(f"kept: the data of {name} ({what})", markup=False)
    if kept:
        on = " --on azure" if target.emulator is None else ""
        names = " ".join(f"--delete-data {name}" for name in sorted(kept))
        stderr.print(f"      to delete them for good: ./fed down {target.name}{on} {names}", markup=False)


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


def _ask(target: Target, *, yes: bool, confirmed: str | None) -> None:
    if target.name == CAREFUL:
        answer = typed(f"Type {CAREFUL} to delete all of it") if confirmed is None else confirmed
        if answer != CAREFUL:
            raise QuestionError(
                f"{CAREFUL} is taken down only when its name is typed, or given with --confirm {CAREFUL}; "
                "nothing was deleted"
            )
    elif target.emulator is None and not yes:
        confirm(
            "Delete all of it?",
            unasked="nobody is here to ask: say --yes to delete this from Azure",
            declined="nothing was deleted",
        )


def _is_federation(stack: str) -> bool:
    return stack.startswith(f"{PROJECT}/")


def _remove_pages(emulator: Emulator, stack: str) -> None:
    """Remove the dashboards that were made of a stack where `fed dashboards` puts them by itself."""
    folder = emulator.home / "dashboards"
    if (folder / stack).exists():
        shutil.rmtree(folder / stack)
    with contextlib.suppress(OSError):  # another stack's are there
        folder.rmdir()


def _remove_emulator(emulator: Emulator) -> None:
    """End the emulator and remove its files, unless a stack has resources on it or is being changed.

    What `fed bootstrap` rehearsed there is no stack that anybody would take down, so it goes along.
    """
    resources = {name: count for name, count in stacks(emulator.backend).items() if _is_federation(name)}
    if any(resources.values()) or living(emulator):
        return
    if datacentre := Datacentre.running(emulator):
        datacentre.stop()
    Emulator.destroy(emulator.home, force=True)  # plugins of a killed engine would count as an engine at work
    with contextlib.suppress(OSError):
        emulator.home.rmdir()
