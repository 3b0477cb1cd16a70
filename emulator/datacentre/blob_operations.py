"""What a request to the blob service does, in terms of the actions that a role must hold for it.

https://learn.microsoft.com/rest/api/storageservices/authorize-with-azure-active-directory#permissions-for-
calling-data-operations. What is not in the tables is refused: a new operation must be understood first.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

_SERVICE = "Microsoft.Storage/storageAccounts/blobServices"
_CONTAINER = f"{_SERVICE}/containers"
_BLOB = f"{_CONTAINER}/blobs"

_ACCOUNT_ACTIONS = {
    ("GET", "list"): f"{_CONTAINER}/read",
    ("GET", "properties"): f"{_SERVICE}/read",
    ("PUT", "properties"): f"{_SERVICE}/write",
    ("GET", "stats"): f"{_SERVICE}/read",
    ("POST", "userdelegationkey"): f"{_SERVICE}/generateUserDelegationKey/action",
}
_CONTAINER_ACTIONS = {
    ("PUT", ""): f"{_CONTAINER}/write",
    ("GET", ""): f"{_CONTAINER}/read",
    ("HEAD", ""): f"{_CONTAINER}/read",
    ("DELETE", ""): f"{_CONTAINER}/delete",
    ("GET", "metadata"): f"{_CONTAINER}/read",
    ("HEAD", "metadata"): f"{_CONTAINER}/read",
    ("PUT", "metadata"): f"{_CONTAINER}/write",
    ("GET", "acl"): f"{_CONTAINER}/getAcl/action",
    ("HEAD", "acl"): f"{_CONTAINER}/getAcl/action",
    ("PUT", "acl"): f"{_CONTAINER}/setAcl/action",
    ("PUT", "lease"): f"{_CONTAINER}/write",
    ("PUT", "undelete"): f"{_CONTAINER}/write",
}
_BLOB_LISTS = {("GET", "list"): f"{_BLOB}/read", ("GET", "blobs"): f"{_BLOB}/filter/action"}
"""Actions on data that are asked of a container."""
_BLOB_ACTIONS = {
    ("GET", ""): f"{_BLOB}/read",
    ("HEAD", ""): f"{_BLOB}/read",
    ("PUT", ""): f"{_BLOB}/write",
    ("DELETE", ""): f"{_BLOB}/delete",
    ("GET", "metadata"): f"{_BLOB}/read",
    ("HEAD", "metadata"): f"{_BLOB}/read",
    ("GET", "blocklist"): f"{_BLOB}/read",
    ("GET", "pagelist"): f"{_BLOB}/read",
    ("GET", "tags"): f"{_BLOB}/tags/read",
    ("PUT", "tags"): f"{_BLOB}/tags/write",
    ("POST", "query"): f"{_BLOB}/read",
    **{
        ("PUT", comp): f"{_BLOB}/write"
        for comp in (
            "metadata", "properties", "block", "blocklist", "page", "appendblock", "snapshot", "lease",
            "copy", "tier", "undelete", "expiry", "incrementalcopy", "seal",
        )
    },
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """An action that a role must hold on a container (on the account, without one), and on which plane."""

    action: str
    container: str | None
    data: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One request: the container and blob that it names, and all that it needs.

    `batch` says that more requests are inside its body; `needs` is then empty.
    """

    container: str | None
    blob: str | None
    needs: tuple[Need, ...]
    creates_container: bool = False
    deletes_container: bool = False
    batch: bool = False


class NotUnderstoodError(Exception):
    """The request is none that the front door knows."""


class ForeignSourceError(Exception):
    """A copy from somewhere else than the account itself."""


def read_operation(
    method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], host: str
) -> Operation:
    """Return what a request does.

    `path` is percent-encoded, `host` the account's host name. Raises NotUnderstoodError, or
    ForeignSourceError for a copy from another account: the service itself would have to fetch it, and cannot
    reach a closed account.
    """
    container, blob = _names(path)
    kind, comp = query.get("restype", "").lower(), query.get("comp", "").lower()
    if comp == "batch" and method == "POST":
        return Operation(container=container, blob=None, needs=(), batch=True)
    if container is None:
        if kind == "account" and comp == "properties" and method in {"GET", "HEAD"}:
            return Operation(container=None, blob=None, needs=_need(f"{_SERVICE}/getInfo/action", None))
        return Operation(
            container=None, blob=None, needs=_need(_look_up(_ACCOUNT_ACTIONS, method, comp), None)
        )
    if kind == "container":
        if (method, comp) in _BLOB_LISTS:
            return Operation(
                container=container, blob=None, needs=_need(_BLOB_LISTS[method, comp], container, data=True)
            )
        return Operation(
            container=container,
            blob=None,
            needs=_need(_look_up(_CONTAINER_ACTIONS, method, comp), container),
            creates_container=(method, comp) == ("PUT", ""),
            deletes_container=(method, comp) == ("DELETE", ""),
        )
    if blob is None:
        raise NotUnderstoodError(f"{method} {path} names a container but not restype=container")
    needs = _need(_look_up(_BLOB_ACTIONS, method, comp), container, data=True)
    if source := headers.get("x-ms-copy-source"):
        needs += _need(f"{_BLOB}/read", _source_container(source, host), data=True)
    return Operation(container=container, blob=blob, needs=needs)


def read_batch(body: bytes, authorization: str, host: str) -> list[Operation]:
    """Return the requests inside a batch. Raises NotUnderstoodError for one that another caller signed.

    https://learn.microsoft.com/rest/api/storageservices/blob-batch
    """
    found = []
    for part in re.split(rb"\r?\n--batch[^\r\n]*", b"\n" + body):
        match = re.search(rb"(?:^|\n)(PUT|DELETE) (\S+) HTTP/1\.1\r?\n((?:[^\r\n]+\r?\n)*)", part)
        if match is None:
            if part.strip(b"-\r\n "):
                raise NotUnderstoodError("a batch holds PUT and DELETE requests only")
            continue
        lines = match[3].decode("latin-1").splitlines()
        headers = {
            name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
        }
        if headers.get("authorization", authorization) != authorization:
            raise NotUnderstoodError("a request in a batch carries another caller's token")
        target = urlsplit(match[2].decode("latin-1"))
        query = dict(part.partition("=")[::2] for part in target.query.split("&") if part)
        operation = read_operation(match[1].decode(), target.path, query, headers, host)
        if operation.blob is None:
            raise NotUnderstoodError("a batch holds requests on blobs only")
        found.append(operation)
    return found


def _names(path: str) -> tuple[str | None, str | None]:
    container, _, blob = path.lstrip("/").partition("/")
    return unquote(container) or None, unquote(blob) or None


def _need(action: str, container: str | None, *, data: bool = False) -> tuple[Need, ...]:
    return (Need(action=action, container=container, data=data),)


def _look_up(table: Mapping[tuple[str, str], str], method: str, comp: str) -> str:
    try:
        return table[method, comp]
    except KeyError:
        raise NotUnderstoodError(f"{method} with comp={comp!r} is not an operation known here") from None


def _source_container(source: str, host: str) -> str:
    parsed = urlsplit(source)
    container, blob = _names(parsed.path)
    if (parsed.hostname or "") != host or container is None or blob is None:
        raise ForeignSourceError(source)
    return container
