"""What the types of Microsoft.Compute share: api-versions, names, refusals."""

from __future__ import annotations

from emulator.arm.catalogue import Names
from emulator.arm.errors import ArmError, bad_request, conflict

MACHINE = "Microsoft.Compute/virtualMachines"
EXTENSION = "Microsoft.Compute/virtualMachines/extensions"
DISK = "Microsoft.Compute/disks"
ENCRYPTION_SET = "Microsoft.Compute/diskEncryptionSets"

MACHINE_VERSIONS = (
    "2024-11-01",
    "2026-04-01",
    "2025-11-01",
    "2025-04-01",
    "2024-07-01",
    "2024-03-01",
    "2023-09-01",
)
DISK_VERSIONS = ("2024-03-02", "2026-03-02", "2025-01-02", "2024-03-03", "2023-10-02", "2023-04-02")
"""The SDK's version first, then the defaults of other clients; the shapes used here are the same in all."""

DISK_NAMES = Names(pattern=r"[A-Za-z0-9_.-]+", maximum=80)


def invalid(message: str, target: str | None = None) -> ArmError:
    """Return the compute provider's refusal of a value."""
    return bad_request("InvalidParameter", message, target=target)


def not_changeable(name: str) -> ArmError:
    """Return the refusal to change what is fixed at creation."""
    return conflict("PropertyChangeNotAllowed", f"Changing property '{name}' is not allowed.")


def not_allowed(message: str) -> ArmError:
    """Return the refusal of an operation in the present state."""
    return conflict("OperationNotAllowed", message)
