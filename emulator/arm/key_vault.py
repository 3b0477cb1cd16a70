"""Microsoft.KeyVault: vaults, and keys as far as Resource Manager makes them."""

from __future__ import annotations

import uuid
from dataclasses import replace

from azure_types.azure_type import NameRule
from azure_types.roles import BUILT_IN
from azure_types.types import BY_ARM_TYPE
from emulator.arm import answers, ids
from emulator.arm.answers import RESULT_URL
from emulator.arm.catalogue import Fixed, Level, Names, Place, ResourceType, Unique, described, listed
from emulator.arm.context import Context, Deletion, Write
from emulator.arm.errors import ArmError, bad_request, conflict, not_found
from emulator.arm.grants import holds_role
from emulator.arm.messages import Json, Request, Response
from emulator.arm.network.private_links import (
    answer_link_resources,
    connections,
    disconnect_endpoints,
    render_connections,
)
from emulator.arm.operations import begin, pending_headers
from emulator.arm.store import Row, Transaction
from emulator.arm.times import stamp

VAULT = "Microsoft.KeyVault/vaults"
KEY = "Microsoft.KeyVault/vaults/keys"
DELETED = "Microsoft.KeyVault/deletedVaults"
VERSIONS = BY_ARM_TYPE[VAULT].versions
WRAPPING_ROLES = frozenset(
    BUILT_IN[name]
    for name in (
        "Key Vault Crypto Service Encryption User",
        "Key Vault Crypto User",
        "Key Vault Crypto Officer",
        "Key Vault Administrator",
    )
)
"""Roles that may get, wrap and unwrap with a key."""
_SPACE = "key-vault"
_RETENTION = range(7, 91)
MOST_DAYS = _RETENTION[-1]
KEY_OPERATIONS = {
    "RSA": ["encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey"],
    "EC": ["sign", "verify"],
}
"""What a key of a kind may do unless it is told: 7 of 7 recorded, as keyvault_whenpurgespecified, 2025;
https://learn.microsoft.com/azure/key-vault/keys/about-keys-details#key-operations"""
_SIZES = (2048, 3072, 4096)


def vault_at(tx: Transaction, uri: str) -> Row | None:
    """Return the vault at a data-plane address: ``https://vault.vault.azure.net``."""
    host = uri.removeprefix("https://").partition("/")[0]
    owner = tx.claimed(_SPACE, host.partition(".")[0])
    return tx.get(owner) if owner else None


def key_at(tx: Transaction, uri: str) -> Row | None:
    """Return the key at a data-plane address: ``https://vault.vault.azure.net/keys/name[/version]``."""
    vault = vault_at(tx, uri)
    parts = uri.removeprefix("https://").strip("/").split("/")[1:]
    if vault is None or len(parts) < 2 or parts[0] != "keys":
        return None
    return tx.get(f"{vault.key}/keys/{parts[1]}")


def may_wrap(tx: Transaction, key: Row, principal: str) -> bool:
    """Say whether a principal may get, wrap and unwrap with a key: by role, or by the vault's own
    policies."""
    vault = tx.get(key.parent)
    if vault is None or vault.properties["enableRbacAuthorization"]:
        return holds_role(tx, principal, WRAPPING_ROLES, key.id)
    allowed = {
        permission.lower()
        for policy in vault.properties["accessPolicies"]
        if str(policy.get("objectId", "")).lower() == principal.lower()
        for permission in (policy.get("permissions") or {}).get("keys") or []
    }
    return "all" in allowed or {"get", "wrapkey", "unwrapkey"} <= allowed


def closed_to(tx: Transaction, key: Row, *, trusted: bool) -> bool:
    """Say whether the firewall of a key's vault keeps a service out: a closed vault may let trusted ones in.

    https://learn.microsoft.com/azure/key-vault/general/overview-vnet-service-endpoints#trusted-services
    """
    vault = tx.get(key.parent)
    properties = vault.properties if vault else {}
    rules = properties.get("networkAcls") or {}
    closed = properties.get("publicNetworkAccess") == "Disabled" or rules.get("defaultAction") == "Deny"
    return closed and not (trusted and rules.get("bypass", "AzureServices") == "AzureServices")


def protects(tx: Transaction, key: Row) -> bool:
    """Say whether a key's vault keeps deleted keys for good: what services demand of a key of their own."""
    vault = tx.get(key.parent)
    return bool(vault and vault.properties.get("enablePurgeProtection"))


# Vaults


def _taken(name: str) -> ArmError:
    return conflict(
        "VaultAlreadyExists",
        f"The vault name '{name}' is already in use. Vault names are globally unique so it is possible that "
        "the name is already taken. If you are sure that the vault name was not taken then it is possible "
        "that a vault with the same name was recently deleted but not purged after being placed in a "
        "recoverable state.",
    )


def _check_lost(write: Write) -> None:
    if write.old is not None:
        return
    lost = _lost(write.context, write.id.name)
    if lost is None:
        return
    if lost["properties"]["vaultId"].lower() != write.id.key:
        raise _taken(write.id.name)
    if write.hidden.get("properties.createMode") != "recover":
        raise conflict(
            "ConflictError",
            "A vault with the same name already exists in deleted state. You need to either recover or purge "
            "existing key vault. Follow this link https://go.microsoft.com/fwlink/?linkid=2149745 for more "
            "information on soft delete.",
        )
    write.tx.drop_remnant(f"{_SPACE}/{write.id.name}")


def _check_protection(write: Write) -> None:
    properties = write.properties
    if properties.get("enablePurgeProtection") is False:
        raise bad_request(
            "BadRequest",
            'The property "enablePurgeProtection" cannot be set to false. Enabling the purge protection for '
            "a vault is an irreversible action.",
        )
    if write.before("properties.enablePurgeProtection"):
        properties["enablePurgeProtection"] = True
    properties["enableSoftDelete"] = True  # whatever was asked for (34 of 34 recorded, 2020 to 2025)
    if properties["softDeleteRetentionInDays"] not in _RETENTION:
        raise bad_request(
            "BadRequest", 'The property "softDeleteRetentionInDays" must be between 7 and 90 days.'
        )


def _address(write: Write) -> None:
    write.settle("properties.vaultUri", f"https://{write.id.name.lower()}.vault.azure.net/")


def _fixed_days(_: str) -> ArmError:
    return bad_request(
        "BadRequest",
        'The property "softDeleteRetentionInDays" has been set already and it can\'t be modified.',
    )


def _remember(deletion: Deletion) -> None:
    """A deleted vault keeps its name until it is purged."""
    properties = deletion.row.properties
    days = int(properties["softDeleteRetentionInDays"])
    subscription, region = ids.subscription_of(deletion.row.id), deletion.row.location
    path = f"/subscriptions/{subscription}/providers/Microsoft.KeyVault/locations/{region}/deletedVaults"
    deletion.tx.keep_remnant(
        f"{_SPACE}/{deletion.row.name}",
        VAULT,
        {
            "id": f"{path}/{deletion.row.name}",
            "name": deletion.row.name,
            "type": DELETED,
            "properties": {
                "vaultId": deletion.row.id,
                "location": region,
                "tags": deletion.row.body.get("tags") or {},
                "deletionDate": stamp(deletion.tx.now),
                "scheduledPurgeDate": stamp(deletion.tx.now + days * 86400),
                "purgeProtectionEnabled": bool(properties.get("enablePurgeProtection")),
            },
        },
    )


def _lost(context: Context, name: str) -> Json | None:
    lost = context.tx.remnant(f"{_SPACE}/{name}")
    alive = lost is not None and lost["properties"]["scheduledPurgeDate"] > stamp(context.tx.now)
    return lost if alive else None


def _deleted_row(lost: Json) -> Row:
    return Row(id=lost["id"], type=DELETED, body={"properties": lost["properties"]})


def _deleted_vault(context: Context, path: ids.ResourceId) -> Row | None:
    lost = _lost(context, path.name)
    return _deleted_row(lost) if lost else None


def _deleted_vaults(context: Context, path: ids.ResourceId, _: Request) -> list[Row]:
    """Return the soft-deleted vaults of a subscription whose time is not over."""
    names = [lost["name"] for lost in context.tx.remnants(VAULT)]
    found = [lost for name in names if (lost := _lost(context, name)) is not None]
    return [_deleted_row(lost) for lost in found if ids.subscription_of(lost["id"]) == path.subscription]


def _purge(context: Context, row: Row, request: Request) -> Response:
    """Forget a soft-deleted vault, so that its name is free again."""
    if row.properties["purgeProtectionEnabled"]:
        raise conflict("MethodNotAllowed", 'Operation "DeletedVaultPurge" is not allowed.')
    context.tx.drop_remnant(f"{_SPACE}/{row.name}")
    operation = begin(context, row, "POST", seconds=0)
    headers = pending_headers(context, request, row.key, operation, wait=0.05, urls=(RESULT_URL,))
    return Response(status=202, headers=headers)


def _missing_deleted(id_: ids.ResourceId) -> ArmError:
    return not_found(
        "DeletedVaultNotFound",
        f"The specified deleted vault '{id_.name}' does not exist. Ensure that the vault was indeed deleted "
        "and that it is in recoverable state. If soft delete was not enabled then the vault is permanently "
        "deleted.",
    )


def check_name(context: Context, request: Request) -> Response:
    """Answer checkNameAvailability; a soft-deleted vault keeps its name."""
    name = str((request.body or {}).get("name", ""))
    answer: Json = {"nameAvailable": True}
    if not BY_ARM_TYPE[VAULT].name.fits(name):
        message = f"The vault name '{name}' is invalid."
        answer = {"nameAvailable": False, "reason": "AccountNameInvalid", "message": message}
    elif context.tx.claimed(_SPACE, name) is not None or _lost(context, name) is not None:
        refusal = _taken(name)
        answer = {"nameAvailable": False, "reason": "AlreadyExists", "message": refusal.message}
    return Response(status=200, body=answer)


# Keys


def _keep_existing(write: Write) -> None:
    """A PUT of a key that exists answers it "without any write operations" (Keys_CreateIfNotExist)."""
    if write.old is not None:
        write.body.clear()
        write.body.update(write.old.body)
        write.hidden = dict(write.old.hidden)


def _make_key(write: Write) -> None:
    if write.old is not None:
        return
    properties, vault = write.properties, write.parent()
    kind = properties.get("kty")
    if kind is None:
        raise bad_request("BadRequest", 'The property "kty" of a key is required.')
    if kind.endswith("-HSM") and vault.properties["sku"]["name"].lower() != "premium":
        raise bad_request("BadRequest", f"Key type {kind} needs a vault of the premium sku.")
    if kind.startswith("RSA") and properties.setdefault("keySize", 2048) not in _SIZES:
        raise bad_request("BadRequest", f"The key size {properties['keySize']} is none of {_SIZES}.")
    now = int(write.tx.now)
    properties["attributes"] = {"enabled": True, "exportable": False} | (properties.get("attributes") or {})
    properties["attributes"] |= {
        "created": now,
        "updated": now,
        "recoveryLevel": _recovery_level(vault),
    }
    properties.setdefault("keyOps", KEY_OPERATIONS["EC" if kind.startswith("EC") else "RSA"])
    uri = f"{vault.properties['vaultUri']}keys/{write.id.name}"
    properties["keyUri"] = uri
    properties["keyUriWithVersion"] = f"{uri}/{uuid.uuid4().hex}"


def _recovery_level(vault: Row) -> str:
    """Say how far a key of a vault can be had back: CustomizedRecoverable for less than 90 days.

    https://learn.microsoft.com/rest/api/keyvault/keys/get-key/get-key#deletionrecoverylevel; recorded in
    Test_Compute_DiskEncryptionSet_20240302_CRUD, 2025.
    """
    days = int(vault.properties.get("softDeleteRetentionInDays") or MOST_DAYS)
    level = "CustomizedRecoverable" if days < MOST_DAYS else "Recoverable"
    return level if vault.properties.get("enablePurgeProtection") else f"{level}+Purgeable"


def _locate_key(tx: Transaction, row: Row, answer: Json) -> None:
    vault = tx.get(row.parent)
    if vault is not None:
        answer["location"] = vault.location


def _refuse_closed(deletion: Deletion) -> None:
    """Resource Manager cannot delete keys: the provider calls the vault's data plane, which may be closed."""
    vault = deletion.tx.get(deletion.row.parent)
    if vault is not None and str(vault.properties.get("publicNetworkAccess")).lower() == "disabled":
        raise ArmError(
            403,
            "Forbidden",
            "Public network access is disabled and request is not from a trusted service nor via an approved "
            f"private link. Vault: {vault.name};location={vault.location}",
        )


def _no_modules(_: Context, __: ids.ResourceId, ___: Request) -> list[Row]:
    """Managed HSMs are not emulated, so that nobody has any; `az keyvault list` asks for them too."""
    return []


TYPES = (
    listed("Microsoft.KeyVault/managedHSMs", VERSIONS, _no_modules),
    listed("Microsoft.KeyVault/deletedManagedHSMs", VERSIONS, _no_modules),
    replace(
        described(
            VAULT,
            unique=Unique(space=_SPACE, taken=lambda write, _: _taken(write.id.name)),
            error=lambda name: bad_request(
                "VaultNameNotValid",
                f"The vault name '{name}' is invalid. A vault's name must be between 3-24 alphanumeric "
                "characters. The name must begin with a letter, end with a letter or digit, and not contain "
                "consecutive hyphens.",
            ),
        ),
        answers=answers.VAULT,
        paged=True,
        patch=("tags", "location", "properties"),
        defaults={
            "properties": {
                "accessPolicies": [],
                "enabledForDeployment": False,
                "enableSoftDelete": True,
                "softDeleteRetentionInDays": 90,
                "enableRbacAuthorization": False,
                "enabledForDiskEncryption": False,
                "enabledForTemplateDeployment": False,
                "publicNetworkAccess": "Enabled",
            }
        },
        fixed=(Fixed(path="properties.softDeleteRetentionInDays", error=_fixed_days),),
        write_only=("properties.createMode",),
        check=(_check_lost, _check_protection, _address),
        gone=(disconnect_endpoints, _remember),
        render=render_connections,
        views={"privateLinkResources": answer_link_resources},
    ),
    replace(
        described(KEY),
        answers=answers.REPLACED,
        provisioning=False,
        methods=frozenset({"GET", "HEAD", "PUT", "DELETE"}),
        check=(_keep_existing, _make_key),
        keep=(_refuse_closed,),
        render=_locate_key,
    ),
    connections(VAULT, answers.CONNECTION),
    *(
        ResourceType(
            name=name,
            versions=VERSIONS,
            level=Level.SUBSCRIPTION,
            place=Place.NONE,
            tags=False,
            schema=False,
            provisioning=False,
            names=Names(rule=NameRule(pattern=".*", maximum=24)),
            methods=frozenset({"GET"}),
            listing=_deleted_vaults,
            virtual=_deleted_vault,
            missing=_missing_deleted,
            actions={"purge": _purge},
        )
        for name in (DELETED, "Microsoft.KeyVault/locations/deletedVaults")
    ),
)


def _check_hsm_name(_: Context, __: Request) -> Response:
    """There are no managed HSMs here, so that no name of one is taken."""
    return Response(status=200, body={"nameAvailable": True})


ACTIONS = {
    "Microsoft.KeyVault/checkNameAvailability": check_name,
    "Microsoft.KeyVault/checkMhsmNameAvailability": _check_hsm_name,
}
"""POSTs of the provider on a subscription."""
