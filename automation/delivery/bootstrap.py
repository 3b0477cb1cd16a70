"""Makes what an organisation needs once: who may deploy, where state is kept, where released images are.

The program is `infra/`. Its own state has to live somewhere before the state account exists: the first run
keeps it in a file of this clone and moves it into the account that it made; every later run finds it there.
A later run also looks at what exists: a right that somebody changed is given again as it was.
"""

import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pulumi.automation import (
    CommandError,
    LocalWorkspace,
    OnEvent,
    PreviewResult,
    Stack,
    UpResult,
)

from automation.delivery import placeholders
from automation.delivery.github import GitHub
from automation.delivery.github_setup import commands
from automation.stacks import operation
from automation.stacks import plan as plans
from automation.stacks.arm import Arm, resource_manager
from automation.stacks.engine import Engine
from automation.stacks.plan import Plan, read
from automation.stacks.recovery import holders
from automation.stacks.target import Target, azure_environment, emulator_environment
from automation.stacks.urns import type_of
from automation.ui.console import say
from automation.ui.options import On
from automation.ui.outcome import FedError
from clone import paths
from emulator.control import Emulator
from infra import settings as delivery_settings
from infra.settings import STACK_FILE, DeliverySettings

ROOT = paths.REPOSITORY
STACK = "delivery"
LOCK = "azure-native:authorization:ManagementLockByScope"
#: A role that was just assigned opens the state within minutes.
PATIENCE_SECONDS = 900.0
PAUSE_SECONDS = 15.0


def bootstrap(on: On, *, yes: bool) -> None:
    """Show what is missing, and with `yes` make it and say what is left to do on GitHub.

    Raises:
        SettingsError: when `infra/Pulumi.delivery.yaml` or a stack file is wrong.
        QuestionError: on Azure, when a file still holds a placeholder.
        FedError: when it cannot be made, or its state cannot be moved.
    """
    settings = delivery_settings.read(ROOT)
    if on is On.AZURE:
        stacks = [f"Pulumi.{environment}.yaml" for environment in settings.environments]
        placeholders.refuse(ROOT, STACK_FILE, placeholders.CODEOWNERS, *stacks)
    delivery_settings.subscriptions(ROOT, settings.environments)
    here = _local_backend()
    moved = on is On.AZURE and not here.exists() and _account_exists(settings, resource_manager(on))
    target = _target(on, settings.backend_url("infra") if moved else paths.file_backend(here))
    holders.recover(target, _stack(target))
    plan = _preview(target)
    plans.show(plan, as_json=False)
    if not yes:
        say("nothing was made; --yes makes it")
        return
    if any(change.is_loss for change in plan.changes):
        _take_away(target, plan)
    outputs = _up(target)
    if on is On.AZURE:
        if not moved:
            _move_state(target, settings)
            shutil.rmtree(here)
        _make_stacks(settings)
    say("now let GitHub in (docs/production.md, step 6):")
    for command in commands(settings, outputs["clientIds"]):
        print(command)


def subject_prefix() -> None:
    """Print what the subjects of the repository's tokens begin with, and whether the settings say so."""
    found, said = GitHub.from_environment().subject_prefix(), delivery_settings.read(ROOT).subject_prefix
    print(found)
    if found != said:
        say(f"{STACK_FILE} says {said}: write fed-delivery:subjectPrefix: {found}")


def _target(on: On, backend_url: str) -> Target:
    engine = Engine()
    emulator = Emulator.ensure() if on is On.EMULATOR else None
    if emulator:
        environment: Mapping[str, str] = emulator_environment(emulator, engine)
    else:
        environment = azure_environment(engine) | {"PULUMI_BACKEND_URL": backend_url}
        if backend_url.startswith("file://"):
            _local_backend().mkdir(parents=True, exist_ok=True)
    return Target(
        name=STACK,
        on=on,
        settings=None,
        engine=engine,
        environment=environment,
        workspace=_workspace(ROOT / "infra", engine, environment),
        emulator=emulator,
    )


def _workspace(folder: Path, engine: Engine, environment: Mapping[str, str]) -> LocalWorkspace:
    return LocalWorkspace(work_dir=str(folder), pulumi_command=engine, env_vars=environment)


def _stack(target: Target) -> Stack:
    """Return the stack of this other project; `Target.stack` knows the federation's alone."""
    return Stack.create_or_select(STACK, target.workspace)


def _preview(target: Target) -> Plan:
    stack = _stack(target)

    def run(on_event: OnEvent) -> PreviewResult:
        return stack.preview(refresh=True, on_event=on_event, json=True, color="never")

    result, record = operation.run(target, "previewing who may deploy", run)
    return read(target.name, target.on, json.loads(result.stdout), unchanged=record.unchanged())


def _take_away(target: Target, plan: Plan) -> None:
    """Make what goes go, without the lock: Azure deletes nothing below one, and access has to be revocable.

    ScopeLocked: https://github.com/hashicorp/terraform-provider-azurerm/issues/11770. The deployment that
    follows makes the lock again; whoever is interrupted in between runs it again.
    """
    stack = _stack(target)
    held = [one["urn"] for one in (stack.export_stack().deployment or {}).get("resources") or []]
    locks = [urn for urn in held if type_of(urn) == LOCK]
    if locks:
        say("something goes that a lock holds: the lock is taken off, and put back at the end")
        operation.run(
            target,
            "taking off the lock",
            lambda on_event: stack.destroy(target=locks, on_event=on_event, color="never"),
        )
    _up(target, only=[change.urn for change in plan.changes if change.is_loss])


def _up(target: Target, *, only: Sequence[str] = ()) -> Mapping[str, Any]:
    stack = _stack(target)

    def run(on_event: OnEvent) -> UpResult:
        return stack.up(
            refresh=True,
            target=list(only) or None,
            on_event=on_event,
            suppress_outputs=True,
            color="never",
        )

    with holders.marked(target):
        result, _ = operation.run(target, "making who may deploy", run)
    return {name: output.value for name, output in result.outputs.items()}


def _local_backend() -> Path:
    """Where the state of a first run is until it is moved."""
    return paths.home() / "bootstrap"


def _account_exists(settings: DeliverySettings, arm: Arm) -> bool:
    answer = arm.get(
        f"/subscriptions/{settings.subscription_id}/resourceGroups/{settings.resource_group}"
        f"/providers/Microsoft.Storage/storageAccounts/{settings.state_account}",
        "2024-01-01",
    )
    if answer.is_error and answer.status != 404:
        raise FedError(f"Azure does not say whether {settings.state_account} exists: {answer.error}.")
    return not answer.is_error


def _move_state(target: Target, settings: DeliverySettings) -> None:
    """Copy the state of this run into the account that it made; the copy here stays until that is done."""
    exported = _stack(target).export_stack()
    url = settings.backend_url("infra")
    environment = {**target.environment, "PULUMI_BACKEND_URL": url}
    workspace = _workspace(ROOT / "infra", target.engine, environment)
    moved = _patiently(partial(Stack.create_or_select, STACK, workspace))
    moved.import_stack(exported)
    say(f"the state of this run is in {url}")


def _make_stacks(settings: DeliverySettings) -> None:
    """Make each environment's stack, so that the identity that may only read can preview its first
    deployment.
    """
    engine = Engine()
    for environment in settings.environments:
        url = settings.backend_url(environment)
        variables = azure_environment(engine) | {"PULUMI_BACKEND_URL": url}
        workspace = _workspace(ROOT, engine, variables)
        _patiently(partial(Stack.create_or_select, environment, workspace))
        say(f"the state of {environment} is in {url}")


def _patiently(attempt: Callable[[], Stack]) -> Stack:
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return attempt()
        except CommandError as error:
            if "403" not in str(error) or time.monotonic() > until:
                raise FedError(
                    f"The state account cannot be opened: {error}\nAre you a member of a group in "
                    "fed-delivery:administrators? Then run this again; what was made stays."
                ) from error
            say("Azure does not open the new account yet; waiting for the role to arrive")
            time.sleep(PAUSE_SECONDS)
