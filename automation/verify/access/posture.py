"""The rules of the policy pack, held against what is deployed instead of against a plan.

The pack stops a wrong property before it is made; this finds one that was changed since, or was there
before the rule.
"""

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from automation.verify.facts.finding import Finding, Kind
from automation.verify.facts.resources import Deployment, Resource, reference
from federation.parties import Federation
from policies.check import Broken, broken
from policies.network import PEERING
from policies.planned import Planned
from policies.rule import Level

PROOF = "policy"
_VM = "azure-native:compute:VirtualMachine"


def check(deployment: Deployment, federation: Federation) -> list[Finding]:
    """Return a finding for each violation of a mandatory rule."""
    firewalls = {party.subscription_id.lower(): party.firewall for party in federation.parties}
    resources = [
        planned(deployment.stack, resource)
        for resource in deployment.resources
        if not _leads_to(firewalls.get(resource.subscription), resource, deployment)
    ]
    return [_finding(one) for one in broken(deployment.stack, resources) if one.rule.level is Level.MANDATORY]


def _leads_to(firewall: IPv4Address | None, peering: Resource, deployment: Deployment) -> bool:
    """Whether it is the peering with a firewall's network, which the organisation makes (docs/adr/0015)."""
    if firewall is None or peering.type != PEERING:
        return False
    remote = reference(peering.at("remoteVirtualNetwork"))
    transit = peering.at("allowGatewayTransit") or peering.at("useRemoteGateways")
    spaces = peering.at("remoteAddressSpace.addressPrefixes") or ()
    inside = any(firewall in IPv4Network(space) for space in spaces)
    return inside and not transit and deployment.find(remote) is None


def planned(stack: str, resource: Resource) -> Planned:
    """Return a deployed resource in the form in which rules see planned ones."""
    props: Mapping[str, Any] = resource.props
    if resource.type == _VM:  # Azure takes custom data and never answers it
        props = _merged(resource.inputs, resource.props)
    return Planned(
        type=resource.type,
        name=resource.urn.rsplit("::", 1)[-1] or resource.name,
        urn=resource.urn or f"urn:pulumi:{stack}::fed::{resource.type}::{resource.id}",
        id=resource.id,
        props=props,
        subscription=resource.subscription or None,
        protect=resource.protect or not resource.urn,
        refers=resource.refers,
    )


def _finding(one: Broken) -> Finding:
    return Finding(
        kind=Kind.UNKNOWN if one.rule.name == "known-types" else Kind.WEAKENED,
        proof=PROOF,
        rule=one.rule.name,
        what=f"{one.name} breaks the rule {one.rule.name}",
        where=f"{one.name}: {one.fault.what}",
        why=one.rule.why,
        fix=one.rule.fix,
    )


def _merged(below: Any, above: Any) -> Any:
    if isinstance(below, Mapping) and isinstance(above, Mapping):
        return {key: _merged(below.get(key), above.get(key)) for key in {**below, **above}}
    return below if above is None else above
