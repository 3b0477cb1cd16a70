"""Reads a settings tree value by value, so that one wrong value hides no other.

Pydantic stops at the first level that fails before it runs checks across fields; a person who fixes a stack
file wants every mistake in one go. So each value is checked on its own first, and what was refused becomes
None in a draft that the rules across values (`rules.py`) can still read.

A draft is an instance of the settings' own model that was never validated, so that mypy knows each name and
type that a rule reads. That a value may be None although the model says otherwise is the one thing that it
does not know: each rule is tried on drafts of which any value was refused (docs/adr/0004).
"""

import difflib
from collections.abc import Iterator, Mapping
from types import NoneType
from typing import Annotated, Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from federation.problem import Problem
from federation.violations import NOT_SET, violation

Model = TypeVar("Model", bound=BaseModel)


def examine(model: type[Model], raw: Any, at: str, found: list[Problem]) -> Model:
    """Return the draft of one model from `raw`, which is at key `at`; what is wrong is appended to `found`.

    In a draft every value that was refused or is missing is None.
    """
    if not isinstance(raw, Mapping):
        found.append(
            violation(
                key=at.rstrip("."),
                value=raw,
                why="it is a group of settings: nothing in it could be read",
                fix=f"write a mapping with some of {', '.join(_keys(model))}",
            )
        )
        return _nothing_of(model)
    found.extend(_unknown_keys(model, raw, at))
    return model.model_construct(
        **{key: _value(field, raw.get(key, NOT_SET), f"{at}{key}", found) for _, field, key in _fields(model)}
    )


def _nothing_of(model: type[Model]) -> Model:
    """Return the draft of a group of which nothing could be read."""
    values: dict[str, Any] = {}
    for _, field, key in _fields(model):
        annotation = _without_none(field.annotation)
        is_group = isinstance(annotation, type) and issubclass(annotation, BaseModel)
        values[key] = _nothing_of(annotation) if is_group else None
    return model.model_construct(**values)


def _value(field: FieldInfo, raw: Any, key: str, found: list[Problem]) -> Any:
    annotation = _without_none(field.annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if (
            raw is NOT_SET
            and not field.is_required()
            and field.get_default(call_default_factory=True) is None
        ):
            return None
        return examine(annotation, {} if raw is NOT_SET else raw, f"{key}.", found)
    if _is_mapping_of_models(annotation):
        return _entries(annotation, {} if raw is NOT_SET else raw, key, found)
    if raw is NOT_SET:
        if not field.is_required():
            return field.get_default(call_default_factory=True)
        found.append(_missing(field, key))
        return None
    return _checked(_type(field), raw, key, field.description or "", found)


def _entries(annotation: Any, raw: Any, key: str, found: list[Problem]) -> dict[str, BaseModel]:
    name_type, entry_model = get_args(annotation)
    if not isinstance(raw, Mapping):
        examine(entry_model, raw, f"{key}.", found)
        return {}
    entries = {}
    for name, entry in raw.items():
        _checked(name_type, name, f"{key}.{name}", "the name of this entry", found)
        entries[str(name)] = examine(entry_model, entry, f"{key}.{name}.", found)
    return entries


def _checked(kind: Any, raw: Any, key: str, description: str, found: list[Problem]) -> Any:
    try:
        return TypeAdapter(kind).validate_python(raw)
    except ValidationError as error:
        found.extend(_refusals(error, raw, key, description))
        return None


def _refusals(error: ValidationError, raw: Any, key: str, description: str) -> Iterator[Problem]:
    details = error.errors()
    # A list whose members were refused is also too short, which is not another mistake.
    for detail in [one for one in details if one["loc"]] or details:
        place = "".join(
            f"[{part}]" if isinstance(part, int) else f".{part}" for part in detail["loc"] if part != "[key]"
        )
        context = detail.get("ctx", {})
        advice = detail["msg"].replace("Input should be", "it should be")
        yield violation(
            key=f"{key}{place}",
            value=detail["input"] if detail["loc"] else raw,
            why=str(context.get("why", f"it says {description}, and this value does not")),
            fix=str(context.get("fix", advice)),
        )


def _unknown_keys(model: type[BaseModel], raw: Mapping[Any, Any], at: str) -> Iterator[Problem]:
    known = _keys(model)
    for key in raw:
        if key in known:
            continue
        if key == "secure":
            why = "it is a secret: stack files and state of a federation hold none"
            fix = "write the plain value; a setting that would need a secret does not exist"
        else:
            close = difflib.get_close_matches(str(key), known, n=1)
            why = "no such setting exists: it would be ignored, and what you meant by it would not happen"
            fix = (
                f"did you mean {close[0]}? " if close else "remove it. "
            ) + f"Known here: {', '.join(known)}"
        yield violation(key=f"{at}{key}", value=raw[key], why=why, fix=fix)


def _missing(field: FieldInfo, key: str) -> Problem:
    example = f", for example {field.examples[0]}" if field.examples else ""
    return violation(
        key=key,
        value=NOT_SET,
        why=f"it says {field.description}, and no default would be safe",
        fix=f"add it{example}",
    )


def _fields(model: type[BaseModel]) -> Iterator[tuple[str, FieldInfo, str]]:
    for name, field in model.model_fields.items():
        yield name, field, field.alias or name


def _keys(model: type[BaseModel]) -> list[str]:
    return [key for _, _, key in _fields(model)]


def _type(field: FieldInfo) -> Any:
    kind: Any = field.annotation
    for constraint in field.metadata:
        kind = Annotated[kind, constraint]
    return kind


def _without_none(annotation: Any) -> Any:
    arguments = [argument for argument in get_args(annotation) if argument is not NoneType]
    return arguments[0] if len(arguments) == 1 and NoneType in get_args(annotation) else annotation


def _is_mapping_of_models(annotation: Any) -> bool:
    if get_origin(annotation) is not Mapping:
        return False
    entry = get_args(annotation)[1]
    return isinstance(entry, type) and issubclass(entry, BaseModel)
