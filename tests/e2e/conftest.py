"""What the end-to-end tests run in; each clone takes its emulator along when its tests are over."""

from collections.abc import Iterator

import pytest

from tests.e2e.own_clone import Clone, keep_hospitals
from tests.e2e.running_federation import Federation


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


@pytest.fixture(scope="module")
def federation_of_two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federation]:
    """A running federation of Cleveland and Hungary for one file; it takes half a minute to come up."""
    clone = Clone(tmp_path_factory.mktemp("federation-of-two"), machines=True)
    clone.edit(keep_hospitals("cleveland", "hungary"))
    with Federation.up(clone) as running:
        yield running
