"""Imports that wait until they are used, so that `fed --help` does not load what single commands need.

    with lazily():
        from automation.stacks import deploy

`deploy` is a module like any other, for a type checker and for tests; its code runs when its first attribute
is asked for. So name modules there, not what is in them: taking a function out of a module loads it.
"""

import importlib.util
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType


class _Finder(MetaPathFinder):
    """Finds what Python's own path finder does, with a loader that waits."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, path, target)
        if spec and isinstance(spec.loader, Loader):
            spec.loader = importlib.util.LazyLoader(spec.loader)
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
