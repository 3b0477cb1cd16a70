"""Microsoft.ManagedIdentity: user-assigned identities, and the outside tokens that may sign in as one."""

from __future__ import annotations

import uuid
from dataclasses import replace

from emulator.arm import answers
from emulator.arm.catalogue import described
from emulator.arm.context import Context, Write
from emulator.arm.errors import bad_request, conflict
from emulator.arm.identities import LINK, USER_ASSIGNED, register_principal
from emulator.arm.ids import group_of, subscription_of
from emulator.arm.messages import Json, Request, Response
from emulator.arm.refusals import missing_by_id
from emulator.arm.store import Row, Transaction
from emulator.arm.tokens import TENANT_ID

CREDENTIAL = f"{USER_ASSIGNED}/federatedIdentityCredentials"
MOST_CREDENTIALS = 20


def _enter_directory(write: Write) -> None:
    write.properties["tenantId"] = TENANT_ID
    write.settle("properties.clientId", str(uuid.uuid4()))
    principal = write.settle("properties.principalId", str(uuid.uuid4()))
    register_principal(write.tx, principal, write.id.key)


def _lower_group(_: Transaction, row: Row, answer: Json) -> None:
    """This provider answers ids with ``/resourcegroups/`` in lower case."""
    answer["id"] = row.id.replace("/resourceGroups/", "/resourcegroups/")


def _check_credential(write: Write) -> None:
    """https://learn.microsoft.com/entra/workload-id/workload-identity-federation-considerations."""
    issuer, audiences = str(write.properties["issuer"]), write.properties["audiences"]
    if not issuer.startswith("https://"):
        raise bad_request("InvalidFederatedIdentityCredential", f"The issuer '{issuer}' is no https URL.")
    if len(audiences) != 1:
        raise bad_request("InvalidFederatedIdentityCredential", "Exactly one audience must be given.")
    others = [row for row in write.tx.children(write.id.parent, CREDENTIAL) if row.key != write.id.key]
    if len(others) >= MOST_CREDENTIALS:
        raise conflict(
            "FederatedIdentityCredentialsLimitExceeded",
            f"An identity takes at most {MOST_CREDENTIALS} federated identity credentials.",
        )
    for other in others:
        if all(other.properties[name] == write.properties[name] for name in ("issuer", "subject")):
            raise conflict(
                "IssuerSubjectCombinationAlreadyExists",
                f"Issuer and subject of '{write.id.name}' are already those of '{other.name}'.",
            )


def _associated(context: Context, row: Row, _: Request) -> Response:
    """Answer which resources have an identity.

    https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-view-associated-resources-for-an-identity
    """
    found = []
    for source in dict.fromkeys(source for source, _, _ in context.tx.links_to(row.key, LINK)):
        user = context.tx.get(source)
        if user is not None:
            found.append(
                {
                    "id": user.id,
                    "name": user.name,
                    "type": user.type.lower(),
                    "resourceGroup": group_of(user.id),
                    "subscriptionId": subscription_of(user.id),
                }
            )
    return Response(status=200, body={"totalCount": len(found), "value": found})


TYPES = (
    replace(
        described(USER_ASSIGNED),
        answers=answers.PLACED,
        patch=("tags", "location", "properties"),
        provisioning=False,
        check=(_enter_directory,),
        actions={"listAssociatedResources": _associated},
        render=_lower_group,
    ),
    replace(
        described(CREDENTIAL),
        answers=answers.PLACED,
        provisioning=False,
        required=("properties.issuer", "properties.subject", "properties.audiences"),
        check=(_check_credential,),
        render=_lower_group,
        missing=missing_by_id,
        parent_first=True,
    ),
)
