"""What the end-to-end tests run in; each clone takes its emulator along when its tests are over."""

from collections.abc import Iterator

import pytest
from xdist.scheduler import LoadFileScheduling

from tests.e2e.own_clone import Clone, keep_hospitals
from tests.e2e.running_federation import Federation

SHARING = ("tests/e2e/test_isolation.py", "tests/e2e/test_membership.py")
"""The files whose tests run in `federation_of_two`, in this order: the last one takes it down."""


class FilesByFederation(LoadFileScheduling):
    """Gives the tests of a file to one worker, and those of all files that share a federation too."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return SHARING[0] if file in SHARING else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> FilesByFederation | None:
    """Say how pytest-xdist is to distribute tests where it does so by files, as `./fed test` has it do."""
    return FilesByFederation(config, log) if config.getoption("dist") == "loadfile" else None


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


@pytest.fixture(scope="session")
def federation_of_two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federation]:
    """A running federation of Cleveland and Hungary; it takes half a minute to come up."""
    clone = Clone(tmp_path_factory.mktemp("federation-of-two"), machines=True)
    clone.edit(keep_hospitals("cleveland", "hungary"))
    with Federation.up(clone) as running:
        yield running
