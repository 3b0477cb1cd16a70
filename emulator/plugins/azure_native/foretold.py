"""The outputs of a preview: inputs as they are, with what Azure will set in nested objects not known yet."""

from typing import Any

from azure_types.azure_type import AzureType
from azure_types.layout import Layout, each
from azure_types.overrides import FILLED
from pulumi_wire.values import UNKNOWN, Properties


def foretold(type_: AzureType, inputs: Properties) -> Properties:
    """Return the outputs that a preview shows for inputs of a resource; of the rest it knows nothing."""
    members = type_.layout.members
    return {
        name: _nested(members[name], value) if name in members else value
        for name, value in type_.body_of(inputs).items()
        if name != "id"
    }


def _nested(layout: Layout, value: Any) -> Any:
    if layout.ids:
        return UNKNOWN

    def change(inputs: Properties) -> Properties:
        if inputs.keys() == {"id"}:  # another resource, and no more of it
            return inputs
        filled = {name for of in layout.objects for name in FILLED.get(of, "").split()}
        return dict.fromkeys(layout.computed | filled, UNKNOWN) | {
            name: _nested(layout.members[name], member) if name in layout.members else member
            for name, member in inputs.items()
        }

    return each(value, change)
