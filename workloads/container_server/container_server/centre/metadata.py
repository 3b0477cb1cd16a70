"""Who is a member: the VM's userData, set by the stack, read from the metadata service."""

import base64
import json
import re
import urllib.error
import urllib.request
from collections.abc import Callable

from container_server.errors import RefusedInputError, TransientError

PATH = "/metadata/instance/compute/userData?api-version=2021-01-01&format=text"
_NAME = re.compile(r"[a-z](?:[a-z0-9-]{0,38}[a-z0-9])?")


class MembershipError(RefusedInputError):
    """userData does not hold a list of hospitals. The list known before stays in force."""


def fetch_user_data(address: str) -> str:
    """The base64 text of userData. Raises TransientError when the service does not answer."""
    request = urllib.request.Request(address + PATH, headers={"Metadata": "true"})  # noqa: S310 - fixed address
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
            return str(answer.read(65_536).decode())
    except (urllib.error.URLError, OSError) as error:
        raise TransientError(f"metadata service: {error}") from error


def members(fetch: Callable[[], str]) -> frozenset[str]:
    """The hospitals of the federation. Raises MembershipError or TransientError."""
    text = fetch()
    try:
        content = json.loads(base64.b64decode(text, validate=True))
        hospitals = content["hospitals"]
    except (ValueError, KeyError, TypeError) as error:
        raise MembershipError(f"userData is not base64 of {{'hospitals': [...]}}: {error}") from error
    if not isinstance(hospitals, list):
        raise MembershipError(f"userData: hospitals is {type(hospitals).__name__}, expected a list")
    if wrong := [name for name in hospitals if not isinstance(name, str) or not _NAME.fullmatch(name)]:
        raise MembershipError(f"userData: {wrong[0]!r} is not a hospital's name")
    return frozenset(hospitals)
