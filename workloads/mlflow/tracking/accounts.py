"""Who may use MLflow: the accounts that the container server keeps, by the checksums of their passwords.

The file (`fed/accounts/1`) is written by container_server/centre/sign_in.py and only read here. A password
is a random text of 256 bits, so nobody guesses it from its plain SHA-256; no file of this container has it.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCHEMA = "fed/accounts/1"


@dataclass(frozen=True, kw_only=True)
class Account:
    """Somebody, or one of the platform's own services."""

    name: str
    role: str
    """One of tracking.rights; any other may do nothing."""
    sha256: str
    """Of the password, in hex."""
    until: float | None
    """Unix time at which it ends; None: never."""


class Accounts:
    """The accounts of a file, read again when it changes. Without a readable file there are none."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._known: Mapping[str, Account] = {}

    def of(self, authorization: str, now: float) -> Account | None:
        """Return the account of an `Authorization` header: Basic with its name, or Bearer with its password.

        None for whatever else it is, and for an account that has ended by `now` (Unix time).
        """
        scheme, _, rest = authorization.partition(" ")
        if scheme.lower() == "basic":
            name, _, password = _decoded(rest).partition(":")
            found = [account] if (account := self._current().get(name)) else []
        elif scheme.lower() == "bearer":
            found, password = list(self._current().values()), rest.strip()
        else:
            return None
        checksum = hashlib.sha256(password.encode()).hexdigest()
        mine = [one for one in found if hmac.compare_digest(one.sha256, checksum)]
        if not mine or (mine[0].until is not None and mine[0].until <= now):
            return None
        return mine[0]

    def _current(self) -> Mapping[str, Account]:
        try:
            stands = self._path.stat()
            if (mark := (stands.st_mtime_ns, stands.st_ino)) != self._seen:
                self._known, self._seen = _read(self._path.read_text()), mark
        except (OSError, ValueError) as error:
            print(f"sign-in: nobody can, {self._path} cannot be read: {error}", flush=True)
            self._known, self._seen = {}, None
        return self._known


def _read(text: str) -> dict[str, Account]:
    """Return the accounts of a file's text; raise ValueError for one that is none."""
    try:
        content: dict[str, Any] = json.loads(text)
        if content["schema"] != SCHEMA:
            raise ValueError(f"its schema is {content['schema']!r}, not {SCHEMA}")
        return {
            name: Account(
                name=name,
                role=str(row["role"]),
                sha256=str(row["sha256"]),
                until=None if row.get("until") is None else float(row["until"]),
            )
            for name, row in content["accounts"].items()
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"it has not the form of {SCHEMA}: {error!r}") from error


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except ValueError:  # not Base64, or not text
        return ""
