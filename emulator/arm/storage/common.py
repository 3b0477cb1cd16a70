"""What the types of Microsoft.Storage share."""

from __future__ import annotations

from emulator.arm.messages import Json

ACCOUNT = "Microsoft.Storage/storageAccounts"
BLOB_SERVICE = "Microsoft.Storage/storageAccounts/blobServices"
CONTAINER = "Microsoft.Storage/storageAccounts/blobServices/containers"
LIFECYCLE = "Microsoft.Storage/storageAccounts/managementPolicies"
VERSIONS = (
    "2024-01-01", "2026-09-01", "2025-06-01", "2025-01-01", "2023-05-01", "2023-04-01", "2023-01-01",
)  # fmt: skip


def of_account(key: str, _: Json) -> frozenset[str]:
    """Return what a write below an account occupies: the account."""
    return frozenset({"/".join(key.split("/")[:9])})
