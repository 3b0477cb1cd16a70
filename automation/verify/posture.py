"""The rules of the policy pack, held against what is deployed instead of against a plan.

The pack stops a wrong property before it is made; this finds one that was changed since, or was there
before the rule.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import policies.pack  # noqa: F401 fills RULES
from automation.verify.finding import Finding, Kind
from automation.verify.resources import Deployment, Resource
from policies.planned import Planned
from policies.rule import RULES, Fault, Level, Rule

PROOF = "policy"
_VM = "azure-native:compute:VirtualMachine"


def check(deployment: Deployment) -> list[Finding]:
    """Return a finding for each violation of a mandatory rule."""
    resources = [planned(deployment.stack, resource) for resource in deployment.resources]
    names = {r.urn: r.name for r in resources}
    return [
        _finding(rule, names[fault.urn], fault)
        for rule in RULES.values()
        if rule.level is Level.MANDATORY and _meant_for(rule, deployment.stack)
        for fault in _faults(rule, resources)
    ]


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


def _faults(rule: Rule, resources: list[Planned]) -> Iterator[Fault]:
    if rule.stack_wide:
        yield from rule.stack_faults(resources)
        return
    for resource in resources:
        yield from rule.faults(resource)


def _meant_for(rule: Rule, environment: str) -> bool:
    return rule.environments is None or environment in rule.environments


def _finding(rule: Rule, name: str, fault: Fault) -> Finding:
    return Finding(
        kind=Kind.UNKNOWN if rule.name == "known-types" else Kind.WEAKENED,
        proof=PROOF,
        rule=rule.name,
        what=f"{name} breaks the rule {rule.name}",
        culprit=f"{name}: {fault.what}",
        why=rule.why,
        mend=rule.mend,
    )


def _merged(below: Any, above: Any) -> Any:
    if isinstance(below, Mapping) and isinstance(above, Mapping):
        return {key: _merged(below.get(key), above.get(key)) for key in {**below, **above}}
    return below if above is None else above
