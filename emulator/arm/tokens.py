"""Bearer tokens: who calls. Signed with the daemon's own key, so that no other clone's token is good here.

The claims are those of a real Entra token for Azure Resource Manager. One claim is the emulator's own:
`subscriptions`, a list that limits the caller to these subscriptions (a hospital's own deployer); a token
without it belongs to the deployer of the whole federation.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Sequence
from dataclasses import dataclass

import jwt

from emulator.arm.errors import ArmError

AUDIENCE = "https://management.azure.com/"
TENANT_ID = "5f1c0a7e-7d43-4c0b-9a55-f2a4d3a7be01"
"""The emulator's one Entra tenant."""
DEPLOYER_OBJECT_ID = "8c6b0d52-3b0e-4a1f-8f6e-0f0f4b8f3c11"
DEPLOYER_CLIENT_ID = "1e5d3a64-92f7-4d0c-b1e0-6f1a7c2d9b22"
ISSUER = f"https://sts.windows.net/{TENANT_ID}/"

MOST_TOKENS = 1000
"""Verified tokens that are remembered."""
_ACCEPTED_AUDIENCES = (AUDIENCE, AUDIENCE.rstrip("/"), "https://management.core.windows.net/")


def identity_secret(key: bytes) -> str:
    """Return what a client of the token endpoint (sign_in.py) must know, worked out of the daemon's key."""
    return hmac.new(key, b"identity endpoint", hashlib.sha256).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The principal behind a request; `subscriptions` of None means every one."""

    object_id: str = DEPLOYER_OBJECT_ID
    client_id: str = DEPLOYER_CLIENT_ID
    subscriptions: frozenset[str] | None = None

    def may_use(self, subscription: str | None) -> bool:
        """Say whether the caller has rights in a subscription."""
        return (
            self.subscriptions is None or subscription is None or subscription.lower() in self.subscriptions
        )


def issue(
    key: bytes, *, caller: Caller | None = None, seconds: int = 3600, audience: str = AUDIENCE
) -> tuple[str, int]:
    """Return a token and the time (seconds since 1970) at which it expires."""
    caller = caller or Caller()
    now = int(time.time())
    claims: dict[str, object] = {
        "aud": audience,
        "iss": ISSUER,
        "tid": TENANT_ID,
        "iat": now,
        "nbf": now - 60,
        "exp": now + seconds,
        "oid": caller.object_id,
        "sub": caller.object_id,
        "appid": caller.client_id,
        "idtyp": "app",
        "ver": "1.0",
    }
    if caller.subscriptions is not None:
        claims["subscriptions"] = sorted(caller.subscriptions)
    return jwt.encode(claims, key, algorithm="HS256"), now + seconds


class Verifier:
    """Verifies Authorization headers; one that was good stays good until it expires, without the
    arithmetic."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._known: dict[str, tuple[Caller, float]] = {}

    def __call__(self, header: str | None) -> Caller:
        """Return the caller of a header; raise Azure's 401 for anything but a good token."""
        caller, expires = self._known.get(header or "", (None, 0.0))
        if caller is not None and time.time() < expires:
            return caller
        caller = verify(header, self._key)
        if len(self._known) >= MOST_TOKENS:
            self._known.clear()
        claims = jwt.decode(str(header).partition(" ")[2], options={"verify_signature": False})
        self._known[str(header)] = (caller, float(claims["exp"]))
        return caller


def verify(header: str | None, key: bytes) -> Caller:
    """Return the caller of an Authorization header; raise Azure's 401 for anything but a good token."""
    if not header:
        raise _unauthorised(
            "AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing."
        )
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer":
        raise _unauthorised(
            "AuthenticationFailedInvalidHeader",
            "Authentication failed. The 'Authorization' header is provided in an invalid format.",
        )
    try:
        claims = jwt.decode(token, key, algorithms=["HS256"], audience=_ACCEPTED_AUDIENCES, leeway=30)
    except jwt.ExpiredSignatureError as late:
        raise _unauthorised(
            "ExpiredAuthenticationToken", "The access token expiry UTC time is over."
        ) from late
    except jwt.InvalidAudienceError as wrong:
        raise _unauthorised(
            "InvalidAuthenticationTokenAudience",
            "The access token has been obtained for wrong audience or resource. It should exactly match one "
            "of "
            f"the allowed audiences {', '.join(repr(name) for name in _ACCEPTED_AUDIENCES)}.",
        ) from wrong
    except jwt.InvalidTokenError as bad:
        raise _unauthorised("InvalidAuthenticationToken", "The access token is invalid.") from bad
    if claims.get("tid") != TENANT_ID:
        raise _unauthorised(
            "InvalidAuthenticationTokenTenant",
            f"The access token is from the wrong issuer '{claims.get('iss')}'. It must match the tenant "
            f"'{ISSUER}' associated with this subscription.",
        )
    allowed: Sequence[str] | None = claims.get("subscriptions")
    return Caller(
        object_id=claims["oid"],
        client_id=claims["appid"],
        subscriptions=None if allowed is None else frozenset(name.lower() for name in allowed),
    )


def _unauthorised(code: str, message: str) -> ArmError:
    challenge = (
        f'Bearer authorization_uri="https://login.microsoftonline.com/{TENANT_ID}", '
        f'error="invalid_token", error_description="{message}"'
    )
    return ArmError(401, code, message, headers={"WWW-Authenticate": challenge})
