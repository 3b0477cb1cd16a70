"""What the types of Microsoft.Compute share: their names, refusals."""

from __future__ import annotations

from emulator.arm.errors import ArmError, bad_request, conflict

MACHINE = "Microsoft.Compute/virtualMachines"
EXTENSION = "Microsoft.Compute/virtualMachines/extensions"
DISK = "Microsoft.Compute/disks"
ENCRYPTION_SET = "Microsoft.Compute/diskEncryptionSets"


def invalid(message: str, target: str | None = None) -> ArmError:
    """Return the compute provider's refusal of a value."""
    return bad_request("InvalidParameter", message, target=target)


def not_changeable(name: str) -> ArmError:
    """Return the refusal to change what is fixed at creation."""
    return conflict("PropertyChangeNotAllowed", f"Changing property '{name}' is not allowed.")


def not_allowed(message: str) -> ArmError:
    """Return the refusal of an operation in the present state."""
    return conflict("OperationNotAllowed", message)
