"""A datacentre in a home of its own, following a control plane written by hand."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from clone import paths
from emulator.arm import certificates
from emulator.datacentre.control import Datacentre
from tests.datacentre.cloud import Cloud


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A home for one module's datacentre, removed with everything in it."""
    with tempfile.TemporaryDirectory(prefix="datacentre-") as folder:
        before = os.environ.get("FED_HOME")
        os.environ["FED_HOME"] = folder
        certificates.ensure_authority(paths.authority(), paths.authority_key())
        try:
            yield Path(folder)
        finally:
            paths.runtime().rmdir()
            del os.environ["FED_HOME"]
            if before is not None:
                os.environ["FED_HOME"] = before


@pytest.fixture(scope="module")
def cloud(home: Path) -> Iterator[Cloud]:
    """ARM's state, empty at first."""
    made = Cloud(paths.arm_socket())
    yield made
    made.close()


@pytest.fixture(scope="module")
def datacentre(cloud: Cloud) -> Iterator[Datacentre]:
    """A running datacentre, ended with all that it runs."""
    made = Datacentre.ensure()
    yield made
    (Datacentre.running() or made).stop()
