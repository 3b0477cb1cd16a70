"""What Azure's built-in roles allow on blobs and images, as far as a deployment may meet them.

https://learn.microsoft.com/azure/role-based-access-control/built-in-roles
"""

from dataclasses import dataclass
from typing import Final

from automation.verify.facts.resources import Resource
from azure_types.roles import BUILT_IN

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

_KNOWN: Final = (
    Role(name=BLOB_READER, blobs=_READ),
    Role(name=BLOB_CONTRIBUTOR, blobs=_WRITE),
    Role(name="Storage Blob Data Owner", blobs=_ALL_BLOBS),
    Role(name="Storage Account Contributor", blobs=_ALL_BLOBS, manages=True),
    Role(name="AcrPull", images=frozenset({PULL})),
    Role(name="AcrPush", images=frozenset({PULL, PUSH})),
    Role(name="Owner", blobs=_ALL_BLOBS, images=_ALL_IMAGES, manages=True),
    Role(name="Contributor", blobs=_ALL_BLOBS, images=_ALL_IMAGES, manages=True),
    Role(
        name="User Access Administrator",
        blobs=frozenset({MANAGE}),
        images=frozenset({MANAGE}),
        manages=True,
    ),
    Role(
        name="Role Based Access Control Administrator",
        blobs=frozenset({MANAGE}),
        images=frozenset({MANAGE}),
        manages=True,
    ),
    Role(name="Reader", manages=True),
    Role(name="Cost Management Reader", manages=True),
    Role(name="Monitoring Reader", manages=True),
    Role(name="Security Reader", manages=True),
    Role(name=CRYPTO_USER, support=True),
    Role(name=DISK_READER, support=True),
    Role(name=SNAPSHOT_CONTRIBUTOR, support=True),
    Role(name=RESTORE_OPERATOR, support=True),
)

BY_NAME: Final = {role.name: role for role in _KNOWN}
ROLES: Final = {BUILT_IN[role.name]: role for role in _KNOWN}
"""By GUID, lower case."""


def role_guid(assignment: Resource) -> str:
    """Return the id by which an assignment names its role, as ROLES has it."""
    return str(assignment.at("roleDefinitionId")).lower().rsplit("/", 1)[-1]
