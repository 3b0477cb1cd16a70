"""How an object looks in ARM and in Pulumi.

ARM keeps most members of a resource, and of many nested objects, below `properties`; Pulumi has them side by
side, and calls a few of them by other names. A `Layout` says which, and which members only Azure fills in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pulumi_wire.values import UNKNOWN, Properties


@dataclass(frozen=True, kw_only=True)
class Layout:
    """One object type. Names are Pulumi's.

    `top`: what is next to `properties` in ARM; None when the object has no `properties` to flatten.
    `renamed`: Pulumi name -> ARM name. `members`: the layouts of nested objects, or of the elements of lists.
    `computed`: what only Azure sets. `filled`: what Azure sets where the program does not.
    `ids`: a list of ids in inputs, which ARM and the outputs hold as a map {id: details}.
    """

    top: frozenset[str] | None = None
    renamed: Mapping[str, str] = field(default_factory=dict)
    members: Mapping[str, Layout] = field(default_factory=dict)
    computed: frozenset[str] = frozenset()
    filled: frozenset[str] = frozenset()
    ids: bool = False

    def to_arm(self, value: Any) -> Any:
        """Return inputs as the body of a request."""
        if self.ids and isinstance(value, list):
            return {identifier: {} for identifier in value}
        return _each(value, self._object_to_arm)

    def _object_to_arm(self, inputs: Properties) -> Properties:
        body: Properties = {} if self.top is None else {"properties": {}}
        for name, value in inputs.items():
            below = self.members.get(name)
            place = body if self.top is None or name in self.top else body["properties"]
            place[self.renamed.get(name, name)] = below.to_arm(value) if below else value
        if self.top is not None and not body["properties"]:
            del body["properties"]
        return body

    def to_outputs(self, value: Any) -> Any:
        """Return the body of an answer as outputs."""
        return _each(value, self._object_to_outputs)

    def _object_to_outputs(self, body: Properties) -> Properties:
        flat = dict(body)
        if self.top is not None:
            flat |= flat.pop("properties", None) or {}
        names = {arm: name for name, arm in self.renamed.items()}
        outputs: Properties = {}
        for arm, value in flat.items():
            name = names.get(arm, arm)
            below = self.members.get(name)
            outputs[name] = below.to_outputs(value) if below else value
        return outputs

    def to_inputs(self, value: Any) -> Any:
        """Return outputs as the inputs that would ask for them: without what only Azure sets."""
        if self.ids and isinstance(value, dict):
            return list(value)
        return _each(value, self._object_to_inputs)

    def _object_to_inputs(self, outputs: Properties) -> Properties:
        return {
            name: self.members[name].to_inputs(value) if name in self.members else value
            for name, value in outputs.items()
            if name not in self.computed
        }

    def foretell(self, value: Any) -> Any:
        """Return inputs as the outputs of a preview: what Azure will set is unknown."""
        if self.ids:
            return UNKNOWN
        return _each(value, self._object_foretold)

    def _object_foretold(self, inputs: Properties) -> Properties:
        outputs = {
            name: self.members[name].foretell(value) if name in self.members else value
            for name, value in inputs.items()
        }
        return dict.fromkeys(self.computed | self.filled, UNKNOWN) | outputs


def _each(value: Any, change: Callable[[Properties], Properties]) -> Any:
    if isinstance(value, dict):
        return change(value)
    if isinstance(value, list):
        return [_each(element, change) for element in value]
    return value


def flat(*top: str, members: Mapping[str, Layout] | None = None, **more: Any) -> Layout:
    """Return the layout of an object that Pulumi flattens: all but `top` is below `properties` in ARM."""
    return Layout(top=frozenset(top), members=members or {}, **_frozen(more))


def plain(members: Mapping[str, Layout] | None = None, **more: Any) -> Layout:
    """Return the layout of an object that looks the same in ARM."""
    return Layout(members=members or {}, **_frozen(more))


def _frozen(more: dict[str, Any]) -> dict[str, Any]:
    return {key: frozenset(value) if key in {"computed", "filled"} else value for key, value in more.items()}
