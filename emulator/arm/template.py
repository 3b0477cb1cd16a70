"""ARM templates: parameters, variables, expressions, and the order of resources.

https://learn.microsoft.com/azure/azure-resource-manager/templates/syntax. A small part (docs/adr/0029): what
is not here is refused as a template that Azure could not read, with the name of what is missing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from emulator.arm.errors import ArmError, bad_request
from emulator.arm.messages import Json

Function = Callable[..., Any]

_TOKEN = re.compile(r"\s*(?:'((?:[^']|'')*)'|(-?\d+)|([A-Za-z_]\w*)|([().,\[\]]))")
_SECURE = ("securestring", "secureobject")
_SETTINGS = frozenset(
    {
        "type",
        "name",
        "apiVersion",
        "dependsOn",
        "condition",
        "comments",
        "scope",
        "resources",
        "resourceGroup",
    }
)
"""Members of a resource that are the template's own and no part of its body."""


def invalid(reason: str) -> ArmError:
    """Return Azure's refusal of a template."""
    return bad_request("InvalidTemplate", f"Deployment template validation failed: '{reason}'.")


@dataclass(frozen=True, kw_only=True)
class Template:
    """A template with the values of its parameters; `functions` are those that know where it is deployed."""

    body: Json
    given: Json
    functions: Mapping[str, Function] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises ArmError when the template is not written as templates are."""
        for name in ("parameters", "variables", "outputs"):
            if not isinstance(self.body.get(name) or {}, dict):
                raise invalid(f"'{name}' must be an object")
        declared = self.body.get("parameters") or {}
        for name, one in declared.items():
            if not isinstance(one, dict) or not isinstance(one.get("type"), str):
                raise invalid(f"The template parameter '{name}' has no type")
        if not isinstance(self.given, dict) or not all(isinstance(one, dict) for one in self.given.values()):
            raise invalid("The values of parameters must be objects with a 'value'")

    def parameters(self) -> Json:
        """Return the parameters with their values; those of secure ones are needed, and never answered."""
        declared: Json = self.body.get("parameters") or {}
        unknown = sorted(set(self.given) - set(declared))
        if unknown:
            raise invalid(
                f"The template parameters '{', '.join(unknown)}' in the parameters file are not valid; they "
                "are not present in the original template and can therefore not be provided at deployment "
                f"time. The only supported parameters for this template are '{', '.join(declared)}'. Please "
                "see https://aka.ms/arm-pass-parameter-values for usage details"
            )
        return {name: self._parameter(name, one) for name, one in declared.items()}

    def _parameter(self, name: str, declared: Json) -> Any:
        if name in self.given:
            value = self.given[name].get("value")
        elif "defaultValue" in declared:
            value = self.value(declared["defaultValue"])
        else:
            raise invalid(
                f"The value for the template parameter '{name}' is not provided. Please see "
                "https://aka.ms/arm-create-parameter-file for usage details"
            )
        allowed = declared.get("allowedValues")
        if allowed is not None and value not in allowed:
            raise invalid(
                f"The provided value for the template parameter '{name}' is not valid. The value '{value}' "
                f"is not part of the allowed value(s): '{','.join(map(str, allowed))}'."
            )
        return value

    def shown_parameters(self) -> Json:
        """Return the parameters as a deployment answers them."""
        declared: Json = self.body.get("parameters") or {}
        return {
            name: {"type": str(declared[name]["type"]).capitalize()}
            | ({} if str(declared[name]["type"]).lower() in _SECURE else {"value": value})
            for name, value in self.parameters().items()
        }

    def value(self, written: Any) -> Any:
        """Return what a value of the template stands for, expressions in it evaluated."""
        if isinstance(written, dict):
            return {name: self.value(one) for name, one in written.items()}
        if isinstance(written, list):
            return [self.value(one) for one in written]
        if not isinstance(written, str) or not written.startswith("["):
            return written
        if written.startswith("[[") or not written.endswith("]"):
            return written.removeprefix("[") if written.startswith("[[") else written
        try:
            return _Expression(written, self._call).value()
        except RecursionError:
            raise invalid(f"The expression '{written}' refers to itself, or is too deep") from None

    def _call(self, name: str, arguments: list[Any]) -> Any:
        own: Mapping[str, Function] = {
            "parameters": lambda one: self._named("parameter", self.parameters(), one),
            "variables": lambda one: self.value(
                self._named("variable", self.body.get("variables") or {}, one)
            ),
        }
        known = {each.lower(): function for each, function in {**PLAIN, **own, **self.functions}.items()}
        function = known.get(name.lower())
        if function is None:
            raise invalid(
                f"The template function '{name}' is not valid. The emulator knows "
                f"{', '.join(sorted({**PLAIN, **own, **self.functions}))}"
            )
        try:
            return function(*arguments)
        except (TypeError, LookupError, AttributeError) as wrong:
            raise invalid(f"The template function '{name}' cannot take {arguments}") from wrong

    @staticmethod
    def _named(what: str, known: Json, name: str) -> Any:
        if name not in known:
            raise invalid(
                f"The template {what} '{name}' is not found. Please see https://aka.ms/arm-syntax-{what}s "
                "for usage details"
            )
        return known[name]

    def resources(self) -> list[Json]:
        """Return the resources in the order in which they can be made; those whose condition fails are left
        out.
        """
        written = self.body.get("resources")
        if not isinstance(written, list) or not all(isinstance(one, dict) for one in written):
            raise invalid("'resources' must be a list of objects; symbolic names are not emulated")
        found = [one for one in self._flat(written, "", "") if self.value(one.get("condition", True))]
        return _ordered(found)

    def _flat(self, written: list[Json], type_: str, name: str) -> Iterator[Json]:
        for one in written:
            _check_resource(one)
            whole = one | {
                "type": f"{type_}/{one['type']}" if type_ else one["type"],
                "name": f"{name}/{self.value(one['name'])}" if name else self.value(one["name"]),
                "dependsOn": self.value(one.get("dependsOn") or []),
            }
            yield whole
            yield from self._flat(one.get("resources") or [], whole["type"], whole["name"])

    def content(self, resource: Json) -> Json:
        """Return the body of a resource."""
        body: Json = self.value({name: one for name, one in resource.items() if name not in _SETTINGS})
        return body


def _check_resource(one: Json) -> None:
    """Refuse a resource that is not written as templates write them."""
    missing = [name for name in ("type", "name", "apiVersion") if not isinstance(one.get(name), str)]
    if missing:
        raise invalid(f"A resource lacks {', '.join(missing)}")
    if "copy" in one:
        raise invalid("'copy' is not emulated")
    for name in ("dependsOn", "resources"):
        if not isinstance(one.get(name) or [], list):
            raise invalid(f"'{name}' of resource '{one['name']}' is no list")
    if not all(isinstance(each, str) for each in one.get("dependsOn") or []):
        raise invalid(f"'dependsOn' of resource '{one['name']}' holds what is no text")


def segments(type_: str, name: str) -> str:
    """Return the end of an id: ``Microsoft.X/parents/p/children/c``."""
    provider, *kinds = type_.split("/")
    names = name.split("/")
    if not kinds or len(kinds) != len(names):
        raise invalid(
            f"The template resource '{name}' of type '{type_}' has incorrect segment lengths. A nested "
            "resource type must have identical number of segments as its resource name. A root resource type "
            "must have segment length one greater than its resource name. Please see "
            "https://aka.ms/arm-syntax-resources for usage details"
        )
    return "/".join([provider, *(part for pair in zip(kinds, names, strict=True) for part in pair)])


def _ordered(resources: list[Json]) -> list[Json]:
    waiting, done = list(resources), list[Json]()
    known = {id(one): segments(one["type"], one["name"]).lower() for one in resources}
    needs = {id(one): [_needed(each, resources, known) for each in one["dependsOn"]] for one in resources}
    while waiting:
        ready = [one for one in waiting if all(need in done for need in needs[id(one)])]
        if not ready:
            raise invalid(
                f"Circular dependency detected on resource: '{waiting[0]['name']}'. Please see "
                "https://aka.ms/arm-syntax-resources for usage details"
            )
        done.extend(ready)
        waiting = [one for one in waiting if one not in ready]
    return done


def _needed(wanted: str, resources: list[Json], known: dict[int, str]) -> Json:
    """Find what `dependsOn` names: by its id, by type and name, or by its name alone."""
    end = wanted.rpartition("/providers/")[2].lower()
    for one in resources:
        if end in {known[id(one)], f"{one['type']}/{one['name']}".lower(), str(one["name"]).lower()}:
            return one
    raise invalid(
        f"The resource '{wanted}' is not defined in the template. Please see https://aka.ms/arm-syntax for "
        "usage details"
    )


class _Expression:
    """One ``[...]``, read from left to right."""

    def __init__(self, text: str, call: Callable[[str, list[Any]], Any]) -> None:
        self._text, self._call = text, call
        self._tokens = list(self._split(text[1:-1]))

    def _split(self, text: str) -> Iterator[re.Match[str]]:
        at = 0
        while at < len(text.rstrip()):
            found = _TOKEN.match(text, at)
            if found is None:
                raise self._broken()
            yield found
            at = found.end()

    def _broken(self) -> ArmError:
        return invalid(f"The language expression '{self._text}' is not valid")

    def value(self) -> Any:
        found = self._term()
        if self._tokens:
            raise self._broken()
        return found

    def _take(self) -> re.Match[str]:
        if not self._tokens:
            raise self._broken()
        return self._tokens.pop(0)

    def _next(self, mark: str) -> bool:
        if self._tokens and self._tokens[0][4] == mark:
            self._tokens.pop(0)
            return True
        return False

    def _term(self) -> Any:
        token = self._take()
        if token[1] is not None:
            found: Any = token[1].replace("''", "'")
        elif token[2] is not None:
            found = int(token[2])
        elif token[3] is not None and self._next("("):
            found = self._call(token[3], self._arguments())
        else:
            raise self._broken()
        return self._below(found)

    def _arguments(self) -> list[Any]:
        found: list[Any] = []
        while not self._next(")"):
            found.append(self._term())
            if not self._next(",") and not (self._tokens and self._tokens[0][4] == ")"):
                raise self._broken()
        return found

    def _below(self, found: Any) -> Any:
        while True:
            if self._next("."):
                key: Any = self._take()[3]
            elif self._next("["):
                key = self._term()
                if not self._next("]"):
                    raise self._broken()
            else:
                return found
            try:
                found = found[key]
            except (TypeError, LookupError) as wrong:
                raise invalid(
                    f"The language expression property '{key}' doesn't exist. Please see "
                    "https://aka.ms/arm-functions for usage details"
                ) from wrong


def _concat(*parts: Any) -> Any:
    if parts and all(isinstance(part, list) for part in parts):
        return [one for part in parts for one in part]
    return "".join(map(str, parts))


PLAIN: Mapping[str, Function] = {
    "concat": _concat,
    "format": lambda text, *parts: re.sub(r"\{(\d+)\}", lambda found: str(parts[int(found[1])]), text),
    "toLower": lambda text: text.lower(),
    "toUpper": lambda text: text.upper(),
    "equals": lambda one, other: one == other,
    "if": lambda test, then, other: then if test else other,
    "true": lambda: True,
    "false": lambda: False,
    "empty": lambda one: not one,
}
"""Functions that know nothing of where they are."""
