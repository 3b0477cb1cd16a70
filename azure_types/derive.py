"""Write types.json: what request bodies and answers hold, in Azure's names and in Pulumi's.

    git clone --depth 1 https://github.com/Azure/bicep-types-az
    python -m azure_types.derive bicep-types-az

Two sources are laid side by side. The installed pulumi_azure_native (Apache-2.0, made by Pulumi from Azure's
OpenAPI specifications), parsed and not imported, says what is an input, of which kind, required, and by
default. Bicep's types (MIT, made by Microsoft from the same specifications) say where Azure keeps it: the SDK
flattens most objects (they have no `properties`) and renames a few members, which are found by what both say
of them. Run it when the SDK's default api-versions change, or after a new row in overrides.py.

The result: ``types``: Pulumi's token -> api-versions, the SDK's first, and object; ``objects``: object ->
member in Azure's name -> what it holds. ``t`` is s(tring), i(nteger), n(umber), b(oolean), any, o(bject,
named by ``o``), u(nion of the objects named by ``u``), [] (list of ``i``) or {} (map of ``i``); ``r`` marks
required, ``e`` lists the known values, ``d`` is the default, ``ro`` marks what Azure answers and ignores in a
request, ``v`` marks what other api-versions have, ``s`` is Pulumi's name where it is another. The members of
``properties`` carry ``p``; ``ids`` marks a map by id that is a list of ids in Pulumi.
"""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from azure_types import overrides
from azure_types.azure_type import AzureType

Spec = dict[str, Any]
Json = dict[str, Any]
OUTPUT = Path(__file__).with_name("types.json")

READ_ONLY = 2
"""Bicep's flag (https://github.com/Azure/bicep-types, ObjectTypePropertyFlags)."""


def sdk() -> Path:
    """Return the folder of the installed SDK, without importing it."""
    found = importlib.util.find_spec("pulumi_azure_native")
    if found is None or found.origin is None:
        raise SystemExit("pulumi_azure_native is not installed: its input classes are what this tool reads.")
    return Path(found.origin).parent


@cache
def classes(file: Path) -> dict[str, ast.ClassDef]:
    """Return the classes of a Python file by name."""
    tree = ast.parse(file.read_text())
    return {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}


@cache
def enums(module: str) -> dict[str, list[str]]:
    """Return the values of each string enum of an SDK module."""
    found: dict[str, list[str]] = {}
    for name, node in classes(sdk() / module / "_enums.py").items():
        values = [
            statement.value.value
            for statement in node.body
            if isinstance(statement, ast.Assign)
            and isinstance(statement.value, ast.Constant)
            and isinstance(statement.value.value, str)
        ]
        found[name] = values
    return found


@dataclass(frozen=True, kw_only=True)
class Member:
    """One property of a class of the SDK: its name on Pulumi's wire, and what is said of it."""

    wire: str
    about: str
    answers: str = ""
    """The class of the SDK that an answer has there."""


def members(node: ast.ClassDef) -> dict[str, Member]:
    """Return the properties of a class by their Python name, in order."""
    found: dict[str, Member] = {}
    for statement in node.body:
        if not isinstance(statement, ast.FunctionDef):
            continue
        for decorator in statement.decorator_list:
            call = decorator.func if isinstance(decorator, ast.Call) else decorator
            if isinstance(call, ast.Attribute) and call.attr == "getter":
                keywords = decorator.keywords if isinstance(decorator, ast.Call) else []
                given = [word.value.value for word in keywords if isinstance(word.value, ast.Constant)]
                wire = str(given[0]) if given else statement.name
                held = re.search(r"outputs\.(\w+)Response", ast.unparse(statement.returns or decorator))
                found[statement.name] = Member(
                    wire=wire,
                    about=words(ast.get_docstring(statement) or ""),
                    answers=held[1] if held else "",
                )
    return found


def arguments(node: ast.ClassDef) -> Iterator[tuple[str, ast.expr]]:
    """Yield (Python name, type) of the arguments of a class."""
    (init,) = (s for s in node.body if isinstance(s, ast.FunctionDef) and s.name == "__init__")
    for argument in init.args.kwonlyargs:
        if argument.annotation is not None:
            yield argument.arg, argument.annotation


def defaults(node: ast.ClassDef) -> dict[str, Any]:
    """Return what a class sets where the program says nothing, by Python name."""
    (init,) = (s for s in node.body if isinstance(s, ast.FunctionDef) and s.name == "__init__")
    return {
        statement.targets[0].id: statement.value.value
        for branch in init.body
        if isinstance(branch, ast.If) and isinstance(statement := branch.body[0], ast.Assign)
        if isinstance(statement.targets[0], ast.Name) and isinstance(statement.value, ast.Constant)
    }


def words(text: str) -> str:
    """Return a description without its layout, to be compared."""
    return re.sub(r"\W+", " ", text).strip().lower()


@dataclass(frozen=True)
class Place:
    """Where Azure keeps a member: its name, whether below `properties`, and the type of what it holds."""

    name: str
    below: bool
    type: Json | None


class Bicep:
    """One object of Bicep's types, with what is below its `properties`; empty where Bicep knows none."""

    def __init__(self, types: list[Json], node: Json | None) -> None:
        self._types = types
        self._outer = self._members(node)
        self._below = self._members(self._node(self._outer.get("properties")))

    def place(self, member: Member, *, flat: bool) -> Place:
        """Return where a member of the SDK is; `flat` says that the SDK flattens this object."""
        outer, below = self._outer, self._below if flat else {}
        known = outer.get(member.wire)
        if known and not (known["flags"] & READ_ONLY and member.wire in below):
            return Place(member.wire, below=False, type=self._node(known))
        if member.wire in below:
            return Place(member.wire, below=True, type=self._node(below[member.wire]))
        for alike in (self._same_letters, self._same_words):
            for under, group in ((True, below), (False, outer)):
                found = [name for name, one in group.items() if alike(member, name, one)]
                if len(found) == 1:
                    return Place(found[0], below=under, type=self._node(group[found[0]]))
        return Place(member.wire, below=bool(below), type=None)

    def inner(self, node: Json | None) -> Bicep:
        """Return an object that a member of this one holds, in lists, maps and unions too."""
        while node and (inside := node.get("itemType") or node.get("additionalProperties")):
            node = self._at(inside)
        return Bicep(self._types, node)

    @staticmethod
    def _same_letters(member: Member, name: str, _: Json) -> bool:
        return re.sub(r"\W|_", "", name).lower() == member.wire.lower()

    @staticmethod
    def _same_words(member: Member, _: str, one: Json) -> bool:
        return bool(member.about) and member.about == words(str(one.get("description", "")))

    def _node(self, member: Json | None) -> Json | None:
        return self._at(member["type"]) if member else None

    def _at(self, reference: Json) -> Json:
        return self._types[int(reference["$ref"].rpartition("/")[2])]

    def _members(self, node: Json | None) -> dict[str, Json]:
        """Return the members of an object, those of every variant among them."""
        node = node or {}
        found: dict[str, Json] = dict(node.get("properties") or node.get("baseProperties") or {})
        if node.get("$type") == "DiscriminatedObjectType":
            for variant in node["elements"].values():
                found |= self._members(self._at(variant))
        return found


@dataclass(frozen=True, kw_only=True)
class Derivation:
    """Collects object definitions while it follows the classes of the SDK."""

    bicep: Path
    objects: dict[str, dict[str, Spec]] = field(default_factory=dict)

    def root(self, type_: AzureType) -> Spec:
        """Derive the body of a type."""
        _, module, kind = type_.pulumi_type.split(":")
        name = f"{module}.@{kind}"
        (source,) = (file for file in (sdk() / module).glob("*.py") if _defines(file, kind))
        found = classes(source)
        node = found.get(f"{kind}InitArgs") or found[f"{kind}Args"]
        version = re.findall(r"Uses Azure REST API version (\S+?)\.", source.read_text())[0]
        azure = self._resource(type_.arm_type, version)
        skipped = {*type_.parameters, *overrides.QUERY_PARAMETERS}
        self.objects[name] = self._properties(module, kind, node, azure, skipped)
        answered = members(found[kind]).values()
        own = {"id", "name", "type", "azureApiVersion", "systemData", "etag"}
        self._answered(name, azure, [one for one in answered if one.wire not in own], node)
        return {"versions": self._versions(type_.arm_type, version), "object": name}

    def _resource(self, arm_type: str, version: str) -> Bicep:
        name = f"{arm_type}@{version}".lower()
        for file in self._files(arm_type):
            types = _read(file) if file.parent.name == version else []
            for entry in types:
                if entry["$type"] == "ResourceType" and entry["name"].lower() == name:
                    return Bicep(types, types[int(entry["body"]["$ref"].rpartition("/")[2])])
        raise SystemExit(f"{self.bicep} does not have {name}: give the folder of Azure/bicep-types-az.")

    def _versions(self, arm_type: str, first: str) -> list[str]:
        """Return the api-versions of a type, the SDK's first and then the newest."""
        mark = re.compile(rf'"name":\s*"{re.escape(arm_type)}@([^"]+)"', re.IGNORECASE)
        found = {known[1] for file in self._files(arm_type) if (known := mark.search(_text(file)))}
        return [first, *sorted(found - {first}, reverse=True)]

    def _files(self, arm_type: str) -> list[Path]:
        namespace = arm_type.partition("/")[0].lower()
        return sorted(self.bicep.glob(f"generated/*/{namespace}/*/types.json"))

    def _properties(
        self, module: str, kind: str, node: ast.ClassDef, azure: Bicep, skipped: set[str]
    ) -> dict[str, Spec]:
        known, preset = members(node), defaults(node)
        flat = "properties" not in {member.wire for member in known.values()}
        properties: dict[str, Spec] = {}
        for python_name, annotation in arguments(node):
            member = known[python_name]
            if member.wire in skipped:
                continue
            place = azure.place(member, flat=flat)
            spec, required = self._spec(module, annotation, azure.inner(place.type))
            if required:
                spec["r"] = 1
            if python_name in preset:
                spec["d"] = preset[python_name]
            if member.wire == "userAssignedIdentities":  # a map by id on Azure's wire
                given = spec["t"]
                spec = {"t": "{}", "i": {"t": "any"}} | ({"ids": 1} if given == "[]" else {})
            if place.below:
                spec["p"] = 1
            if place.name != member.wire:
                spec["s"] = member.wire
            properties[place.name] = spec
        return properties

    def _answered(self, name: str, azure: Bicep, answered: list[Member], node: ast.ClassDef) -> None:
        """Add what only answers have."""
        flat = "properties" not in {member.wire for member in members(node).values()}
        properties = self.objects[name]
        inputs = {spec.get("s", arm) for arm, spec in properties.items()}
        for member in answered:
            place = azure.place(member, flat=flat)
            if member.wire in inputs or place.name in properties:
                continue
            spec: Spec = {"t": "any", "ro": 1} | ({"p": 1} if place.below else {})
            if member.answers:
                spec["o"] = f"{name.partition('.')[0]}.{member.answers}"
            properties[place.name] = spec | ({"s": member.wire} if place.name != member.wire else {})

    def _nested(self, module: str, kind: str, azure: Bicep) -> Spec:
        name = f"{module}.{kind}"
        if name in overrides.OPAQUE:
            return {"t": "any"}
        if name not in self.objects:
            self.objects[name] = {}
            node = classes(sdk() / module / "_inputs.py")[f"{kind}Args"]
            self.objects[name] = self._properties(module, kind, node, azure, set())
            answers = classes(sdk() / module / "outputs.py")
            answer = answers.get(f"{kind}Response") or answers.get(
                f"{kind.removeprefix(overrides.COMMON)}Response"
            )
            more = [Member(wire=wire, about="") for wire in overrides.ANSWERED.get(name, ())]
            self._answered(name, azure, [*(members(answer).values() if answer else ()), *more], node)
        return {"t": "o", "o": name}

    def _spec(self, module: str, node: ast.expr, azure: Bicep) -> tuple[Spec, bool]:
        """Return what an annotation holds, and whether it is required."""
        if isinstance(node, ast.Subscript):
            return self._generic(module, node, azure)
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if node.value.endswith("Args"):
                return self._nested(module, node.value.removesuffix("Args"), azure), True
            if node.value in overrides.OPEN:
                return {"t": "s"}, True
            return {"t": "s", "e": enums(module)[node.value]}, True
        simple = {"str": "s", "int": "i", "float": "n", "bool": "b"}
        return {"t": simple.get(ast.unparse(node).rpartition(".")[2], "any")}, True

    def _generic(self, module: str, node: ast.Subscript, azure: Bicep) -> tuple[Spec, bool]:
        outer, inner = ast.unparse(node.value), node.slice
        elements = inner.elts if isinstance(inner, ast.Tuple) else []
        if outer == "Optional":
            return self._spec(module, inner, azure)[0], False
        if outer == "Sequence":
            return {"t": "[]", "i": self._spec(module, inner, azure)[0]}, True
        if outer == "Mapping":
            return {"t": "{}", "i": self._spec(module, elements[1], azure)[0]}, True
        if outer == "Union":
            return self._union([self._spec(module, element, azure)[0] for element in elements]), True
        return self._spec(module, inner, azure)  # pulumi.Input

    def _union(self, options: list[Spec]) -> Spec:
        objects = [option["o"] for option in options if option["t"] == "o"]
        if len(objects) == len(options):
            return {"t": "u", "u": objects}
        values = [value for option in options for value in option.get("e", [])]
        if all(option["t"] == "s" for option in options):
            return {"t": "s", "e": values} if values else {"t": "s"}
        return {"t": "any"}


def _defines(file: Path, kind: str) -> bool:
    return not file.name.startswith(("_", "get_", "list_", "outputs")) and kind in classes(file)


@cache
def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8")


@cache
def _read(file: Path) -> list[Json]:
    types: list[Json] = json.loads(_text(file))
    return types


def known(objects: dict[str, dict[str, Spec]]) -> dict[str, dict[str, Spec]]:
    """Return objects without names of objects that only answers have: nothing here describes those."""
    return {
        name: {
            member: {key: value for key, value in spec.items() if key != "o" or value in objects}
            for member, spec in described.items()
        }
        for name, described in sorted(objects.items())
    }


def text(types: dict[str, Spec], objects: dict[str, dict[str, Spec]]) -> str:
    """Return the file: one line for each type and each object, so that a change can be reviewed."""

    def block(entries: dict[str, Any]) -> str:
        lines = (f"  {json.dumps(k)}: {json.dumps(v, separators=(',', ':'))}" for k, v in entries.items())
        return "{\n" + ",\n".join(lines) + "\n }"

    about = "By azure_types/derive.py from pulumi_azure_native (Apache-2.0), Azure/bicep-types-az (MIT)"
    return f'{{\n "about": "{about}",\n "types": {block(types)},\n "objects": {block(objects)}\n}}\n'


def main() -> None:
    """Write types.json."""
    derivation = Derivation(bicep=Path(sys.argv[1]))
    types = {
        type_.pulumi_type: derivation.root(type_)
        for type_ in sorted(overrides.TYPES, key=lambda t: t.pulumi_type)
    }
    objects = known(
        {name: found | overrides.OTHER_VERSIONS.get(name, {}) for name, found in derivation.objects.items()}
    )
    OUTPUT.write_text(text(types, objects), encoding="utf-8")
    print(f"{OUTPUT}: {len(types)} types, {len(objects)} objects")


if __name__ == "__main__":
    main()
