"""Imports of Pulumi's generated Azure SDK only what a program names.

Each package of ``pulumi_azure_native`` imports all its classes when it is first touched: 950 modules,
and a second of CPU in each preview, for the sake of some 50 classes. With this finder on
``sys.meta_path`` a package begins with its shared types only, and naming a class brings the one module
that defines it, by the generator's own rule: ``VirtualNetwork`` and ``VirtualNetworkInitArgs`` are in
``virtual_network``. A name that is not found so, and ``import *``, bring everything, as ever.
"""

import importlib
import importlib.abc
import re
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

SDK = "pulumi_azure_native"
SHARED = ("_enums", "_inputs")
"""Modules that every class imports anyway; the package has their names, which follow no rule."""
OUTPUTS = "outputs"
"""A module that every class imports too; its names are the package's only as ``outputs.Name``."""

_NEW_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


class Finder(importlib.abc.MetaPathFinder):
    """Finds the packages right below the SDK, and leaves everything else to Python."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return a package's own spec with the loader of this module, or None."""
        if not re.fullmatch(rf"{SDK}\.\w+", fullname):
            return None
        spec = PathFinder.find_spec(fullname, path)
        if spec and spec.submodule_search_locations and isinstance(spec.loader, SourceFileLoader):
            spec.loader = Loader(spec.loader)
        return spec


class Loader(importlib.abc.Loader):
    """Executes a package so that its classes are imported when they are named; `whole` imports them all."""

    def __init__(self, whole: SourceFileLoader) -> None:
        self.whole = whole

    def exec_module(self, module: ModuleType) -> None:
        """Give the package its shared types, and the way to the others."""
        available = {file.stem for file in Path(module.__path__[0]).glob("*.py")}

        def submodule(name: str) -> ModuleType:
            return importlib.import_module(f"{module.__name__}.{name}")

        def take(source: str) -> None:
            defined = vars(submodule(source))
            vars(module).update({name: defined[name] for name in defined.get("__all__", ())})

        def named(name: str) -> Any:
            if source := defining(name, available):
                take(source)
            if name not in vars(module):
                del vars(module)["__getattr__"]
                self.whole.exec_module(module)
            return getattr(module, name)

        for shared in available.intersection(SHARED):
            take(shared)
        if OUTPUTS in available:
            submodule(OUTPUTS)
        vars(module)["__getattr__"] = named


def defining(name: str, available: set[str]) -> str | None:
    """Return which of the available modules defines a name: the longest that its words begin with."""
    words = _NEW_WORD.sub("_", name).lower().split("_")
    prefixes = ("_".join(words[:count]) for count in range(len(words), 0, -1))
    return next((prefix for prefix in prefixes if prefix in available), None)
