"""Values on the wire between the engine and those it asks, as plain Python values.

A Pulumi property map travels as a protobuf Struct: every number is a double, and a value that is not known
before the deployment is one of a few fixed strings. A policy pack gets secrets as a marked map; the emulated
providers do not accept them, so for those the engine strips the mark and puts it back on the outputs.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from google.protobuf import struct_pb2

Properties = dict[str, Any]


class Unknown:
    """The type of `UNKNOWN`: a value that only the deployment will tell."""

    def __repr__(self) -> str:
        return "(known after the deployment)"


UNKNOWN: Final = Unknown()

SIGNATURE: Final = "4dabf18193072939515e22adb298388d"  # pragma: allowlist secret
"""The key in a map that stands for something else, as a secret or an asset does."""
_SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105  # pragma: allowlist secret
_UNKNOWN_STRING = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
UNKNOWN_STRINGS: Final = frozenset(
    {
        _UNKNOWN_STRING,
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",  # bool
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",  # number
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",  # array
        "030794c1-ac77-496b-92df-f27374a8bd58",  # asset
        "e48ece36-62e2-4504-bad9-02848725956a",  # archive
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",  # object
    }
)
"""How the engine writes values that it cannot know yet, by their kinds."""


def decode(struct: struct_pb2.Struct) -> Properties:
    """Return a Struct as a dictionary.

    Whole doubles become integers, secrets their values; members that are null are left out.
    """
    return {
        key: _decode(value)
        for key, value in struct.fields.items()
        if value.WhichOneof("kind") != "null_value"
    }


def _decode(value: struct_pb2.Value) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        return UNKNOWN if value.string_value in UNKNOWN_STRINGS else value.string_value
    if kind == "struct_value":
        return _decode_map(value.struct_value)
    if kind == "list_value":
        return [_decode(element) for element in value.list_value.values]
    if kind == "bool_value":
        return value.bool_value
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() else number
    return None


def _decode_map(struct: struct_pb2.Struct) -> Any:
    fields = struct.fields
    if SIGNATURE in fields and fields[SIGNATURE].string_value == _SECRET:
        return _decode(fields["value"])
    return decode(struct)


def encode(properties: Mapping[str, Any]) -> struct_pb2.Struct:
    """Return a dictionary as a Struct: the reverse of `decode`; members that are None are left out."""
    struct = struct_pb2.Struct()
    _fill_struct(struct, properties)
    return struct


def _fill_struct(struct: struct_pb2.Struct, properties: Mapping[str, Any]) -> None:
    for key, value in properties.items():
        if value is not None:
            _fill(struct.fields[key], value)


def _fill(target: struct_pb2.Value, value: Any) -> None:
    if isinstance(value, str):
        target.string_value = value
    elif isinstance(value, bool):
        target.bool_value = value
    elif isinstance(value, int | float):
        target.number_value = value
    elif isinstance(value, Mapping):
        target.struct_value.SetInParent()
        _fill_struct(target.struct_value, value)
    elif isinstance(value, list | tuple):
        target.list_value.SetInParent()
        for element in value:
            _fill(target.list_value.values.add(), element)
    elif value is UNKNOWN:
        target.string_value = _UNKNOWN_STRING
    elif value is None:
        target.null_value = struct_pb2.NULL_VALUE
    else:
        raise TypeError(f"{type(value).__name__} cannot travel to the engine: {value!r}")


def has_unknown(value: Any) -> bool:
    """Say whether a value is unknown or holds something that is."""
    if isinstance(value, Mapping):
        return any(map(has_unknown, value.values()))
    if isinstance(value, list | tuple):
        return any(map(has_unknown, value))
    return value is UNKNOWN


def without(properties: Mapping[str, Any], names: Iterable[str]) -> Properties:
    """Return the properties but for some names."""
    dropped = frozenset(names)
    return {name: value for name, value in properties.items() if name not in dropped}
