"""The description of one type of Azure's: what its row in overrides.py says, and what types.json adds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from azure_types.layout import Layout, Properties, derived, layout

PARAMETER = re.compile(r"\{(\w+)\}")
_WIDE = frozenset({"scope", "resourceUri"})
"""Path parameters whose value is a whole resource id."""


@dataclass(frozen=True, kw_only=True)
class NameRule:
    """The rule for the resource's own name: a pattern over the whole of it, and lengths."""

    pattern: str
    minimum: int = 1
    maximum: int

    def fits(self, name: str) -> bool:
        """Return whether a name follows the rule."""
        return self.minimum <= len(name) <= self.maximum and re.fullmatch(self.pattern, name) is not None


@dataclass(frozen=True, kw_only=True)
class AzureType:
    """One row of the table. Property names are Pulumi's, several in one string are separated by spaces.

    `path`: ARM's path with its parameters; every parameter but subscriptionId is an input, and the last one
    is the resource's own name. `kinds`: the values of a parameter that is part of ARM's type. `demanded`:
    what must be said although the SDK has a default for it. `replaces`: properties of the body whose change
    makes a new resource (path parameters always do). `kept`: lists (paths in ARM's body) that belong to
    Azure while the program does not mention them. `restored`: what is sent when a property disappears from
    the program. `autoname`: how a resource without a name gets one: ``random`` (the Pulumi name and eight
    digits), ``same``, ``guid``, or else this very word. `singleton`: exists with its parent, so it is reset
    and not deleted. `unwrapped`: an answer has next to everything else what a request has in `properties`.
    `verified`: `fed verify` knows what such a resource opens, or that it opens nothing; the policies refuse
    all others. `untagged`: takes tags that no cost report uses.
    """

    pulumi_type: str
    path: str
    name: NameRule
    kinds: tuple[str, ...] = ()
    demanded: str = ""
    replaces: str = ""
    kept: tuple[str, ...] = ()
    restored: Mapping[str, Any] = field(default_factory=dict)
    autoname: str = "random"
    singleton: bool = False
    unwrapped: bool = False
    verified: bool = False
    untagged: bool = False

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """The inputs that make up the path, the resource's own name last."""
        return tuple(name for name in PARAMETER.findall(self.path) if name != "subscriptionId")

    @property
    def name_input(self) -> str:
        """The input that names the resource."""
        return self.parameters[-1]

    @cached_property
    def arm_types(self) -> tuple[str, ...]:
        """The type as Resource Manager calls it, for example Microsoft.Network/virtualNetworks/subnets.

        Several where a parameter of the path is part of the type.
        """
        _, found, below = self.path.rpartition("/providers/")
        if not found:
            return ("Microsoft.Resources/resourceGroups",)
        namespace, *pairs = below.split("/")
        name = "/".join((namespace, *pairs[::2]))
        return tuple(PARAMETER.sub(kind, name) for kind in self.kinds) if self.kinds else (name,)

    @property
    def arm_type(self) -> str:
        """The first of `arm_types`."""
        return self.arm_types[0]

    @cached_property
    def versions(self) -> tuple[str, ...]:
        """The api-versions that Azure has published, the SDK's first."""
        return tuple(derived()["types"][self.pulumi_type]["versions"])

    @property
    def version(self) -> str:
        """The api-version that the SDK uses."""
        return self.versions[0]

    @property
    def object(self) -> str:
        """The object of types.json that a body is."""
        return str(derived()["types"][self.pulumi_type]["object"])

    @property
    def layout(self) -> Layout:
        """How Azure and Pulumi keep a body."""
        return layout(self.object)

    @cached_property
    def body_inputs(self) -> frozenset[str]:
        """The properties of the body that a refresh compares: those that an answer can show."""
        hidden = {"id"} | ({"properties"} if self.unwrapped else set())
        return frozenset(self.layout.specs.keys() - self.layout.computed - hidden)

    @cached_property
    def required_inputs(self) -> tuple[str, ...]:
        """What the program must say: the parents in the path, and what the API demands."""
        demanded = [name for name, (_, spec) in self.layout.specs.items() if spec.get("r")]
        return (*self.parameters[:-1], *demanded, *self.demanded.split())

    @cached_property
    def replacing(self) -> frozenset[str]:
        """The inputs whose change makes a new resource."""
        return frozenset((*self.parameters, *self.replaces.split()))

    @property
    def located(self) -> bool:
        """Whether the type has a location."""
        return "location" in self.body_inputs

    @property
    def tagged(self) -> bool:
        """Whether Azure keeps tags of such a resource and cost reports use them."""
        return "tags" in self.body_inputs and not self.untagged

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

    def body_of(self, inputs: Properties) -> Properties:
        """Return the inputs that are no parameters of the path."""
        return {
            name: value
            for name, value in inputs.items()
            if name not in self.parameters and not name.startswith("__")
        }

    def to_arm(self, inputs: Properties) -> Properties:
        """Return the body of a PUT."""
        body: Properties = self.layout.to_arm(self.body_of(inputs))
        return body

    def to_outputs(self, body: Properties) -> Properties:
        """Return the body of an answer as outputs. The id travels separately."""
        found = self.layout
        if self.unwrapped:
            body, found = body | body.get("properties", {}), found.members["properties"]
            body.pop("properties", None)
        outputs: Properties = found.to_outputs(body)
        outputs.pop("id", None)
        return outputs | {"azureApiVersion": self.version}

    def to_inputs(self, outputs: Properties) -> Properties:
        """Return outputs as the body inputs that would ask for them."""
        every: Properties = self.layout.to_inputs(outputs)
        return {name: value for name, value in every.items() if name in self.body_inputs}
