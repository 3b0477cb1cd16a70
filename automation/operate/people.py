"""A container as people behind its account's door see it: blobs over HTTPS, signed in with Entra.

Which door that is, the network knows: the account's name leads to its endpoint, or to its public front.
https://learn.microsoft.com/rest/api/storageservices/blob-service-rest-api
"""

import base64
import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final
from urllib.parse import quote
from xml.etree import ElementTree

import httpx
from azure.core.credentials import AccessToken, TokenCredential

from automation.operate import person
from automation.ui.outcome import FedError, RefusedError

SCOPE: Final = "https://storage.azure.com/.default"
_VERSION: Final = "2021-08-06"
_RENEWED_SECONDS: Final = 300.0
"""So long before its end a token is asked for again."""
_SECONDS: Final = httpx.Timeout(300.0, connect=15.0)
"""A network that drops what leaves for the account's public front is known for one within `connect`."""

_WHY: Final = {
    "AuthorizationFailure": (
        "the account does not answer here: its name leads to the public front, or the firewall knows another "
        "address",
        "work where the account's door is: in the network of its endpoint, or at the address of its window "
        "until its day",
    ),
    "AuthorizationPermissionMismatch": (
        "you have no role on this container",
        "have yourself added to the group that the settings name for it (the party's `door`), sign in "
        "again, and wait some minutes after the first deployment",
    ),
    "ContainerNotFound": ("there is no such container", "deploy the stack, or name another account"),
}


@dataclass(frozen=True, kw_only=True)
class PeoplesContainer:
    """One container of a storage account, as whoever `credential` signs in."""

    account: str
    name: str
    credential: TokenCredential

    def blobs(self) -> dict[str, str]:
        """Return the blobs, each with its MD5 in base64; raises as `upload`."""
        found: dict[str, str] = {}
        marker = ""
        while True:
            answer = self._ask("GET", f"?restype=container&comp=list&marker={quote(marker, safe='')}")
            page = ElementTree.fromstring(answer.content)  # noqa: S314 the storage service itself wrote it
            for blob in page.iter("Blob"):
                found[blob.findtext("Name") or ""] = blob.findtext("Properties/Content-MD5") or ""
            marker = page.findtext("NextMarker") or ""
            if not marker:
                return found

    def upload(self, blob: str, content: bytes) -> bool:
        """Write a blob; say whether it was written or had this content already.

        Raises RefusedError when the account refuses, with the fix, FedError when it cannot be reached.
        """
        md5 = base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()
        if self.blobs().get(blob) == md5:
            return False
        headers = {"x-ms-blob-type": "BlockBlob", "x-ms-blob-content-md5": md5, "Content-MD5": md5}
        self._ask("PUT", f"/{quote(blob)}", headers, content)
        return True

    def read(self, prefix: str) -> dict[str, bytes]:
        """Return the blobs whose names begin so, each with its content; raises as `upload`."""
        return {name: self.blob(name) for name in self.blobs() if name.startswith(prefix)}

    def blob(self, name: str) -> bytes:
        """Return a blob's content; raises as `upload`."""
        return self._ask("GET", f"/{quote(name)}").content

    def find(self, name: str) -> bytes | None:
        """Return a blob's content, None where there is none; raises as `upload`."""
        answer = self._send("GET", f"/{quote(name)}")
        if answer.headers.get("x-ms-error-code") == "BlobNotFound":
            return None
        return self._accepted(answer).content

    def put(self, name: str, content: bytes) -> None:
        """Write a blob, whatever it had; raises as `upload`."""
        self._ask("PUT", f"/{quote(name)}", {"x-ms-blob-type": "BlockBlob"}, content)

    def take_back(self, name: str) -> bool:
        """Delete a blob; say whether it was still there. Raises as `upload`."""
        answer = self._send("DELETE", f"/{quote(name)}")
        if answer.headers.get("x-ms-error-code") == "BlobNotFound":
            return False
        self._accepted(answer)
        return True

    def who(self) -> str:
        """Return the name of whoever is signed in, as the token of this account says it."""
        return person.of_token(self._bearer())

    @cached_property
    def _bearer(self) -> "_Bearer":
        return _Bearer(self.credential)

    def _ask(
        self, method: str, what: str, headers: Mapping[str, str] | None = None, content: bytes | None = None
    ) -> httpx.Response:
        return self._accepted(self._send(method, what, headers, content))

    def _accepted(self, answer: httpx.Response) -> httpx.Response:
        if answer.is_error:
            raise self._refused(answer)
        return answer

    def _send(
        self, method: str, what: str, headers: Mapping[str, str] | None = None, content: bytes | None = None
    ) -> httpx.Response:
        url = f"https://{self.account}.blob.core.windows.net/{self.name}"
        given = {"Authorization": f"Bearer {self._bearer()}", "x-ms-version": _VERSION, **(headers or {})}
        try:
            return httpx.request(method, url + what, headers=given, content=content, timeout=_SECONDS)
        except httpx.TransportError as error:
            raise FedError(
                f"{self.account} cannot be reached from here: {error}\n"
                f"Fix: look where its name leads (nslookup {self.account}.blob.core.windows.net); at the "
                "account's door it is the private address of the settings"
            ) from error

    def _refused(self, answer: httpx.Response) -> RefusedError:
        code = answer.headers.get("x-ms-error-code", str(answer.status_code))
        why, fix = _WHY.get(code, ("the account refused", "see the code"))
        return RefusedError(f"{self.account}/{self.name}: {code}\n   Why it matters: {why}\n   Fix: {fix}")


class _Bearer:
    """A credential's token for storage, asked for again before it ends: who follows a job waits for hours."""

    def __init__(self, credential: TokenCredential) -> None:
        self._credential = credential
        self._held: AccessToken | None = None

    def __call__(self) -> str:
        if self._held is None or time.time() > self._held.expires_on - _RENEWED_SECONDS:
            self._held = self._credential.get_token(SCOPE)
        return self._held.token
