"""Who may use MLflow: the platform's own services, and people for some hours (docs/adr/0037).

The accounts are a file that MLflow's container may only read (workloads/mlflow/tracking/accounts.py). It
holds checksums of passwords, all of them long random texts. A person's password is made on their own machine
and never comes here; that of this service is in its memory alone, that of fl-server in a file of the two.
"""

import hashlib
import re
import secrets
import threading
from collections.abc import Mapping
from typing import Any, Final

from container_server import answers, questions
from container_server.clock import Clock
from container_server.config import Config
from container_server.control import Handler, WrongQuestionError
from container_server.errors import RefusedInputError
from container_server.files import read_json, write_bytes, write_json
from container_server.log import say

SCHEMA: Final = "fed/accounts/1"
HOURS: Final = 12
MOST_PEOPLE: Final = 50
OWN, SERVER = "container-server", "fl-server"
_ROLES: Final = {OWN: "keeper", SERVER: "server"}
"""Of the platform's own accounts; everybody else is a `person` (workloads/mlflow/tracking/rights.py)."""
_PERSON: Final = "person"
_NAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,63}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class SignIn:
    """Keeps the accounts. `password` is this service's own, another one each time that it starts."""

    def __init__(self, config: Config, clock: Clock) -> None:
        self._file = config.sign_in / "accounts.json"
        self._servers = config.tracking / "password"
        self._clock = clock
        self._lock = threading.Lock()
        self.password: Final = secrets.token_urlsafe(32)

    def handlers(self) -> dict[str, Handler]:
        """Command -> handler."""
        return {"sign-in": self.sign_in}

    def step(self) -> None:
        """Write the platform's own accounts where they are missing; take out people whose time is over."""
        with self._lock:
            self._write(self._people())

    def sign_in(self, arguments: Mapping[str, Any]) -> answers.SignedIn:
        """Let a person read MLflow for `HOURS` hours, with the password of this checksum and no other."""
        asked = questions.SignIn.read(arguments)
        if not _NAME.fullmatch(asked.name) or asked.name in _ROLES:
            raise WrongQuestionError("a person's name is of small letters, digits and . _ @ + - (64 at most)")
        if not _SHA256.fullmatch(asked.sha256):
            raise WrongQuestionError("--sha256 is the checksum of a password: 64 hexadecimal digits")
        until = int(self._clock.now()) + HOURS * 3600
        with self._lock:
            people = {name: row for name, row in self._people().items() if name != asked.name}
            if len(people) >= MOST_PEOPLE:
                raise RefusedInputError(
                    f"{MOST_PEOPLE} people are signed in already: wait until one has ended"
                )
            row = {"role": _PERSON, "sha256": asked.sha256, "until": until}
            self._write({**people, asked.name: row})
        say("signed in to MLflow", name=asked.name, until=until)
        return {"name": asked.name, "until": until}

    def _people(self) -> dict[str, Any]:
        """Return the people whose time is not over; nobody where the file is damaged: they sign in again."""
        try:
            content = read_json(self._file) or {"accounts": {}}
            return {
                name: row
                for name, row in content["accounts"].items()
                if row["role"] == _PERSON and float(row["until"]) > self._clock.now()
            }
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            say("accounts of MLflow cannot be read: people have to sign in again", cause=repr(error)[:200])
            return {}

    def _write(self, people: Mapping[str, Any]) -> None:
        own = {OWN: self.password, SERVER: self._password_of_server()}
        accounts = {name: {"role": _ROLES[name], "sha256": _sha256(word)} for name, word in own.items()}
        content = {"schema": SCHEMA, "accounts": {**people, **accounts}}
        if self._stands() != content:
            write_json(self._file, content)

    def _stands(self) -> Any:
        try:
            return read_json(self._file)
        except ValueError:
            return None

    def _password_of_server(self) -> str:
        """Return fl-server's, which stays: a job that runs goes on with it."""
        try:
            return self._servers.read_text()
        except FileNotFoundError:
            made = secrets.token_urlsafe(32)
            write_bytes(self._servers, made.encode())
            return made


def _sha256(password: str) -> str:
    return hashlib.sha256(password.encode()).hexdigest()
