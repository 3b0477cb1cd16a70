"""How an object is kept by Azure and by Pulumi.

Azure keeps most members of a resource, and of many nested objects, below `properties`; Pulumi has them side
by side, and calls a few of them by other names.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Final

Properties = dict[str, Any]
Spec = Mapping[str, Any]

_OWN: Final = ("id", "name", "type", "etag", "systemData")
"""Members that any answer carries next to `properties`."""


@cache
def derived() -> Mapping[str, Any]:
    """Return types.json, which derive.py writes and describes."""
    content: dict[str, Any] = json.loads(Path(__file__).with_name("types.json").read_text(encoding="utf-8"))
    return content


@dataclass(frozen=True)
class Layout:
    """One object, or several that may be in the same place. Names are Pulumi's.

    `ids`: a list of ids in inputs, which Azure and the outputs hold as a map {id: details}.
    """

    objects: tuple[str, ...]
    ids: bool = False

    @cached_property
    def specs(self) -> Mapping[str, tuple[str, Spec]]:
        """Pulumi's name of each member -> Azure's name, and what it holds."""
        found: dict[str, tuple[str, Spec]] = {}
        for name in self.objects:
            for arm, spec in derived()["objects"][name].items():
                if not spec.get("v"):
                    found.setdefault(spec.get("s", arm), (arm, spec))
        return found

    @cached_property
    def top(self) -> frozenset[str] | None:
        """What is next to `properties`; None when the object has no `properties` to flatten."""
        below = {name for name, (_, spec) in self.specs.items() if spec.get("p")}
        return frozenset({*_OWN, *self.specs} - below) if below else None

    @cached_property
    def computed(self) -> frozenset[str]:
        """What only Azure sets."""
        return frozenset(name for name, (_, spec) in self.specs.items() if spec.get("ro"))

    @cached_property
    def members(self) -> Mapping[str, Layout]:
        """The layouts of nested objects, or of the elements of lists."""
        return {name: found for name, (_, spec) in self.specs.items() if (found := _below(spec)) is not None}

    @cached_property
    def _names(self) -> Mapping[str, str]:
        return {arm: name for name, (arm, _) in self.specs.items() if arm != name}

    def to_arm(self, value: Any) -> Any:
        """Return inputs as the body of a request."""
        if self.ids and isinstance(value, list):
            return {identifier: {} for identifier in value}
        return each(value, self._object_to_arm)

    def _object_to_arm(self, inputs: Properties) -> Properties:
        body: Properties = {} if self.top is None else {"properties": {}}
        for name, value in inputs.items():
            below = self.members.get(name)
            place = body if self.top is None or name in self.top else body["properties"]
            arm = self.specs[name][0] if name in self.specs else name
            place[arm] = below.to_arm(value) if below else value
        if self.top is not None and not body["properties"]:
            del body["properties"]
        return body

    def to_outputs(self, value: Any) -> Any:
        """Return the body of an answer as outputs."""
        return each(value, self._object_to_outputs)

    def _object_to_outputs(self, body: Properties) -> Properties:
        flat = dict(body)
        if self.top is not None:
            flat |= flat.pop("properties", None) or {}
        outputs: Properties = {}
        for arm, value in flat.items():
            name = self._names.get(arm, arm)
            below = self.members.get(name)
            outputs[name] = below.to_outputs(value) if below else value
        return outputs

    def to_inputs(self, value: Any) -> Any:
        """Return outputs as the inputs that would ask for them: without what only Azure sets."""
        if self.ids and isinstance(value, dict):
            return list(value)
        return each(value, self._object_to_inputs)

    def _object_to_inputs(self, outputs: Properties) -> Properties:
        return {
            name: self.members[name].to_inputs(value) if name in self.members else value
            for name, value in outputs.items()
            if name not in self.computed
        }

    def default_at(self, path: str) -> Any:
        """Return what a property means when nothing is said of it (``[]`` after each list), else None."""
        name, _, rest = path.removesuffix("[]").partition(".")
        if rest:
            below = self.members.get(name.removesuffix("[]"))
            return below.default_at(rest) if below else None
        return self.specs[name][1].get("d") if name in self.specs else None


def _below(spec: Spec) -> Layout | None:
    if spec.get("ids"):
        return Layout((), ids=True)
    while "i" in spec:
        spec = spec["i"]
    objects = (spec["o"],) if "o" in spec else tuple(spec.get("u", ()))
    return layout(*objects) if objects else None


@cache
def layout(*objects: str) -> Layout:
    """Return the layout of an object of types.json."""
    return Layout(objects)


def each(value: Any, change: Callable[[Properties], Properties]) -> Any:
    """Return an object, or a list of objects, with each changed."""
    if isinstance(value, dict):
        return change(value)
    if isinstance(value, list):
        return [each(element, change) for element in value]
    return value
