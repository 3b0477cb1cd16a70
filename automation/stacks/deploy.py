"""What the commands `up`, `preview`, `down` do with a stack, through Pulumi's Automation API."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from pulumi.automation import OnEvent, PreviewResult, Stack, UpResult

from automation.stacks import operation
from automation.stacks import plan as plans
from automation.stacks.operation import advise
from automation.stacks.plan import Plan
from automation.stacks.policy_pack import PACK, broken_by, refusal
from automation.stacks.recovery import holders
from automation.stacks.recovery.half_made import clear, roll_back
from automation.stacks.target import Target
from automation.stacks.urns import SHARED, name_of, party_of, type_of
from automation.stacks.view import sentence
from automation.ui.console import confirm, say, stderr
from automation.ui.outcome import RefusedError
from federation.parties import CENTRE


def up(target: Target, *, ask: bool) -> Mapping[str, Any]:
    """Deploy a stack and return its outputs.

    With `ask` the plan is shown first and a person decides. On Azure it is made in any case, since only a
    plan shows what several resources together break before anything is changed.
    Raises RefusedError when a person declines, a rule of `policies/` is broken, or a hospital whose data are
    protected is no longer in the settings.
    """
    stack = target.stack()
    before = _resources(stack)
    refuse_forgotten(target, before)
    killed = holders.recover(target, stack)
    left = roll_back(target.emulator, stack) if target.emulator and killed else []
    plan = _plan(target, stack, before) if ask or target.emulator is None else None
    if plan and ask:
        stderr.print(plans.render(plan))
        if plan.changes:
            confirm(
                f"Deploy this to {target.on}?",
                unasked="nobody is here to ask: say --yes to deploy this; nothing was deployed",
                declined="nothing was deployed",
            )

    def run(on_event: OnEvent) -> UpResult:
        return stack.up(
            on_event=on_event,
            policy_packs=[PACK],
            refresh=killed or None,
            show_secrets=False,
            suppress_outputs=True,
            color="never",
        )

    with holders.marked(target):
        result, record = operation.run(target, f"deploying {target.name}", run)
    if target.emulator and left:
        clear(target.emulator, stack, left)
    say(f"{target.name}: {sentence(record)}")
    return {name: output.value for name, output in result.outputs.items()}


def refuse_forgotten(target: Target, resources: Iterable[Mapping[str, Any]]) -> None:
    """Refuse to go on when the settings lack a hospital of which the state holds something protected.

    The engine would say so, too, but where no plan is made first, in the middle of its changes.
    """
    known = {CENTRE, SHARED, *target.hospitals}
    kept: dict[str, list[str]] = {}
    for resource in resources:
        urn = resource["urn"]
        party = party_of(target.name, urn, resource.get("provider", ""), target.hospitals)
        if resource.get("protect") and party not in known:
            kept.setdefault(party, []).append(f"  - {name_of(urn)} ({type_of(urn)})")
    if kept:
        told = "\n".join(f"{party}:\n" + "\n".join(lines) for party, lines in kept.items())
        raise RefusedError(
            f"Pulumi.{target.name}.yaml no longer names a hospital. These resources of it hold data that no "
            f"deployment can make again, so they are protected:\n{told}\n"
            "If the hospital is to leave, put its entry back and say ./fed hospital remove NAME, which keeps "
            "its data. Nothing was deployed."
        )


def preview(target: Target) -> Plan:
    """Return what `up` would change; raise RefusedError when that breaks a mandatory rule of `policies/`."""
    stack = target.stack()
    holders.recover(target, stack)
    return _plan(target, stack, _resources(stack))


def _plan(target: Target, stack: Stack, before: Iterable[Mapping[str, Any]]) -> Plan:
    """Plan a deployment over these resources in the state and judge it; raises as `preview`."""

    def run(on_event: OnEvent) -> PreviewResult:
        return stack.preview(on_event=on_event, json=True, color="never")

    result, record = operation.run(target, f"previewing {target.name}", run)
    document = json.loads(result.stdout)
    violations = broken_by(target.name, before, document, target.hospitals)
    advise(violations)
    if refused := refusal(violations):
        raise RefusedError(f"{refused}\nNothing was deployed.")
    return plans.read(target.name, target.on, document, unchanged=record.unchanged())


def _resources(stack: Stack) -> list[Mapping[str, Any]]:
    """Return what a stack's state holds; on Azure this asks the backend."""
    return (stack.export_stack().deployment or {}).get("resources") or []


def outputs(target: Target) -> Mapping[str, Any]:
    """Return the outputs of a deployed stack; raise RefusedError when nothing is deployed."""
    stack = target.existing_stack()
    found = {name: output.value for name, output in stack.outputs().items()} if stack else {}
    if not found:
        raise RefusedError(
            f"{target.name} is not deployed on {target.on}. To deploy it: ./fed up {target.name}"
            + (" --on azure" if target.emulator is None else "")
        )
    return found
