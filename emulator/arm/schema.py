"""Bodies against property lists: unknown members, missing ones, wrong kinds of value, unknown enum values.

The lists are those of azure_types/types.json. Names and enum values are taken in any case and
answered in Azure's; members that only answers carry are dropped, as Azure ignores them.
"""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any

from azure_types.layout import derived
from azure_types.types import BY_ARM_TYPE
from emulator.arm.errors import ArmError, bad_request
from emulator.arm.messages import Json

if TYPE_CHECKING:
    from emulator.arm.catalogue import ResourceType

Spec = dict[str, Any]

_KINDS: dict[str, str] = {"s": "String", "i": "Int32", "n": "Double", "b": "Boolean"}
_ANSWERED = ("id", "name", "type", "etag", "systemData", "provisioningState")
"""Members that any answer carries, so that any request may repeat them; they are ignored."""

_BAD_VALUE = {
    "microsoft.network": "InvalidRequestFormat",
    "microsoft.compute": "InvalidParameter",
    "microsoft.storage": "InvalidRequestPropertyValue",
}


def check(type_: ResourceType, body: Json) -> Json:
    """Return a body in Azure's names and cases, without what only answers carry; raise ArmError (400)."""
    return _Check(_objects(), type_).object(BY_ARM_TYPE[type_.name].object, body, "")


@cache
def _objects() -> dict[str, dict[str, tuple[str, Spec]]]:
    """Object -> lower-case name -> (name, spec); `properties` is an object of its own."""
    objects: dict[str, dict[str, tuple[str, Spec]]] = {}
    for name, members in derived()["objects"].items():
        answered = {member: spec for member, spec in members.items() if spec.get("ro")}
        outer = {member: spec for member, spec in members.items() if not spec.get("p")} | answered
        if "@" in name:  # the path says what a resource is
            outer = {member: spec for member, spec in outer.items() if member not in {"id", "type"}}
        below = {member: spec for member, spec in members.items() if spec.get("p")}
        if below:
            below |= answered
            required = any(spec.get("r") for spec in below.values())
            outer["properties"] = {"t": "o", "o": f"{name}.properties"} | ({"r": 1} if required else {})
            objects[f"{name}.properties"] = {member.lower(): (member, spec) for member, spec in below.items()}
        objects[name] = {member.lower(): (member, spec) for member, spec in outer.items()}
    return objects


class _Check:
    def __init__(self, objects: dict[str, dict[str, tuple[str, Spec]]], type_: ResourceType) -> None:
        self._objects = objects
        self._type = type_

    def object(self, name: str, body: Any, path: str) -> Json:
        if not isinstance(body, dict):
            raise _not_deserialised(f"Error converting value {body!r} to an object. Path '{path}'.")
        members = self._objects[name]
        checked: Json = {}
        for given, value in body.items():
            known = members.get(given.lower())
            if known is None:
                if given in _ANSWERED or (given == "properties" and isinstance(value, dict)):
                    if given == "properties":
                        self.nothing(value, _below(path, given))
                    continue
                raise self.unknown(given, path)
            member, spec = known
            if value is None or spec.get("ro"):
                continue
            checked[member] = self.value(spec, value, _below(path, member))
        for member, spec in members.values():
            if spec.get("r") and checked.get(member) is None:
                raise self._missing(_below(path, member))
        return checked

    def nothing(self, value: Json, path: str) -> None:
        """Refuse members of an object that has none, but for what any answer carries."""
        for given in value:
            if given not in _ANSWERED:
                raise self.unknown(given, path)

    def unknown(self, given: str, path: str) -> ArmError:
        return _not_deserialised(
            f"Could not find member '{given}' on object of type '{self._type.name}'. Path "
            f"'{_below(path, given)}'."
        )

    def value(self, spec: Spec, value: Any, path: str) -> Any:
        kind = spec["t"]
        if kind == "o":
            return self.object(spec["o"], value, path)
        if kind == "[]":
            if not isinstance(value, list):
                raise _not_deserialised(f"Error converting value {value!r} to a list. Path '{path}'.")
            return [self.value(spec["i"], element, f"{path}[{index}]") for index, element in enumerate(value)]
        if kind == "{}":
            if not isinstance(value, dict):
                raise _not_deserialised(f"Error converting value {value!r} to a map. Path '{path}'.")
            return {
                key: None if element is None else self.value(spec["i"], element, f"{path}.{key}")
                for key, element in value.items()
            }
        if kind == "u":
            return self.union(spec["u"], value, path)
        if kind == "any":
            return value
        return self.scalar(kind, spec, value, path)

    def union(self, names: list[str], value: Any, path: str) -> Any:
        refusals = []
        for name in names:
            try:
                return self.object(name, value, path)
            except ArmError as refusal:
                refusals.append(refusal)
        raise max(refusals, key=lambda refusal: len(refusal.target or refusal.message.partition("Path '")[2]))

    def scalar(self, kind: str, spec: Spec, value: Any, path: str) -> Any:
        if kind in {"i", "n"} and isinstance(value, (int, float)) and not isinstance(value, bool):
            if kind == "i" and value != int(value):
                raise _not_deserialised(f"Error converting value {value!r} to type 'Int32'. Path '{path}'.")
            return int(value) if kind == "i" or value == int(value) else value
        if kind == "s" and isinstance(value, str):
            return self.enumerated(spec["e"], value, path) if "e" in spec else value
        if kind == "b" and isinstance(value, bool):
            return value
        raise _not_deserialised(
            f"Error converting value {json.dumps(value)} to type 'System.{_KINDS[kind]}'. Path '{path}'."
        )

    def enumerated(self, values: list[str], value: str, path: str) -> str:
        for known in values:
            if known.lower() == value.lower():
                return known
        code = _BAD_VALUE.get(self._type.namespace.lower(), "BadRequest")
        raise bad_request(
            code,
            f"The value '{value}' of property '{path}' is invalid. Possible values are: {', '.join(values)}.",
            target=path,
        )

    def _missing(self, path: str) -> ArmError:
        code = {"microsoft.network": "InvalidRequestFormat", "microsoft.compute": "InvalidParameter"}.get(
            self._type.namespace.lower(), "BadRequest"
        )
        return bad_request(code, f"Required parameter '{path}' is missing (null).", target=path)


def _below(path: str, member: str) -> str:
    return f"{path}.{member}" if path else member


def _not_deserialised(reason: str) -> ArmError:
    return bad_request(
        "InvalidRequestContent",
        f"The request content was invalid and could not be deserialized: '{reason}'.",
    )
