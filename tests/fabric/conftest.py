"""A fabric in a home of its own, following a control plane written by hand."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from clone import paths
from emulator.arm import certificates
from emulator.datacentre.control import Fabric
from tests.fabric.cloud import Cloud


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A home for one module's fabric, removed with everything in it."""
    with tempfile.TemporaryDirectory(prefix="fabric-") as folder:
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
def fabric(cloud: Cloud) -> Iterator[Fabric]:
    """A running fabric, ended with all that it runs."""
    made = Fabric.ensure()
    yield made
    (Fabric.running() or made).stop()
