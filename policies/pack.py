"""Turns the rules into a CrossGuard pack: what the engine sends becomes `Planned`, faults become violations.

The pack's own configuration (``--policy-pack-config FILE``) is the only way to change a rule's severity:
``{"rule-name": {"enforcementLevel": "advisory"}}``, or to say which stacks an environment rule is for:
``{"prod-lock": {"environments": ["prod", "mvp"]}}``.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pulumi_policy as crossguard
from pulumi_policy.proxy import (
    UNKNOWN_ARCHIVE_VALUE,
    UNKNOWN_ARRAY_VALUE,
    UNKNOWN_ASSET_VALUE,
    UNKNOWN_BOOLEAN_VALUE,
    UNKNOWN_NUMBER_VALUE,
    UNKNOWN_OBJECT_VALUE,
    UNKNOWN_STRING_VALUE,
)

from policies.check import RULES
from policies.planned import UNKNOWN, Planned
from policies.rule import Rule

_SENTINELS = {
    UNKNOWN_ARCHIVE_VALUE,
    UNKNOWN_ARRAY_VALUE,
    UNKNOWN_ASSET_VALUE,
    UNKNOWN_BOOLEAN_VALUE,
    UNKNOWN_NUMBER_VALUE,
    UNKNOWN_OBJECT_VALUE,
    UNKNOWN_STRING_VALUE,
}
_TARGET = "__target"

Report = Callable[[str, str | None], None]


def serve() -> None:
    """Serve the pack to the engine that started this process; returns when the engine ends it."""
    crossguard.PolicyPack(
        name="fed",
        enforcement_level=crossguard.EnforcementLevel.MANDATORY,
        policies=policies(),
    )


def policies() -> list[crossguard.Policy]:
    """Return one CrossGuard policy for every rule, in the order of their names."""
    return [_stack_policy(r) if r.stack_wide else _resource_policy(r) for _, r in sorted(RULES.items())]


def _resource_policy(rule: Rule) -> crossguard.Policy:
    def validate(args: crossguard.ResourceValidationArgs, report: Report) -> None:
        if args.resource_type in rule.types:
            planned = from_crossguard(args)
            if _meant_for(rule, planned.environment, args.get_config()):
                for fault in rule.faults(planned):
                    report(rule.message(planned.name, fault.what), None)

    return crossguard.ResourceValidationPolicy(
        name=rule.name, description=rule.title, validate=validate, **_common(rule)
    )


def _stack_policy(rule: Rule) -> crossguard.Policy:
    def validate(args: crossguard.StackValidationArgs, report: Report) -> None:
        resources = [from_crossguard(r) for r in args.resources]
        if resources and _meant_for(rule, resources[0].environment, args.get_config()):
            names = {r.urn: r.name for r in resources}
            for fault in rule.stack_faults(resources):
                report(rule.message(names[fault.urn], fault.what), fault.urn)

    return crossguard.StackValidationPolicy(
        name=rule.name, description=rule.title, validate=validate, **_common(rule)
    )


def _common(rule: Rule) -> dict[str, Any]:
    options: dict[str, Any] = {
        "enforcement_level": crossguard.EnforcementLevel(rule.level.value),
        "remediation_steps": rule.mend,
    }
    if rule.environments is not None:
        options["config_schema"] = crossguard.PolicyConfigSchema(
            properties={
                "environments": {
                    "type": "array",
                    "items": {"type": "string"},
                    "default": list(rule.environments),
                }
            }
        )
    return options


def _meant_for(rule: Rule, environment: str, config: Mapping[str, Any]) -> bool:
    if rule.environments is None:
        return True
    return environment in (config.get("environments") or rule.environments)


def from_crossguard(args: crossguard.ResourceValidationArgs | crossguard.PolicyResource) -> Planned:
    """Read what the engine sent about one resource."""
    refers = {
        prop: [d.urn for d in found]
        for prop, found in (getattr(args, "property_dependencies", None) or {}).items()
    }
    subscription = plain(args.provider.props).get("subscriptionId") if args.provider else None
    return Planned(
        type=args.resource_type,
        name=args.name,
        urn=args.urn,
        props=plain(args.props),
        subscription=subscription if isinstance(subscription, str) else None,
        protect=bool(args.opts.protect),
        refers=refers,
    )


def plain(value: Any) -> Any:
    """Copy a property without the SDK's wrappers, which raise on unknown values; those become UNKNOWN."""
    if isinstance(value, str):
        return UNKNOWN if value in _SENTINELS else value
    if isinstance(value, Mapping):
        return {k: plain(v) for k, v in _unwrapped(value).items()}
    if isinstance(value, Sequence):
        return [plain(v) for v in _unwrapped(value)]
    return value


def _unwrapped(value: Any) -> Any:
    return value if isinstance(value, dict | list) else value[_TARGET]
