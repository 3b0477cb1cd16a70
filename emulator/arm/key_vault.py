"""Microsoft.KeyVault: vaults, and keys as far as Resource Manager makes them."""

from __future__ import annotations

import time
import uuid

from emulator.arm.catalogue import Fixed, Level, Names, Place, ResourceType
from emulator.arm.errors import ArmError, bad_request, conflict
from emulator.arm.messages import Json
from emulator.arm.network.private_links import connections, disconnect_endpoints, render_connections
from emulator.arm.store import Row, Transaction
from emulator.arm.writes import Deletion, Write

VAULT = "Microsoft.KeyVault/vaults"
KEY = "Microsoft.KeyVault/vaults/keys"
ROLE_ASSIGNMENT = "Microsoft.Authorization/roleAssignments"
VERSIONS = ("2024-11-01", "2026-02-01", "2025-05-01", "2023-07-01", "2023-02-01")
CRYPTO_USER = "e147488a-f6f5-4113-8e2d-b22465e65bf6"
"""Key Vault Crypto Service Encryption User: may read, wrap and unwrap."""
_SPACE = "key-vault"
_RETENTION = range(7, 91)
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
    """Say whether a principal holds the crypto user's role on a key, its vault, or above."""
    return any(
        str(assignment.properties.get("principalId", "")).lower() == principal.lower()
        and str(assignment.properties.get("roleDefinitionId", "")).lower().endswith(CRYPTO_USER)
        and f"{key.key}/".startswith(f"{str(assignment.properties.get('scope', '')).lower().rstrip('/')}/")
        for assignment in tx.of_type(ROLE_ASSIGNMENT)
    )


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


def _claim_name(write: Write) -> None:
    if write.old is not None:
        return
    if write.tx.claim(_SPACE, write.id.name, write.id.key) is not None:
        raise _taken(write.id.name)
    lost = write.tx.remnant(f"{_SPACE}/{write.id.name}")
    if lost is None:
        return
    if lost["id"].lower() != write.id.key:
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
    if properties.get("enableSoftDelete") is False:
        raise bad_request("BadRequest", 'The property "enableSoftDelete" cannot be set to false.')
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
    deletion.tx.keep_remnant(f"{_SPACE}/{deletion.row.name}", VAULT, {"id": deletion.row.id})


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
    now = int(time.time())
    properties["attributes"] = {"enabled": True, "exportable": False} | (properties.get("attributes") or {})
    properties["attributes"] |= {
        "created": now,
        "updated": now,
        "recoveryLevel": (
            "Recoverable" if vault.properties.get("enablePurgeProtection") else "Recoverable+Purgeable"
        ),
    }
    uri = f"{vault.properties['vaultUri']}keys/{write.id.name}"
    properties["keyUri"] = uri
    properties["keyUriWithVersion"] = f"{uri}/{uuid.uuid4().hex}"


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


TYPES = (
    ResourceType(
        name=VAULT,
        versions=VERSIONS,
        names=Names(
            pattern=r"[A-Za-z](-?[A-Za-z0-9])+",
            minimum=3,
            maximum=24,
            error=lambda name: bad_request(
                "VaultNameNotValid",
                f"The vault name '{name}' is invalid. A vault's name must be between 3-24 alphanumeric "
                "characters. The name must begin with a letter, end with a letter or digit, and not contain "
                "consecutive hyphens.",
            ),
        ),
        defaults={
            "properties": {
                "accessPolicies": [],
                "enabledForDeployment": False,
                "enableSoftDelete": True,
                "softDeleteRetentionInDays": 90,
                "enableRbacAuthorization": False,
                "publicNetworkAccess": "Enabled",
            }
        },
        fixed=(Fixed(path="properties.softDeleteRetentionInDays", error=_fixed_days),),
        write_only=("properties.createMode",),
        check=(_claim_name, _check_protection, _address),
        gone=(disconnect_endpoints, _remember),
        render=render_connections,
        seconds=(66, 10),
    ),
    ResourceType(
        name=KEY,
        versions=VERSIONS,
        level=Level.PARENT,
        place=Place.NONE,
        provisioning=False,
        names=Names(pattern=r"[A-Za-z0-9-]+", maximum=127),
        check=(_keep_existing, _make_key),
        keep=(_refuse_closed,),
        render=_locate_key,
        seconds=(3, 3),
    ),
    connections(VAULT, VERSIONS),
)
