"""What the types of Microsoft.Storage share."""

from __future__ import annotations

from azure_types.types import BY_ARM_TYPE
from emulator.arm.messages import Json

ACCOUNT = "Microsoft.Storage/storageAccounts"
BLOB_SERVICE = "Microsoft.Storage/storageAccounts/blobServices"
CONTAINER = "Microsoft.Storage/storageAccounts/blobServices/containers"
LIFECYCLE = "Microsoft.Storage/storageAccounts/managementPolicies"
VERSIONS = BY_ARM_TYPE[ACCOUNT].versions


def of_account(key: str, _: Json) -> frozenset[str]:
    """Return what a write below an account occupies: the account."""
    return frozenset({"/".join(key.split("/")[:9])})
