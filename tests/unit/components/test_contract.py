"""What every component owes: outputs, parents, tags, frozen arguments and children."""

import dataclasses
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator

import pulumi
import pytest

import components
from azure_types.types import BY_TOKEN
from tests.unit.support.program_graph import Graph

#: Types that hold nothing taggable of their own, from the SDK's signature, are found by `is_taggable`.
MODULES = [
    importlib.import_module(f"components.{module.name}")
    for module in pkgutil.iter_modules(components.__path__)
    if module.name != "boot"
]


def classes() -> Iterator[type[pulumi.ComponentResource]]:
    for module in MODULES:
        for _, found in inspect.getmembers(module, inspect.isclass):
            if issubclass(found, pulumi.ComponentResource) and found.__module__ == module.__name__:
                yield found


def is_taggable(typ: str) -> bool:
    """Whether Azure Native's class of this type takes tags."""
    package, module, name = typ.split(":")
    resource = getattr(importlib.import_module(f"pulumi_azure_native.{module}"), name)
    return package == "azure-native" and "tags" in inspect.signature(resource._internal_init).parameters


@pytest.mark.parametrize("component", list(classes()), ids=lambda component: component.__name__)
class TestEveryComponentClass:
    def test_is_final(self, component: type) -> None:
        assert getattr(component, "__final__", False)

    def test_takes_frozen_keyword_only_arguments(self, component: type) -> None:
        arguments = inspect.signature(component).parameters["args"].annotation
        assert dataclasses.is_dataclass(arguments) and isinstance(arguments, type)
        assert arguments.__dataclass_params__.frozen  # type: ignore[attr-defined]
        assert all(field.kw_only for field in dataclasses.fields(arguments))
        assert arguments.__name__ == f"{component.__name__}Args"

    def test_shows_its_children_as_a_frozen_object(self, component: type) -> None:
        children = getattr(inspect.getmodule(component), f"{component.__name__}Resources")
        assert children.__dataclass_params__.frozen


class TestEveryComponent:
    def test_has_a_type_of_this_package(self, graph: Graph) -> None:
        types = {resource.typ for resource in graph.resources.values() if not resource.custom}
        assert len(types) > 8
        assert all(re.fullmatch(r"fed:components:[A-Z][A-Za-z]+", typ) for typ in types)

    def test_registers_its_outputs(self, graph: Graph) -> None:
        components_made = {urn for urn, resource in graph.resources.items() if not resource.custom}
        assert components_made <= graph.completed


class TestEveryResource:
    def test_belongs_to_a_component(self, graph: Graph) -> None:
        for resource in graph.resources.values():
            if resource.custom and not resource.typ.startswith("pulumi:providers:"):
                assert not graph.resources[resource.parent].custom, resource.name

    def test_is_tagged_if_azure_can(self, graph: Graph) -> None:
        stack = graph.outputs["environment"]
        tagged = 0
        for resource in graph.azure():
            if is_taggable(resource.typ):
                tags = resource.inputs.get("tags", {})
                assert tags.get("project") == "fed", resource.name
                assert tags["environment"] == stack
                assert tags["managedBy"] == "pulumi"
                tagged += 1
        assert tagged > 80

    def test_is_of_a_type_this_project_knows(self, graph: Graph) -> None:
        """A new type needs a place in the emulator as well."""
        assert {resource.typ for resource in graph.azure()} <= BY_TOKEN.keys()

    def test_has_a_name_that_it_keeps(self, graph: Graph) -> None:
        """Azure Native's own names ignore Azure's limits (#4294) and change with the resource's URN."""
        for resource in graph.azure():
            assert resource.inputs.get(BY_TOKEN[resource.typ].name_input), resource.name

    def test_carries_none_of_azure_natives_type_aliases(self, graph: Graph) -> None:
        """60 a resource would make previews five times slower (docs/adr/0002)."""
        assert {resource.aliases for resource in graph.azure()} == {0}

    def test_is_in_a_supported_number(self, dev: Graph) -> None:
        """dev is to deploy in seconds: who adds resources should know that they do."""
        assert 150 <= len([resource for resource in dev.resources.values() if resource.custom]) <= 240
