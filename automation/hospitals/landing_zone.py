"""What an organisation's policies would refuse of a party's deployment: its landing zone's, mostly.

Azure Policy judges every creation in a subscription; one that it denies (RequestDisallowedByPolicy) stops a
deployment half-way. It can be asked before, resource by resource:
https://learn.microsoft.com/rest/api/policy/policy-restrictions/check-at-subscription-scope
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from automation.hospitals.lack import Lack, unreadable
from automation.stacks.arm import Answer, Arm
from federation.azure_facts import BLOB_ZONE, INTERNAL_ZONE
from federation.parties import CentreParty, HospitalParty, Party
from federation.settings import Settings

VERSION: Final = "2023-03-01"

Content = Mapping[str, Any]


def ask(arm: Arm, settings: Settings, party: Party) -> tuple[tuple[Content, Answer], ...]:
    """Ask about each planned kind of resource that policies are known to deny."""
    path = (
        f"/subscriptions/{party.subscription_id}/providers/Microsoft.PolicyInsights/checkPolicyRestrictions"
    )
    return tuple(
        (content, arm.post(path, VERSION, {"resourceDetails": {"resourceContent": content}}))
        for content in planned(settings, party)
    )


def planned(settings: Settings, party: Party) -> list[Content]:
    """One of each, as the deployment would make it: where, with which tags, and how open."""
    closed = {"publicNetworkAccess": "Disabled"}
    zone = BLOB_ZONE if settings.network.dns == "own" else INTERNAL_ZONE
    push = {"publicNetworkAccess": "Enabled" if settings.registry.public_push else "Disabled"}
    found: list[Content] = [
        {"type": "Microsoft.Resources/subscriptions/resourceGroups", "name": party.names.of("rg")},
        {"type": "Microsoft.Network/virtualNetworks", "name": party.names.of("vnet")},
        {"type": "Microsoft.Network/privateDnsZones", "name": zone, "location": "global"},
        {"type": "Microsoft.Storage/storageAccounts", "kind": "StorageV2", "properties": closed},
        {
            "type": "Microsoft.Compute/virtualMachines",
            "name": party.names.of("vm"),
            "properties": {"hardwareProfile": {"vmSize": party.vm_size}},
        },
    ]
    if party.firewall:
        found.append({"type": "Microsoft.Network/routeTables", "name": party.names.of("rt")})
    if party.egress == "nat":
        found.append({"type": "Microsoft.Network/publicIPAddresses", "sku": {"name": "Standard"}})
    if isinstance(party, HospitalParty) and party.door and party.door.window:
        window = {"publicNetworkAccess": "Enabled"}
        found.append({"type": "Microsoft.Storage/storageAccounts", "kind": "StorageV2", "properties": window})
    if isinstance(party, CentreParty):
        found.append(
            {
                "type": "Microsoft.ContainerRegistry/registries",
                "sku": {"name": "Premium"},
                "properties": push,
            }
        )
    return [{"location": party.location, "tags": dict(party.tags), **content} for content in found]


def lacking(party: Party, answers: Sequence[tuple[Content, Answer]]) -> Iterator[Lack]:
    """Yield what a policy would deny; one that only audits or changes a resource stops nothing."""
    for content, answer in answers:
        if answer.is_error:
            yield unreadable(answer, "the policies that judge its resources")
            return  # the next ones would say the same
        for assignment, reason in _denials(answer.body):
            yield Lack(
                what=f"leave to make {content['type']}",
                why=f"the policy {assignment.rpartition('/')[2]} denies it{f': {reason}' if reason else ''}; "
                "the deployment would stop there (RequestDisallowedByPolicy)",
                fix="show this to whoever assigned the policy; an exemption is: az policy exemption create "
                f"--name {party.names.label('allow')} --exemption-category Waiver --policy-assignment "
                f"{assignment} --scope /subscriptions/{party.subscription_id}",
            )


def _denials(body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the assignment that denies, and why: the resource as it is, or one that lacks a field such as a
    tag.
    """
    evaluations = (body.get("contentEvaluationResult") or {}).get("policyEvaluations") or ()
    for one in evaluations:
        effect = (one.get("effectDetails") or {}).get("policyEffect", "Deny")
        if one["evaluationResult"] == "NonCompliant" and effect.lower() == "deny":
            reason = (one.get("evaluationDetails") or {}).get("reason", "")
            yield one["policyInfo"]["policyAssignmentId"], reason
    for field in body.get("fieldRestrictions") or ():
        for one in field["restrictions"]:
            if one["result"] == "Required" and one.get("policyEffect", "Deny").lower() == "deny":
                yield one["policy"]["policyAssignmentId"], one.get("reason", f"it wants {field['field']}")
