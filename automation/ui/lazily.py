"""Imports that wait until they are used, so that `fed --help` does not load what single commands need.

    with lazily():
        from automation.stacks import deploy

`deploy` is a module like any other, for a type checker and for tests; its code runs when its first attribute
is asked for. So name modules there, not what is in them: taking a function out of a module loads it.

`importlib.util.LazyLoader` does the same, but in older Pythons (3.11.7 is one) not for two threads at once:
the second one sees a module that is half made (https://github.com/python/cpython/issues/114763).
"""

import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

_KNOWN_BEFORE = frozenset({"__class__", "__dict__", "__loader__", "__name__", "__path__", "__spec__"})
"""What the import system asks of a module that it finds."""


@dataclass
class _Code:
    """What has to run before a module can be used."""

    loader: Loader
    lock: Any = field(default_factory=threading.RLock)
    begun: bool = False


class _Waiting(ModuleType):
    """A module whose code has not run, or is running."""

    def __getattribute__(self, name: str) -> Any:
        if name not in _KNOWN_BEFORE:
            _run(self, object.__getattribute__(self, "__spec__").loader_state)
        return object.__getattribute__(self, name)


def _run(module: ModuleType, code: _Code) -> None:
    """Run a module's code once; another thread waits, the module's own code goes on."""
    with code.lock:
        if code.begun:
            return
        code.begun = True
        try:
            code.loader.exec_module(module)
        except BaseException:
            code.begun = False
            raise
        module.__class__ = ModuleType


class _WaitingLoader(Loader):
    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        assert module.__spec__  # noqa: S101 the import system made the module from it
        module.__spec__.loader = module.__loader__ = self._loader
        module.__spec__.loader_state = _Code(self._loader)
        module.__class__ = _Waiting


class _Finder(MetaPathFinder):
    """Finds what Python's own path finder does, with a loader that waits."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, path, target)
        if spec and isinstance(spec.loader, Loader):
            spec.loader = _WaitingLoader(spec.loader)
        return spec


@contextmanager
def lazily() -> Iterator[None]:
    """Let the modules that the block imports, and that nobody has imported yet, wait for their first use."""
    finder = _Finder()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
