"""Microsoft.ManagedIdentity: user-assigned identities."""

from __future__ import annotations

import uuid

from emulator.arm.catalogue import Names, ResourceType
from emulator.arm.context import Write
from emulator.arm.identities import USER_ASSIGNED, register_principal
from emulator.arm.messages import Json
from emulator.arm.store import Row, Transaction
from emulator.arm.tokens import TENANT_ID

VERSIONS = ("2023-01-31", "2024-11-30", "2018-11-30")


def _enter_directory(write: Write) -> None:
    write.properties["tenantId"] = TENANT_ID
    write.settle("properties.clientId", str(uuid.uuid4()))
    principal = write.settle("properties.principalId", str(uuid.uuid4()))
    register_principal(write.tx, principal, write.id.key)


def _lower_group(_: Transaction, row: Row, answer: Json) -> None:
    """This provider answers ids with ``/resourcegroups/`` in lower case."""
    answer["id"] = row.id.replace("/resourceGroups/", "/resourcegroups/")


TYPES = (
    ResourceType(
        name=USER_ASSIGNED,
        versions=VERSIONS,
        names=Names(pattern=r"[A-Za-z0-9][A-Za-z0-9_-]+", minimum=3, maximum=128),
        provisioning=False,
        check=(_enter_directory,),
        render=_lower_group,
        seconds=(2, 2),
    ),
)
