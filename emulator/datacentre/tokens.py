"""Entra tokens of managed identities: issued by the metadata service, verified by storage and registry.

Signed with a key that lives as long as the datacentre: no token of another clone, and none of an
earlier datacentre, is good here.
"""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import jwt

LIFE_SECONDS = 24 * 3600
"""How long a managed identity's token lives.
https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/managed-identities-faq"""

STORAGE = frozenset({"https://storage.azure.com", "https://storage.azure.com/"})
REGISTRY = frozenset({"https://containerregistry.azure.net", "https://containerregistry.azure.net/"})
"""Audiences that the storage service and the registry accept (the registry's with and without policy
azureADAuthenticationAsArmPolicy)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A managed identity: its ARM id and its ids in Entra. Or a person: `groups` are those it is in.

    Real tokens for storage do not carry groups, the service asks Entra; here they are the only record.
    """

    id: str
    client_id: str
    principal_id: str
    tenant_id: str
    groups: tuple[str, ...] = ()


class Issuer:
    """Signs tokens and verifies them."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def issue(self, identity: Identity, audience: str, **more: Any) -> tuple[str, int]:
        """Return a token for an identity and when it expires (seconds since 1970)."""
        now = int(time.time())
        claims = {
            "aud": audience,
            "iss": _issuer(identity.tenant_id),
            "iat": now,
            "nbf": now - 300,
            "exp": now + LIFE_SECONDS,
            "appid": identity.client_id,
            "appidacr": "0" if identity.groups else "2",
            "idp": _issuer(identity.tenant_id),
            "idtyp": "user" if identity.groups else "app",
            "groups": list(identity.groups),
            "oid": identity.principal_id,
            "sub": identity.principal_id,
            "tid": identity.tenant_id,
            "uti": uuid.uuid4().hex,
            "ver": "1.0",
            "xms_mirid": identity.id,
            **more,
        }
        return jwt.encode(claims, self._key, algorithm="HS256"), claims["exp"]

    def claims(self, token: str) -> dict[str, Any]:
        """Return the claims of a token of one's own, unverified."""
        found: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
        return found

    def verify(self, token: str, audiences: Collection[str]) -> dict[str, Any]:
        """Return a token's claims; raise jwt.InvalidTokenError when it is not good for these audiences."""
        claims: dict[str, Any] = jwt.decode(
            token,
            self._key,
            algorithms=["HS256"],
            audience=list(audiences),
            options={"require": ["exp", "oid"]},
        )
        if claims["iss"] != _issuer(claims["tid"]):
            raise jwt.InvalidIssuerError("the issuer is not the token's tenant")
        return claims


def _issuer(tenant: str) -> str:
    return f"https://sts.windows.net/{tenant}/"
