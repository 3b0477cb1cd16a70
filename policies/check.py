"""Holds resources against every rule: the one place that knows all rules."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from policies import compute, identity, network, operations, placement, storage
from policies.planned import Planned
from policies.rule import RULES, Fault, Rule

__all__ = ["RULES", "Broken", "broken"]

FAMILIES = (network, storage, compute, identity, placement, operations)
"""The modules whose import fills RULES: whoever wants all rules takes them from here."""


@dataclass(frozen=True, kw_only=True)
class Broken:
    """One rule that one resource breaks, and what is wrong with it."""

    rule: Rule
    name: str
    fault: Fault


def broken(environment: str, resources: Sequence[Planned]) -> Iterator[Broken]:
    """Yield what breaks the rules that are meant for an environment (dev, mvp, prod...), rule by rule."""
    names = {resource.urn: resource.name for resource in resources}
    for rule in RULES.values():
        if rule.environments is None or environment in rule.environments:
            for fault in _faults(rule, resources):
                yield Broken(rule=rule, name=names[fault.urn], fault=fault)


def _faults(rule: Rule, resources: Sequence[Planned]) -> Iterator[Fault]:
    if rule.stack_wide:
        yield from rule.stack_faults(list(resources))
        return
    for resource in resources:
        yield from rule.faults(resource)
