"""The VM's userData, set by the stack, read from the metadata service: it changes without a new VM.

At the centre it says who is a member and whether operators ask by blobs; everywhere, to whom backups are
encrypted, and which images are to run.
"""

import base64
import json
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

from container_server.errors import RefusedInputError, TransientError

PATH = "/metadata/instance/compute/userData?api-version=2021-01-01&format=text"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_NAME = re.compile(r"[a-z](?:[a-z0-9-]{0,38}[a-z0-9])?")


class UserDataError(RefusedInputError):
    """userData is not what the stack writes there. What was known before stays in force."""


def fetch_user_data(address: str) -> str:
    """The base64 text of userData. Raises TransientError when the service does not answer."""
    request = urllib.request.Request(address + PATH, headers={"Metadata": "true"})  # noqa: S310 - fixed address
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
            return str(answer.read(65_536).decode())
    except (urllib.error.URLError, OSError) as error:
        raise TransientError(f"metadata service: {error}") from error


def members(fetch: Callable[[], str]) -> frozenset[str]:
    """The hospitals of the federation. Raises UserDataError or TransientError."""
    content = _content(fetch)
    if "hospitals" not in content:
        raise UserDataError("userData has no 'hospitals'")
    hospitals = content["hospitals"]
    if not isinstance(hospitals, list):
        raise UserDataError(f"userData: hospitals is {type(hospitals).__name__}, expected a list")
    if wrong := [name for name in hospitals if not isinstance(name, str) or not _NAME.fullmatch(name)]:
        raise UserDataError(f"userData: {wrong[0]!r} is not a hospital's name")
    return frozenset(hospitals)


def operators_ask(fetch: Callable[[], str]) -> bool:
    """Whether operators ask the centre by blobs; raises as `backup_recipient`."""
    return _content(fetch).get("operators") is True


def backup_recipient(fetch: Callable[[], str]) -> str | None:
    """The public key to which this party's backups are encrypted; None where the stack names none.

    Raises UserDataError for userData that is not as expected, or TransientError.
    """
    recipient = _content(fetch).get("backup")
    if recipient is not None and not isinstance(recipient, str):
        raise UserDataError(f"userData: backup is {type(recipient).__name__}, expected a key")
    return recipient


def images(fetch: Callable[[], str]) -> dict[str, str] | None:
    """Image -> digest, as the stack names them; None where userData is older than that.

    Raises UserDataError or TransientError.
    """
    named = _content(fetch).get("images")
    if named is None:
        return None
    if not isinstance(named, dict):
        raise UserDataError(f"userData: images is {type(named).__name__}, expected an object")
    if wrong := [image for image, digest in named.items() if not _DIGEST.fullmatch(str(digest))]:
        raise UserDataError(f"userData: {wrong[0]} has no digest of the form sha256: and 64 hex digits")
    return dict(named)


def nvflare_version(fetch: Callable[[], str]) -> str:
    """The version of NVFlare in those images; empty where userData is older than that."""
    return str(_content(fetch).get("nvflare") or "")


def _content(fetch: Callable[[], str]) -> dict[str, Any]:
    """What userData says; nothing where the stack gave the VM none."""
    try:
        content = json.loads(base64.b64decode(fetch(), validate=True) or "{}")
    except ValueError as error:
        raise UserDataError(f"userData is not base64 of a JSON object: {error}") from error
    if not isinstance(content, dict):
        raise UserDataError(f"userData is {type(content).__name__}, expected a JSON object")
    return content
