"""Microsoft.ManagedIdentity: user-assigned identities."""

from __future__ import annotations

import uuid

from emulator.arm.catalogue import Names, ResourceType
from emulator.arm.identities import USER_ASSIGNED, register_principal
from emulator.arm.tokens import TENANT_ID
from emulator.arm.writes import Write

VERSIONS = ("2023-01-31", "2024-11-30", "2018-11-30")


def _enter_directory(write: Write) -> None:
    write.properties["tenantId"] = TENANT_ID
    write.settle("properties.clientId", str(uuid.uuid4()))
    principal = write.settle("properties.principalId", str(uuid.uuid4()))
    register_principal(write.tx, principal, write.id.key)


TYPES = (
    ResourceType(
        name=USER_ASSIGNED,
        versions=VERSIONS,
        names=Names(pattern=r"[A-Za-z0-9][A-Za-z0-9_-]+", minimum=3, maximum=128),
        provisioning=False,
        check=(_enter_directory,),
        seconds=(2, 2),
    ),
)
