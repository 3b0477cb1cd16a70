"""What the tests of the emulator share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from emulator.arm.control_plane import ControlPlane
from tests.emulator.arm_client import GROUP, OTHER_GROUP, Arm


@pytest.fixture
def arm(tmp_path: Path) -> Iterator[Arm]:
    """A control plane with two empty resource groups in West Europe."""
    plane = ControlPlane(tmp_path / "arm.sqlite", b"k" * 32)
    caller = Arm(plane)
    for group in (GROUP, OTHER_GROUP):
        caller.put(group, {"location": "westeurope"})
    yield caller
    plane.close()
