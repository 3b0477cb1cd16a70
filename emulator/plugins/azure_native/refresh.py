"""Read: carry what was changed behind the engine's back over to the inputs: the next update fixes it."""

from __future__ import annotations

from typing import Any

from azure_types.azure_type import AzureType
from pulumi_wire.values import Properties, without


def drifted_inputs(
    type_: AzureType, inputs: Properties, old_outputs: Properties, new_outputs: Properties
) -> Properties:
    """Return the inputs with every difference between two sets of outputs applied to them, removals included.

    What Azure fills in is in both, hence no difference; lists that the program leaves to Azure are ignored.
    """
    ignored = {path.removeprefix("properties.") for path in type_.kept} - inputs.keys()
    before = without(type_.to_inputs(old_outputs), ignored)
    after = without(type_.to_inputs(new_outputs), ignored)
    return _merge(inputs, before, after, type_)


def _merge(inputs: Properties, before: Properties, after: Properties, type_: AzureType) -> Properties:
    merged: Properties = _apply(inputs, before, after)
    return merged | {name: inputs[name] for name in type_.parameters if name in inputs}


def _apply(inputs: Any, before: Any, after: Any) -> Any:
    """Return `inputs` changed as `before` was changed to become `after`."""
    if before == after:
        return inputs
    if isinstance(inputs, dict) and isinstance(before, dict) and isinstance(after, dict):
        changed = dict(inputs)
        for name in before.keys() | after.keys():
            if name not in after:
                changed.pop(name, None)
            elif before.get(name) != after[name]:
                changed[name] = _apply(inputs.get(name), before.get(name), after[name])
        return changed
    if isinstance(inputs, list) and isinstance(before, list) and isinstance(after, list):
        if len(inputs) == len(before) == len(after):
            return [_apply(*each) for each in zip(inputs, before, after, strict=True)]
        return after
    return after


def imported_inputs(type_: AzureType, parameters: Properties, outputs: Properties) -> Properties:
    """Return the inputs that would make a resource as it was found, without the defaults of the API."""
    found = _without_defaults(type_.to_inputs(outputs), type_, "")
    return {**found, **without(parameters, ["subscriptionId"])}


def _without_defaults(value: Any, type_: AzureType, path: str) -> Any:
    if isinstance(value, list):
        return [_without_defaults(element, type_, f"{path}[]") for element in value]
    if not isinstance(value, dict):
        return value
    kept = {}
    for name, member in value.items():
        below = f"{path}.{name}" if path else name
        if type_.layout.default_at(below) != member:
            kept[name] = _without_defaults(member, type_, below)
    return {name: member for name, member in kept.items() if member not in ([], {})}
