"""Microsoft.Storage: accounts, their blob service, containers and lifecycle rules, and what is offered."""

from emulator.arm.storage import accounts, blobs, skus

TYPES = (*accounts.TYPES, *blobs.TYPES, *skus.TYPES)
ACTIONS = accounts.ACTIONS
