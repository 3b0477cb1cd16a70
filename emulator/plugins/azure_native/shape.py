"""The description of one resource type: where it lives in ARM, and what the provider does with its inputs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from emulator.plugins.azure_native.layout import Layout
from pulumi_wire.values import Properties

PARAMETER = re.compile(r"\{(\w+)\}")
_WIDE = frozenset({"scope", "resourceUri"})
"""Path parameters whose value is a whole resource id."""


@dataclass(frozen=True, kw_only=True)
class Name:
    """The rule for the resource's own name: a pattern over the whole of it, and lengths."""

    pattern: str
    minimum: int = 1
    maximum: int


@dataclass(frozen=True, kw_only=True)
class Shape:
    """One row of the table. Property names are Pulumi's, several in one string are separated by spaces.

    `path`: ARM's path with its parameters; every parameter but subscriptionId is an input, and the last one
    is the resource's own name. `inputs`: the properties of the body that a refresh compares; `layout` says
    where they lie. `outputs`: the layout of answers where it is not that of requests. `replaces`: properties
    of the body whose change makes a new resource (path parameters always do). `defaults`: values of the API
    definition, by property path, that mean the same as silence. `kept`: lists (paths in ARM's body) that
    belong to Azure while the program does not mention them. `restored`: what is sent when a property
    disappears from the program. `autoname`: how a resource without a name gets one: ``random`` (the Pulumi
    name and eight digits), ``same``, ``guid``, or else this very word. `singleton`: exists with its parent,
    so it is reset and not deleted.
    """

    pulumi_type: str
    path: str
    version: str
    inputs: str
    layout: Layout
    name: Name
    outputs: Layout | None = None
    required: str = ""
    replaces: str = ""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    kept: tuple[str, ...] = ()
    restored: Mapping[str, Any] = field(default_factory=dict)
    autoname: str = "random"
    singleton: bool = False

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """The inputs that make up the path, the resource's own name last."""
        return tuple(name for name in PARAMETER.findall(self.path) if name != "subscriptionId")

    @property
    def name_input(self) -> str:
        """The input that names the resource."""
        return self.parameters[-1]

    @cached_property
    def body_inputs(self) -> frozenset[str]:
        """The properties of the body that a refresh compares."""
        return frozenset(self.inputs.split())

    @cached_property
    def required_inputs(self) -> tuple[str, ...]:
        """What the program must say: the parents in the path, and what the API demands."""
        return (*self.parameters[:-1], *self.required.split())

    @cached_property
    def replacing(self) -> frozenset[str]:
        """The inputs whose change makes a new resource."""
        return frozenset((*self.parameters, *self.replaces.split()))

    @property
    def located(self) -> bool:
        """Whether the type has a location."""
        return "location" in self.body_inputs

    def resource_id(self, subscription: str, inputs: Properties) -> str:
        """Return the id that complete inputs name."""
        values = {"subscriptionId": subscription, **inputs}
        return PARAMETER.sub(lambda match: str(values[match[1]]).strip("/"), self.path)

    def parse(self, resource_id: str) -> Properties | None:
        """Return the path parameters (subscriptionId too) of an id, None when it is not of this type."""
        match = self._id_pattern.fullmatch(resource_id)
        if match is None:
            return None
        found = match.groupdict()
        return found | {name: f"/{found[name].strip('/')}" for name in _WIDE & found.keys()}

    @cached_property
    def _id_pattern(self) -> re.Pattern[str]:
        parts = PARAMETER.split(self.path)  # literal, name, literal, name, ...
        pattern = "".join(
            re.escape(part) if index % 2 == 0 else f"(?P<{part}>{'.+' if part in _WIDE else '[^/]+'})"
            for index, part in enumerate(parts)
        )
        return re.compile(pattern, re.IGNORECASE)

    def to_arm(self, inputs: Properties) -> Properties:
        """Return the body of a PUT."""
        body: Properties = self.layout.to_arm(
            {
                name: value
                for name, value in inputs.items()
                if name not in self.parameters and not name.startswith("__")
            }
        )
        return body

    def to_outputs(self, body: Properties) -> Properties:
        """Return the body of an answer as outputs. The id travels next to them."""
        outputs: Properties = (self.outputs or self.layout).to_outputs(body)
        outputs.pop("id", None)
        return outputs | {"azureApiVersion": self.version}

    def to_inputs(self, outputs: Properties) -> Properties:
        """Return outputs as the body inputs that would ask for them."""
        every: Properties = self.layout.to_inputs(outputs)
        return {name: value for name, value in every.items() if name in self.body_inputs}


def group_path(resource: str) -> str:
    """Return the path of a type in a resource group: ``Microsoft.X/things/{thingName}``."""
    return f"/subscriptions/{{subscriptionId}}/resourceGroups/{{resourceGroupName}}/providers/{resource}"
