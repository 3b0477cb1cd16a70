"""Check: names and locations that the program leaves out, and inputs that cannot become a request.

Like the real provider it knows required properties and the rule for the name, lets unknown properties and
enum values pass, and words its failures the same way. What remains Azure itself refuses.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import uuid
from collections.abc import Callable
from typing import Any

from azure_types.azure_type import AzureType
from azure_types.types import BY_TOKEN
from emulator.plugins.package import Checked, Failure, Resource
from pulumi_wire.values import UNKNOWN, Properties

GroupLocation = Callable[[str], str | None]
"""Returns the location of a resource group, None when there is no such group."""

CREATE_FIRST = "__createBeforeDelete"
"""The input that marks a random name: such a resource can be replaced by a new one next to it."""


def check(
    type_: AzureType,
    resource: Resource,
    old: Properties,
    new: Properties,
    *,
    seed: bytes,
    location: str | None,
    group_location: GroupLocation,
) -> Checked:
    """Return completed inputs and what is wrong with them.

    `location` is that of the provider's configuration; `seed` makes a preview and its deployment choose the
    same name.
    """
    inputs = named(type_, resource, old, new, seed)
    if type_.located and "location" not in inputs:
        inputs |= _default_location(type_, old, inputs, location, group_location)
    failures = [
        Failure(name, f"missing required property '{name}'")
        for name in type_.required_inputs
        if inputs.get(name) is None
    ]
    if type_.located and "location" not in inputs:
        failures.append(
            Failure(
                "location",
                "missing required property 'location'. Either set it explicitly or configure it with "
                "'pulumi config set azure-native:location <value>'.",
            )
        )
    failures += _judge_name(type_, inputs[type_.name_input])
    return Checked(inputs=inputs, failures=failures)


def named(type_: AzureType, resource: Resource, old: Properties, new: Properties, seed: bytes) -> Properties:
    """Return inputs with a name: the program's, the one that the resource has already, or a made one."""
    key = type_.name_input
    if key in new:
        return dict(new)
    if key in old:
        return dict(new) | {name: old[name] for name in (key, CREATE_FIRST) if name in old}
    if type_.autoname == "random":
        return dict(new) | {key: f"{resource.name}{_digits(resource, seed)[:8]}", CREATE_FIRST: True}
    if type_.autoname == "guid":
        return dict(new) | {key: str(uuid.UUID(_digits(resource, seed)[:32]))}
    return dict(new) | {key: resource.name if type_.autoname == "same" else type_.autoname}


def same_place(one: Any, other: Any) -> bool:
    """Say whether two locations are the same: Azure reads ``West Europe`` and ``westeurope`` alike."""
    return isinstance(one, str) and isinstance(other, str) and _place(one) == _place(other)


def _place(location: str) -> str:
    return location.replace(" ", "").lower()


def _digits(resource: Resource, seed: bytes) -> str:
    return hashlib.sha256((seed or secrets.token_bytes(32)) + resource.urn.encode()).hexdigest()


def _default_location(
    type_: AzureType,
    old: Properties,
    inputs: Properties,
    configured: str | None,
    group_location: GroupLocation,
) -> Properties:
    group = inputs.get("resourceGroupName")
    if "location" in old:
        return {"location": old["location"]}
    if configured:
        return {"location": configured}
    if type_.name_input == "resourceGroupName" or group is None:
        return {}
    if group is UNKNOWN:
        return {"location": UNKNOWN}
    found = group_location(group)
    return {"location": found} if found else {}


def _judge_name(type_: AzureType, name: Any) -> list[Failure]:
    rule, key = type_.name, type_.name_input
    if name is UNKNOWN:
        return []
    if not isinstance(name, str):
        return [Failure(key, f"'{key}' should be of type 'string' but got {type(name).__name__}")]
    failures = []
    if len(name) < rule.minimum:
        failures.append(f"'{key}' is too short ({len(name)}): at least {rule.minimum} characters required")
    if len(name) > rule.maximum:
        failures.append(f"'{key}' is too long ({len(name)}): at most {rule.maximum} characters allowed")
    if re.fullmatch(rule.pattern, name) is None:
        failures.append(f"'{key}' does not match expression '^{rule.pattern}$'")
    return [Failure(key, f"{reason}. The name is {name!r}.") for reason in failures]


def refusal(token: str) -> str:
    """Return why a type without a row is refused, and where a row for it belongs."""
    known = BY_TOKEN.get(re.sub(r"/v\w+:", ":", token))
    if known is not None:
        return (
            f"{token} names an API version that the emulator does not speak: for {known.pulumi_type} it "
            f"speaks {known.version}. Use the token without a version."
        )
    return (
        f"{token} is not emulated: the emulator would not know what Azure does with it. Add its row to "
        "azure_types/overrides.py and its rules to emulator/arm, or deploy it on Azure only."
    )
