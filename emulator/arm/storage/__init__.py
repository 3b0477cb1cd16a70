"""Microsoft.Storage: accounts, their blob service, containers and lifecycle rules."""

from emulator.arm.storage import accounts, blobs

TYPES = (*accounts.TYPES, *blobs.TYPES)
ACTIONS = accounts.ACTIONS
