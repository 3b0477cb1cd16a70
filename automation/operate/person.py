"""Who uses `fed`, as far as this machine knows: said to hospitals whose patients a job asks for."""

import base64
import getpass
import json
from collections.abc import Mapping
from typing import Any

from automation.stacks.target import Target

_CLAIMS = ("upn", "unique_name", "preferred_username", "appid", "oid")
"""Claims of an access token that name its owner, the most readable first.

https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference
"""


def of(target: Target) -> str:
    """Return the name of Azure's sign-in; on the emulator, where nobody signs in, this machine's user."""
    if target.emulator:
        return f"{getpass.getuser()} (on this machine)"
    return of_token(target.arm().token())


def of_token(token: str) -> str:
    """Return the most readable name that a token says of its owner."""
    claims = _claims(token)
    return next((str(claims[name]) for name in _CLAIMS if claims.get(name)), "unknown")


def _claims(token: str) -> Mapping[str, Any]:
    """Return the claims of a token that Azure gave to this program, so its signature is not of
    interest here.
    """
    payload = token.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))))
