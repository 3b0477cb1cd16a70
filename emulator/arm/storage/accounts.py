"""Storage accounts: names, redundancy, keys, and what is connected to them privately."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace

from azure_types.types import BY_ARM_TYPE
from emulator.arm import answers, ids
from emulator.arm.catalogue import Fixed, Reference, Unique, described
from emulator.arm.context import Context, Write
from emulator.arm.errors import ArmError, bad_request, conflict
from emulator.arm.messages import Json, Request, Response
from emulator.arm.network.private_links import (
    STORAGE_GROUPS,
    answer_link_resources,
    connections,
    disconnect_endpoints,
    render_connections,
)
from emulator.arm.storage.blobs import BLOB_DEFAULTS
from emulator.arm.storage.common import ACCOUNT, BLOB_SERVICE
from emulator.arm.storage.encryption import complete_encryption
from emulator.arm.store import Row
from emulator.arm.times import stamp
from federation.azure_facts import offers_redundancy

_SPACE = "storage-account"
PAIRED = {"westeurope": "northeurope", "northeurope": "westeurope", "uksouth": "ukwest", "ukwest": "uksouth"}
"""Region -> the region that geo-redundant accounts copy to; others copy to themselves here."""


def _bad_account_name(name: str) -> ArmError:
    return bad_request(
        "AccountNameInvalid",
        f"{name} is not a valid storage account name. Storage account name must be between 3 and 24 "
        "characters in length and use numbers and lower-case letters only.",
    )


def _taken(write: Write, holder: str) -> ArmError:
    if ids.subscription_of(holder) == write.id.subscription:
        return conflict(
            "StorageAccountAlreadyExists",
            f"The storage account named {write.id.name} already exists under the subscription.",
        )
    return conflict(
        "StorageAccountAlreadyTaken", f"The storage account named {write.id.name} is already taken."
    )


def check_name(context: Context, request: Request) -> Response:
    """Answer checkNameAvailability."""
    name = str((request.body or {}).get("name", ""))
    answer: Json = {"nameAvailable": True}
    if not BY_ARM_TYPE[ACCOUNT].name.fits(name):
        refusal = _bad_account_name(name)
        answer = {"nameAvailable": False, "reason": "AccountNameInvalid", "message": refusal.message}
    elif context.tx.claimed(_SPACE, name) is not None:
        message = f"The storage account named {name} is already taken."
        answer = {"nameAvailable": False, "reason": "AlreadyExists", "message": message}
    return Response(status=200, body=answer)


def _fixed(name: str) -> ArmError:
    last = name.rsplit(".", 1)[-1]
    return bad_request(
        "AccountPropertyCannotBeUpdated",
        f"The property '{last}' was specified in the input, but it cannot be updated as it is read-only. "
        "For more information, see - https://aka.ms/storageaccountupdate",
    )


def _check_kind(write: Write) -> None:
    old, new = write.before("kind"), write.body["kind"]
    if old in {None, new} or (old in {"Storage", "BlobStorage"} and new == "StorageV2"):
        return
    raise _fixed("kind")


def _check_sku(write: Write) -> None:
    name = write.body["sku"]["name"]
    tier = name.partition("_")[0]
    write.body["sku"] = {"name": name, "tier": tier}
    old = write.before("sku.name")
    if old is None or old == name:
        return
    zonal = {"ZRS", "GZRS", "RAGZRS"}
    if tier != old.partition("_")[0] or (name.partition("_")[2] in zonal) != (old.partition("_")[2] in zonal):
        raise bad_request(
            "StorageAccountTypeConversionNotAllowed",
            f"Storage account type cannot be converted from {old} to {name} by an update: a conversion to "
            "or from zone redundancy or premium is asked for separately and takes hours to days.",
        )


def _check_region(write: Write) -> None:
    """https://github.com/Azure/ALZ-PowerShell-Module/issues/291 has the words of this refusal."""
    region, sku, kind = write.body["location"], write.body["sku"]["name"], write.body["kind"]
    if not offers_redundancy(region, sku):
        raise bad_request(
            "RedundancyConfigurationNotAvailableInRegion",
            f"The storage account failed to create due to redundancy configuration - Sku: {sku}, Kind: "
            f"{kind} - not available in selected Region - {region}. Please make sure the redundancy "
            "configuration selected is available in your region. For more information about redundancy "
            "configurations, see https://docs.microsoft.com/en-us/azure/storage/common/storage-redundancy",
        )


def _check_key_policy(write: Write) -> None:
    """Recorded: OperationAccepted_LongRunningOperationFails_SucceedsAfterUpdate, 2025."""
    days = write.get("properties.keyPolicy.keyExpirationPeriodInDays")
    if isinstance(days, int) and days < 0:
        raise bad_request(
            "InvalidValuesForRequestParameters",
            "Values for request parameters are invalid: keyPolicy.keyExpirationPeriodInDays.",
        )


def _check_flat_namespace(write: Write) -> None:
    if write.properties.get("isNfsV3Enabled") and not write.properties.get("isHnsEnabled"):
        raise bad_request("InvalidRequestPropertyValue", "isNfsV3Enabled needs isHnsEnabled.")


def _complete_account(write: Write) -> None:
    name, region, sku = write.id.name, write.body["location"], write.body["sku"]["name"]
    created = write.settle("properties.creationTime", stamp(write.tx.now))
    write.settle("properties.keyCreationTime", {"key1": created, "key2": created})
    properties = write.properties
    properties["primaryLocation"], properties["statusOfPrimary"] = region, "available"
    properties["primaryEndpoints"] = _endpoints(name, properties)
    redundancy = sku.partition("_")[2]
    if redundancy in {"GRS", "RAGRS", "GZRS", "RAGZRS"}:
        properties["secondaryLocation"], properties["statusOfSecondary"] = (
            PAIRED.get(region, region),
            "available",
        )
    if redundancy.startswith("RA"):
        properties["secondaryEndpoints"] = _endpoints(f"{name}-secondary", properties)


def _endpoints(host: str, properties: Json) -> Json:
    """Return the public addresses of an account's services."""
    shown = [group for group in STORAGE_GROUPS if group != "web"]
    endpoints = {group: f"https://{host}.{group}.core.windows.net/" for group in shown}
    return endpoints | {"web": f"https://{host}.z6.web.core.windows.net/"}


def _add_blob_service(write: Write) -> None:
    if write.old is None:
        write.tx.put(
            Row(
                id=f"{write.row.id}/blobServices/default",
                type=BLOB_SERVICE,
                body={"properties": dict(BLOB_DEFAULTS)},
                parent=write.row.key,
            )
        )


def _list_keys(_: Context, row: Row, __: Request) -> Response:
    if row.state != "Succeeded":
        raise conflict(
            "StorageAccountIsNotProvisioned",
            "The storage account provisioning state must be 'Succeeded' before executing the operation.",
        )
    if row.properties.get("allowSharedKeyAccess") is False:
        raise ArmError(
            403,
            "KeyBasedAuthenticationNotPermitted",
            f"Key based authentication is not permitted on this storage account: {row.id} has "
            "allowSharedKeyAccess false. Use a role assignment.",
        )
    return Response(
        status=200,
        body={
            "keys": [
                {
                    "creationTime": row.properties["creationTime"],
                    "keyName": name,
                    "value": account_key(row, name),
                    "permissions": "FULL",
                }
                for name in ("key1", "key2")
            ]
        },
    )


def account_key(row: Row, name: str) -> str:
    """Return one of an account's two keys: the same for as long as the account lives."""
    seed = f"{row.key}|{row.properties['creationTime']}|{name}".encode()
    return base64.b64encode(hashlib.sha512(seed).digest()).decode()


TYPES = (
    replace(
        described(ACCOUNT, unique=Unique(space=_SPACE, taken=_taken), error=_bad_account_name),
        answers=answers.ACCOUNT,
        defaults={
            "properties": {
                "accessTier": "Hot",
                "allowBlobPublicAccess": False,
                "allowCrossTenantReplication": False,
                "minimumTlsVersion": "TLS1_2",
                "supportsHttpsTrafficOnly": True,
                "networkAcls": {
                    "bypass": "AzureServices",
                    "defaultAction": "Allow",
                    "ipRules": [],
                    "virtualNetworkRules": [],
                },
            }
        },
        fixed=tuple(
            Fixed(path=f"properties.{name}", error=_fixed)
            for name in (
                "isHnsEnabled",
                "isNfsV3Enabled",
                "immutableStorageWithVersioning",
                "dnsEndpointType",
                "encryption.requireInfrastructureEncryption",
            )
        ),
        references=(Reference(path="properties.networkAcls.virtualNetworkRules[].id"),),
        check=(
            _check_kind,
            _check_sku,
            _check_region,
            _check_flat_namespace,
            _check_key_policy,
            complete_encryption,
            _complete_account,
        ),
        after=(_add_blob_service,),
        gone=(disconnect_endpoints,),
        render=render_connections,
        actions={"listKeys": _list_keys},
        views={"privateLinkResources": answer_link_resources},
        patch=("tags", "sku", "kind", "identity", "properties"),
    ),
    connections(ACCOUNT, answers.REPLACED),
)

ACTIONS = {"Microsoft.Storage/checkNameAvailability": check_name}
"""POSTs of the provider on a subscription."""
