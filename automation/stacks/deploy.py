"""What the commands `up`, `preview`, `down` do with a stack, through Pulumi's Automation API."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from pulumi.automation import OnEvent, OutputValue, PreviewResult, Stack, UpResult

from automation.stacks import operation, times
from automation.stacks import plan as plans
from automation.stacks.operation import advise
from automation.stacks.plan import Plan
from automation.stacks.policy_pack import PACK, broken_by, refusal
from automation.stacks.recovery import holders, peerings
from automation.stacks.recovery.half_made import clear, roll_back
from automation.stacks.target import Target, not_deployed
from automation.stacks.urns import SHARED, name_of, party_of, type_of
from automation.stacks.view import sentence
from automation.ui.console import confirm, say, stderr
from automation.ui.outcome import FedError, RefusedError
from federation.azure_facts import POWER_BI_GATEWAY
from federation.outputs import Outputs, OutputsError, read
from federation.parties import CENTRE, federation
from federation.settings import Settings


def up(target: Target, *, ask: bool, reconnect: Collection[str] = (), refresh: bool = False) -> Outputs[str]:
    """Deploy a stack and return its outputs.

    With `ask` the plan is shown first and a person decides. On Azure it is made in any case, since only a
    plan shows what several resources together break before anything is changed. `reconnect` names hospitals
    whose peering is to be made whole where somebody cut it (docs/adr/0014). With `refresh` Azure is looked at
    first, so that what was changed there by hand is put back.
    Raises RefusedError when a person declines, a rule of `policies/` is broken, a hospital whose data are
    protected is no longer in the settings, or a deployed network would get another address range.
    """
    stack = target.stack()
    before = _resources(stack)
    refuse_forgotten(target, before)
    refuse_moved(target, before)
    refuse_gateways_subnet(target, before)
    killed = holders.recover(target, stack)
    left = roll_back(target.emulator, stack) if target.emulator and killed else []
    again = peerings.to_make_again(target, before, named=reconnect, killed=killed, refresh=refresh)
    refresh = refresh or killed
    # A refresh forgets what is gone: there is nothing left to replace.
    replaced = [] if refresh else [urn for peering in again for urn in peering.urns]
    planned = ask or target.emulator is None
    plan = _plan(target, stack, before, replaced, refresh=refresh) if planned else None
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
            refresh=refresh or None,
            replace=replaced or None,
            show_secrets=False,
            suppress_outputs=True,
            color="never",
        )

    peerings.delete_what_is_left(target, again)
    with holders.marked(target):
        result, record = operation.run(target, f"deploying {target.name}", run)
    if target.emulator and left:
        clear(target.emulator, stack, left)
    if record.changed():
        times.of(target, record, _resources(stack)).keep()
    say(f"{target.name}: {sentence(record)}")
    return _read(target, result.outputs)


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


def refuse_moved(target: Target, resources: Iterable[Mapping[str, Any]]) -> None:
    """Refuse another address range for a network that is deployed.

    Azure fixes the range of a subnet while anything is in it (InUseSubnetCannotBeUpdated,
    https://github.com/hashicorp/terraform-provider-azurerm/issues/18444), and a plan shows a harmless update.
    """
    moved = [
        f"{party}: {wanted} instead of {deployed}"
        for party, deployed in _deployed_ranges(target, resources).items()
        if (wanted := _wanted_range(target.settings, party)) not in {None, deployed}
    ]
    if moved:
        raise RefusedError(
            f"Pulumi.{target.name}.yaml gives another address range to a network that is deployed:\n  "
            + "\n  ".join(moved)
            + "\nAzure refuses this while anything is in the network, in the middle of the deployment: a "
            "range is for life.\nFix: write the deployed range again. A hospital gets another one by "
            "leaving (./fed hospital remove NAME, which keeps its data) and joining again: write the new "
            "range into its entry, then ./fed hospital add NAME. The centre keeps its own as long as the "
            "federation lasts. Nothing was deployed."
        )


def refuse_gateways_subnet(target: Target, resources: Iterable[Mapping[str, Any]]) -> None:
    """Refuse to take away the subnet of Power BI's data gateway while a gateway is on it.

    Azure holds such a subnet by a link (InUseSubnetCannotBeDeleted), as it is documented of other services'
    delegations (https://github.com/MicrosoftDocs/azure-docs/issues/116634).
    """
    if target.settings is None or federation(target.settings).centre.gateway:
        return
    for network in resources:
        if type_of(network["urn"]) != "azure-native:network:VirtualNetwork":
            continue
        for subnet in network["inputs"].get("subnets") or ():
            if all(each["serviceName"] != POWER_BI_GATEWAY for each in subnet.get("delegations") or ()):
                continue
            answer = target.arm().get(f"{network['id']}/subnets/{subnet['name']}", "2024-05-01")
            if answer.is_error and answer.status != HTTPStatus.NOT_FOUND:
                raise FedError(f"whether a gateway is on {subnet['name']} cannot be seen: {answer.error}")
            if (answer.body.get("properties") or {}).get("serviceAssociationLinks"):
                raise RefusedError(
                    f"Pulumi.{target.name}.yaml names no dashboard any more, so {subnet['name']} would go, "
                    "but Power BI's data gateway is still on it: Azure would refuse, in the middle of the "
                    "deployment.\nFix: remove the gateway in Power Platform's admin centre, then run this "
                    "again. Nothing was deployed."
                )


def _deployed_ranges(target: Target, resources: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return the address range of each party's network, by the state."""
    return {
        party_of(target.name, one["urn"], one.get("provider", ""), target.hospitals): prefix
        for one in resources
        if type_of(one["urn"]) == "azure-native:network:VirtualNetwork"
        for prefix in one["inputs"]["addressSpace"]["addressPrefixes"]
    }


def _wanted_range(settings: Settings | None, party: str) -> str | None:
    """Return the range that the settings give a party, None for one that they do not name."""
    if settings is None:
        return None
    named = settings.centre if party == CENTRE else settings.hospitals.get(party)
    return str(named.address_space) if named else None


def preview(target: Target) -> Plan:
    """Return what `up` would change.

    Raises RefusedError when that breaks a mandatory rule of `policies/`, or moves a deployed network.
    """
    stack = target.stack()
    holders.recover(target, stack)
    before = _resources(stack)
    refuse_moved(target, before)
    return _plan(target, stack, before)


def _plan(
    target: Target,
    stack: Stack,
    before: Iterable[Mapping[str, Any]],
    replaced: Sequence[str] = (),
    *,
    refresh: bool = False,
) -> Plan:
    """Plan a deployment over these resources in the state and judge it; raises as `preview`."""

    def run(on_event: OnEvent) -> PreviewResult:
        return stack.preview(
            on_event=on_event, json=True, replace=list(replaced), refresh=refresh or None, color="never"
        )

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


def outputs(target: Target) -> Outputs[str]:
    """Return the outputs of a deployed stack; raise RefusedError when nothing is deployed."""
    stack = target.existing_stack()
    found = stack.outputs() if stack else {}
    if not found:
        raise not_deployed(target.name, target.on)
    return _read(target, found)


def _read(target: Target, found: Mapping[str, OutputValue]) -> Outputs[str]:
    try:
        return read({name: output.value for name, output in found.items()})
    except OutputsError as error:
        raise FedError(
            f"{target.name} was deployed by another version of this program: {error}\n"
            f"Fix: ./fed up {target.name}{' --on azure' if target.emulator is None else ''}"
        ) from error
