"""Microsoft.Storage: accounts, their blob service, containers and lifecycle rules."""

from __future__ import annotations

import base64
import hashlib

from emulator.arm import ids
from emulator.arm.catalogue import Fixed, Level, Names, Place, Reference, ResourceType, Unique
from emulator.arm.errors import ArmError, bad_request, conflict, not_found
from emulator.arm.key_vault import key_at, may_wrap, protects, vault_at
from emulator.arm.messages import Json, Request, Response
from emulator.arm.network.private_links import (
    STORAGE_GROUPS,
    connections,
    disconnect_endpoints,
    link_resources,
    render_connections,
)
from emulator.arm.store import Row, Transaction
from emulator.arm.times import stamp
from emulator.arm.writes import Context, Write

ACCOUNT = "Microsoft.Storage/storageAccounts"
BLOB_SERVICE = "Microsoft.Storage/storageAccounts/blobServices"
CONTAINER = "Microsoft.Storage/storageAccounts/blobServices/containers"
LIFECYCLE = "Microsoft.Storage/storageAccounts/managementPolicies"
VERSIONS = (
    "2024-01-01", "2026-09-01", "2025-06-01", "2025-01-01", "2023-05-01", "2023-04-01", "2023-01-01",
)  # fmt: skip
ENCRYPTION = "properties.encryption"
_SPACE = "storage-account"

PAIRED = {"westeurope": "northeurope", "northeurope": "westeurope", "uksouth": "ukwest", "ukwest": "uksouth"}
"""Region -> the region that geo-redundant accounts copy to; others copy to themselves here."""


# Names


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
    if not _ACCOUNT_NAMES.fits(name):
        refusal = _bad_account_name(name)
        answer = {"nameAvailable": False, "reason": "AccountNameInvalid", "message": refusal.message}
    elif context.tx.claimed(_SPACE, name) is not None:
        message = f"The storage account named {name} is already taken."
        answer = {"nameAvailable": False, "reason": "AlreadyExists", "message": message}
    return Response(status=200, body=answer)


# Accounts


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


def _check_flat_namespace(write: Write) -> None:
    if write.properties.get("isNfsV3Enabled") and not write.properties.get("isHnsEnabled"):
        raise bad_request("InvalidRequestPropertyValue", "isNfsV3Enabled needs isHnsEnabled.")


def _complete_encryption(write: Write) -> None:
    encryption: Json = write.properties.setdefault("encryption", {})
    encryption.setdefault("keySource", "Microsoft.Storage")
    services: Json = encryption.setdefault("services", {})
    for name in ("file", "blob"):
        services.setdefault(name, {"enabled": True})
    for service in services.values():
        service.setdefault("enabled", True)
        service.setdefault("keyType", "Account")
        service.setdefault("lastEnabledTime", stamp(write.tx.now))
    if encryption["keySource"] == "Microsoft.Keyvault":
        _check_key(write, encryption)


def _check_key(write: Write, encryption: Json) -> None:
    """Encryption with the customer's key: vault, key, its protection, and an identity that may use it."""
    wanted = encryption.get("keyvaultproperties") or {}
    uri, name = str(wanted.get("keyvaulturi") or "").rstrip("/"), str(wanted.get("keyname") or "")
    if not uri or not name:
        raise bad_request(
            "InvalidRequestPropertyValue",
            "keyvaultproperties needs keyvaulturi and keyname for keySource Keyvault.",
        )
    if vault_at(write.tx, uri) is None:
        raise not_found("KeyVaultVaultNotFound", f"The key vault {uri} was not found.")
    key = key_at(write.tx, f"{uri}/keys/{name}")
    if key is None:
        raise not_found("KeyVaultKeyNotFound", f"The key {name} was not found in the key vault {uri}.")
    if not protects(write.tx, key):
        raise bad_request("KeyVaultPolicyError", "Keyvault policy recoverable is not set.")
    principal = _key_principal(write, encryption)
    if not may_wrap(write.tx, key, principal):
        raise ArmError(
            403,
            "KeyVaultAuthenticationFailure",
            f"The operation failed because of authentication issue on the keyvault {uri}: the identity "
            f"{principal} may not get, wrap and unwrap with the key, or its role has no effect yet.",
        )
    version = wanted.get("keyversion")
    current = str(key.properties["keyUriWithVersion"])
    wanted["currentVersionedKeyIdentifier"] = current if not version else f"{uri}/keys/{name}/{version}"
    wanted["lastKeyRotationTimestamp"] = stamp(write.tx.now)


def _key_principal(write: Write, encryption: Json) -> str:
    identity = write.body.get("identity") or {}
    assigned = identity.get("userAssignedIdentities") or {}
    named = (encryption.get("identity") or {}).get("userAssignedIdentity")
    if named:
        for identifier, known in assigned.items():
            if identifier.lower() == str(named).lower():
                return str(known["principalId"])
        raise bad_request(
            "InvalidRequestPropertyValue",
            f"The user-assigned identity {named} of the encryption is not among the account's own "
            "identities.",
        )
    if write.old is None or not identity.get("principalId"):
        raise bad_request(
            "InvalidRequestPropertyValue",
            "Encryption with a customer's key needs encryption.identity.userAssignedIdentity: a new account "
            "has no system-assigned identity yet.",
        )
    return str(identity["principalId"])


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


def _private_link_resources(context: Context, row: Row, _: Request) -> Response:
    return Response(status=200, body={"value": link_resources(context.query, row)})


# The blob service


def _check_blob_service(write: Write) -> None:
    properties = write.properties
    deletion, restore = properties.get("deleteRetentionPolicy") or {}, properties.get("restorePolicy") or {}
    for name in ("deleteRetentionPolicy", "containerDeleteRetentionPolicy"):
        policy = properties.get(name) or {}
        if policy.get("enabled") and not 1 <= int(policy.get("days") or 0) <= 365:
            raise _bad_service(f"{name}.days must be 1 to 365 while it is enabled.")
    account = write.tx.get(write.id.parent)
    if account is not None and account.properties.get("isHnsEnabled"):
        for name in ("isVersioningEnabled", "changeFeed", "restorePolicy"):
            given = properties.get(name)
            if given is True or (isinstance(given, dict) and given.get("enabled")):
                raise _bad_service(f"{name} is not supported on an account with a hierarchical namespace.")
    if not restore.get("enabled"):
        return
    if not properties.get("isVersioningEnabled") or not (properties.get("changeFeed") or {}).get("enabled"):
        raise _bad_service("restorePolicy needs isVersioningEnabled and changeFeed.")
    if not deletion.get("enabled") or not 0 < int(restore.get("days") or 0) < int(deletion.get("days") or 0):
        raise _bad_service("restorePolicy.days must be above 0 and below deleteRetentionPolicy.days.")
    if deletion.get("allowPermanentDelete"):
        raise _bad_service("restorePolicy and deleteRetentionPolicy.allowPermanentDelete exclude each other.")


def _bad_service(reason: str) -> ArmError:
    return bad_request(
        "InvalidRequestPropertyValue", f"The value for one of the properties is invalid: {reason}"
    )


def _render_blob_service(tx: Transaction, row: Row, answer: Json) -> None:
    account = tx.get(row.parent)
    if account is not None:
        answer["sku"] = account.body["sku"]


# Containers


def _bad_container_name(name: str) -> ArmError:
    return bad_request(
        "InvalidResourceName",
        f"The specified resource name '{name}' is invalid: 3 to 63 lower-case letters, digits and single "
        "dashes, which may be neither first nor last.",
    )


def _check_public_access(write: Write) -> None:
    if write.properties["publicAccess"] == "None":
        return
    account = write.tx.get(write.id.parent.rsplit("/", 2)[0])
    if account is not None and not account.properties.get("allowBlobPublicAccess"):
        raise conflict("PublicAccessNotPermitted", "Public access is not permitted on this storage account.")


def _complete_container(write: Write) -> None:
    properties = write.properties
    properties |= {
        "lastModifiedTime": stamp(write.tx.now),
        "leaseState": "Available",
        "leaseStatus": "Unlocked",
        "hasImmutabilityPolicy": False,
        "hasLegalHold": False,
        "deleted": False,
        "remainingRetentionDays": 0,
    }


def _missing_container(name: str) -> ArmError:
    return not_found("ContainerNotFound", f"The specified container '{name}' does not exist.")


# Lifecycle rules


def _check_lifecycle(write: Write) -> None:
    rules = (write.properties.get("policy") or {}).get("rules") or []
    names = [rule["name"] for rule in rules]
    if not rules or len(set(names)) != len(names):
        raise bad_request(
            "InvalidValuesForRequestParameters",
            f"The management policy of {write.id.parent} needs rules with names of their own; named: "
            f"{names}.",
        )
    for rule in rules:
        if not (rule["definition"].get("actions") or {}):
            raise bad_request(
                "InvalidValuesForRequestParameters",
                f"Rule '{rule['name']}' of the management policy has no action.",
            )
    write.properties["lastModifiedTime"] = stamp(write.tx.now)


def _missing_lifecycle(_: str) -> ArmError:
    return not_found("ManagementPolicyNotFound", "No ManagementPolicy found for account.")


BLOB_DEFAULTS: Json = {
    "cors": {"corsRules": []},
    "deleteRetentionPolicy": {"allowPermanentDelete": False, "enabled": False},
}
"""What the blob service of a new account says."""

_ACCOUNT_NAMES = Names(
    pattern=r"[a-z0-9]+",
    minimum=3,
    maximum=24,
    unique=Unique(space=_SPACE, taken=_taken),
    error=_bad_account_name,
)


def _of_account(key: str, _: Json) -> frozenset[str]:
    return frozenset({"/".join(key.split("/")[:9])})


TYPES = (
    ResourceType(
        name=ACCOUNT,
        versions=VERSIONS,
        names=_ACCOUNT_NAMES,
        identity=True,
        defaults={
            "properties": {
                "accessTier": "Hot",
                "allowBlobPublicAccess": False,
                "allowCrossTenantReplication": False,
                "minimumTlsVersion": "TLS1_0",
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
            _check_flat_namespace,
            _complete_encryption,
            _complete_account,
        ),
        after=(_add_blob_service,),
        gone=(disconnect_endpoints,),
        render=render_connections,
        actions={"listKeys": _list_keys},
        views={"privateLinkResources": _private_link_resources},
        patch=("tags", "sku", "kind", "identity", "properties"),
        seconds=(26, 15),
    ),
    ResourceType(
        name=BLOB_SERVICE,
        versions=VERSIONS,
        names=Names(pattern="default", maximum=7),
        level=Level.PARENT,
        place=Place.NONE,
        tags=False,
        provisioning=False,
        defaults={"properties": BLOB_DEFAULTS},
        check=(_check_blob_service,),
        render=_render_blob_service,
        holds=_of_account,
        methods=frozenset({"GET", "HEAD", "PUT"}),
        seconds=(2, 2),
    ),
    ResourceType(
        name=CONTAINER,
        versions=VERSIONS,
        names=Names(
            pattern=r"\$root|\$web|\$logs|[a-z0-9]+(-[a-z0-9]+)*",
            minimum=3,
            maximum=63,
            error=_bad_container_name,
        ),
        level=Level.PARENT,
        place=Place.NONE,
        tags=False,
        provisioning=False,
        defaults={
            "properties": {
                "publicAccess": "None",
                "defaultEncryptionScope": "$account-encryption-key",
                "denyEncryptionScopeOverride": False,
                "immutableStorageWithVersioning": {"enabled": False},
            }
        },
        check=(_check_public_access, _complete_container),
        missing=_missing_container,
        holds=_of_account,
        etag='"{}"',
        patch=("properties",),
        seconds=(1, 1),
    ),
    ResourceType(
        name=LIFECYCLE,
        versions=VERSIONS,
        names=Names(pattern="default", maximum=7),
        level=Level.PARENT,
        place=Place.NONE,
        tags=False,
        provisioning=False,
        check=(_check_lifecycle,),
        missing=_missing_lifecycle,
        holds=_of_account,
        seconds=(2, 2),
    ),
    connections(ACCOUNT, VERSIONS),
)

ACTIONS = {"Microsoft.Storage/checkNameAvailability": check_name}
"""POSTs of the provider on a subscription."""
