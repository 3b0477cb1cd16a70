"""Clones for the end-to-end tests; each takes its emulator along when its tests are over."""

from collections.abc import Iterator

import pytest

from tests.e2e.clone import Clone


@pytest.fixture
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    """A clone for one test."""
    found = Clone(tmp_path_factory.mktemp("clone"))
    yield found
    found.destroy()


@pytest.fixture(scope="module")
def shared_clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    """A clone for the tests of one file; each of them must not care what the others did."""
    found = Clone(tmp_path_factory.mktemp("clone"))
    yield found
    found.destroy()
