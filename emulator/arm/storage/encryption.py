"""Encryption of accounts, with Microsoft's keys or a customer's."""

from __future__ import annotations

from emulator.arm.context import Write
from emulator.arm.errors import ArmError, bad_request, not_found
from emulator.arm.key_vault import closed_to, key_at, may_wrap, protects, vault_at
from emulator.arm.messages import Json
from emulator.arm.times import stamp


def complete_encryption(write: Write) -> None:
    """Fill in what Azure says of encryption; check a customer's key."""
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
    # Storage is a trusted service whichever identity it uses.
    if closed_to(write.tx, key, trusted=True) or not may_wrap(write.tx, key, principal):
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
