"""What Azure's built-in roles allow on blobs and images, as far as a deployment may meet them.

https://learn.microsoft.com/azure/role-based-access-control/built-in-roles
"""

from dataclasses import dataclass
from typing import Final

from automation.verify.facts.resources import Resource

LIST, READ, WRITE, DELETE = "list", "read", "write", "delete"
READ_TABLES = "read the dashboard's tables in"
PULL, PUSH = "pull", "push"
MANAGE = "give itself any access"
"""Managing an account is as good as reading it: keys, firewall and roles are in its hands."""


@dataclass(frozen=True, kw_only=True)
class Role:
    """A built-in role; ``support`` says that it is one that a service's own identity needs.

    ``manages`` says that it acts on resources and on who may do what, as those who run a subscription do, and
    does not by itself open what the resources hold.
    """

    name: str
    blobs: frozenset[str] = frozenset()
    images: frozenset[str] = frozenset()
    support: bool = False
    manages: bool = False


_READ = frozenset({LIST, READ})
_WRITE = frozenset({LIST, READ, WRITE, DELETE})
_ALL_BLOBS = _WRITE | {MANAGE}
_ALL_IMAGES = frozenset({PULL, PUSH, MANAGE})

CRYPTO_USER: Final = "Key Vault Crypto Service Encryption User"
BLOB_READER: Final = "Storage Blob Data Reader"
BLOB_CONTRIBUTOR: Final = "Storage Blob Data Contributor"
DISK_READER: Final = "Disk Backup Reader"
SNAPSHOT_CONTRIBUTOR: Final = "Disk Snapshot Contributor"
RESTORE_OPERATOR: Final = "Disk Restore Operator"

ROLES: Final = {
    "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1": Role(name=BLOB_READER, blobs=_READ),
    "ba92f5b4-2d11-453d-a403-e96b0029c9fe": Role(name=BLOB_CONTRIBUTOR, blobs=_WRITE),
    "b7e6dc6d-f1e8-4753-8033-0f276bb0955b": Role(name="Storage Blob Data Owner", blobs=_ALL_BLOBS),
    "17d1049b-9a84-46fb-8f53-869881c3d3ab": Role(
        name="Storage Account Contributor", blobs=_ALL_BLOBS, manages=True
    ),
    "7f951dda-4ed3-4680-a7ca-43fe172d538d": Role(name="AcrPull", images=frozenset({PULL})),
    "8311e382-0749-4cb8-b61a-304f252e45ec": Role(name="AcrPush", images=frozenset({PULL, PUSH})),
    "8e3af657-a8ff-443c-a75c-2fe8c4bcb635": Role(
        name="Owner", blobs=_ALL_BLOBS, images=_ALL_IMAGES, manages=True
    ),
    "b24988ac-6180-42a0-ab88-20f7382dd24c": Role(
        name="Contributor", blobs=_ALL_BLOBS, images=_ALL_IMAGES, manages=True
    ),
    "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9": Role(
        name="User Access Administrator",
        blobs=frozenset({MANAGE}),
        images=frozenset({MANAGE}),
        manages=True,
    ),
    "f58310d9-a9f6-439a-9e8d-f62e7b41a168": Role(
        name="Role Based Access Control Administrator",
        blobs=frozenset({MANAGE}),
        images=frozenset({MANAGE}),
        manages=True,
    ),
    "acdd72a7-3385-48ef-bd42-f606fba81ae7": Role(name="Reader", manages=True),
    "72fafb9e-0641-4937-9268-a91bfd8191a3": Role(name="Cost Management Reader", manages=True),
    "43d0d8ad-25c7-4714-9337-8ba259a9fe05": Role(name="Monitoring Reader", manages=True),
    "39bc4728-0917-49c7-9d2c-d95423bc2eb4": Role(name="Security Reader", manages=True),
    "e147488a-f6f5-4113-8e2d-b22465e65bf6": Role(name=CRYPTO_USER, support=True),
    "3e5e47e6-65f7-47ef-90b5-e5dd4d455f24": Role(name=DISK_READER, support=True),
    "7efff54f-a5b4-42b5-a1c5-5411624893ce": Role(name=SNAPSHOT_CONTRIBUTOR, support=True),
    "b50d9833-a0cb-478e-945f-707fcc997c13": Role(name=RESTORE_OPERATOR, support=True),
}
"""By GUID, lower case."""

BY_NAME: Final = {role.name: role for role in ROLES.values()}


def role_guid(assignment: Resource) -> str:
    """Return the id by which an assignment names its role, as ROLES has it."""
    return str(assignment.at("roleDefinitionId")).lower().rsplit("/", 1)[-1]
