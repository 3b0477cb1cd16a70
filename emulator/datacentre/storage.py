"""The blob service's front door: who may do what, before a request reaches Azurite untouched.

Every private endpoint of an account has one. It verifies the bearer token, judges every operation by the
caller's roles, and lets exist only what ARM has: accounts, and containers. Shared keys, shared access
signatures and anonymous access are refused, as an account with `allowSharedKeyAccess: false` does.
Errors: https://learn.microsoft.com/rest/api/storageservices/status-and-error-codes2
"""

from __future__ import annotations

import email.utils
import ipaddress
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from xml.sax.saxutils import escape

import aiohttp
import jwt
from aiohttp import web
from yarl import URL

from emulator.datacentre.azurite import Azurite
from emulator.datacentre.blob_operations import (
    ForeignSourceError,
    NotUnderstoodError,
    Operation,
    read_batch,
    read_operation,
)
from emulator.datacentre.errors import DatacentreError
from emulator.datacentre.feed import ControlPlane
from emulator.datacentre.inventory import Document, Inventory
from emulator.datacentre.names import ACCOUNT
from emulator.datacentre.roles import permits
from emulator.datacentre.tokens import STORAGE, Issuer

CONTAINER = "microsoft.storage/storageaccounts/blobservices/containers"
ARM_VERSION = "2024-01-01"
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "upgrade", "te", "trailer"}
_LARGEST_BATCH = 4 * 1024 * 1024
_CHUNK = 256 * 1024
_SEEN_SECONDS = 10.0
_MESSAGES = {
    "AuthorizationFailure": (403, "This request is not authorized to perform this operation."),
    "AuthorizationPermissionMismatch": (
        403,
        "This request is not authorized to perform this operation using this permission.",
    ),
    "CannotVerifyCopySource": (403, "This request is not authorized to perform this operation."),
    "ContainerAlreadyExists": (409, "The specified container already exists."),
    "ContainerNotFound": (404, "The specified container does not exist."),
    "InvalidAuthenticationInfo": (
        401,
        "Server failed to authenticate the request. Please refer to the information in the "
        "www-authenticate header.",
    ),
    "KeyBasedAuthenticationNotPermitted": (
        403,
        "Key based authentication is not permitted on this storage account.",
    ),
    "NoAuthenticationInformation": (
        401,
        "Server failed to authenticate the request. Please refer to the information in the "
        "www-authenticate header.",
    ),
    "RequestBodyTooLarge": (413, "The request body is too large and exceeds the maximum permissible limit."),
    "ServerBusy": (503, "The server is currently unable to receive requests. Please retry your request."),
    "UnsupportedHttpVerb": (405, "The resource doesn't support the specified HTTP verb."),
}


class StorageError(Exception):
    """A refusal of the blob service; `detail` completes Azure's own message."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail


class FrontDoor:
    """The front door of all accounts; `application` makes the listener of one endpoint."""

    def __init__(
        self,
        *,
        inventory: Callable[[], Inventory],
        changed: Callable[[Callable[[], bool], float], Any],
        issuer: Issuer,
        azurite: Azurite,
        control_plane: ControlPlane,
    ) -> None:
        """`changed(condition, seconds)` waits until ARM's state, as heard, meets a condition."""
        self._inventory = inventory
        self._changed = changed
        self._issuer = issuer
        self._azurite = azurite
        self._control_plane = control_plane

    def application(self, account: str | None) -> web.Application:
        """Return the listener of an endpoint of one account (its key), or the public one (None)."""

        async def answer(request: web.Request) -> web.StreamResponse:
            try:
                return await self._answer(request, account)
            except StorageError as refused:
                return self._refusal(request, refused)

        application = web.Application(client_max_size=1 << 40)
        application.router.add_route("*", "/{path:.*}", answer)
        return application

    async def upload(self, container: str, blob: str, content: bytes) -> bool:
        """Write a blob as the account's owner would, who is none of the emulated machines.

        `container` is the container's ARM id. Says whether the blob was written or had this content already.
        Raises DatacentreError when ARM has no such container.
        """
        document = self._inventory().get(container)
        if document is None or document.type.lower() != CONTAINER:
            raise DatacentreError(f"there is no blob container {container}: nothing was uploaded")
        account = self._inventory().get(document.key.partition("/blobservices/")[0])
        if account is None:
            raise DatacentreError(f"the account of {container} is gone: nothing was uploaded")
        await self._azurite.ensure_container(account.name, document.name, account_mark(account))
        return await self._azurite.upload(account.name, document.name, blob, content)

    async def blobs(self, container: str) -> dict[str, str]:
        """Return the blobs of a container (its ARM id), each with its MD5 in base64; empty without one."""
        account, _, rest = container.rpartition("/blobServices/")
        return await self._azurite.blobs(account.rpartition("/")[2], rest.rpartition("/")[2])

    async def delete(self, container: str, blob: str) -> None:
        """Delete a blob as the account's owner would; `container` is the container's ARM id."""
        account, _, rest = container.rpartition("/blobServices/")
        await self._azurite.delete(account.rpartition("/")[2], rest.rpartition("/")[2], blob)

    async def _answer(self, request: web.Request, endpoint: str | None) -> web.StreamResponse:
        account = self._account(request, endpoint)
        host = request.host.partition(":")[0].lower()
        principals = self._principals(request, account)
        query = {name.lower(): value for name, value in request.query.items()}
        try:
            operation = read_operation(
                request.method,
                request.raw_path.partition("?")[0],
                query,
                {name.lower(): value for name, value in request.headers.items()},
                host,
            )
        except NotUnderstoodError as unknown:
            raise StorageError("UnsupportedHttpVerb", str(unknown)) from unknown
        except ForeignSourceError as foreign:
            raise StorageError("CannotVerifyCopySource", str(foreign)) from foreign
        body: Any = request.content if request.can_read_body else None
        if operation.batch:
            body = await _read_batch_body(request)
            for each in self._batch(body, request, host):
                self._authorise(principals, account, each)
        else:
            self._authorise(principals, account, operation)
        if operation.creates_container:
            await self._create(account, operation.container)
        elif operation.container is not None:
            await self._ensure(account, operation.container)
        return await self._forward(request, body, lambda status: self._settle(account, operation, status))

    def _account(self, request: web.Request, endpoint: str | None) -> Document:
        """Return the account that a request is for, when this endpoint leads to it."""
        name = request.host.partition(".")[0].lower()
        found = next((each for each in self._inventory().of_type(ACCOUNT) if each.name.lower() == name), None)
        if found is None or (endpoint is not None and found.key != endpoint):
            raise StorageError("AuthorizationFailure", f"This endpoint does not lead to {request.host}.")
        if endpoint is None:
            _refuse_at_the_public_front(found, request.remote or "")
        return found

    def _principals(self, request: web.Request, account: Document) -> frozenset[str]:
        """Return the object ids of the caller and of its groups."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower().startswith("sharedkey") or "sig" in request.query:
            if account.properties.get("allowSharedKeyAccess") is False:
                raise StorageError("KeyBasedAuthenticationNotPermitted")
            raise StorageError("AuthorizationFailure", "The emulator holds no account keys: use an identity.")
        if scheme.lower() != "bearer":
            raise StorageError("NoAuthenticationInformation")
        try:
            claims = self._issuer.verify(token, STORAGE)
        except jwt.InvalidTokenError as bad:
            raise StorageError("InvalidAuthenticationInfo", str(bad)) from bad
        return frozenset(str(each).lower() for each in (claims["oid"], *claims.get("groups", ())))

    def _batch(self, body: bytes, request: web.Request, host: str) -> list[Operation]:
        try:
            return read_batch(body, request.headers["Authorization"], host)
        except (NotUnderstoodError, ForeignSourceError) as unknown:
            raise StorageError("UnsupportedHttpVerb", str(unknown)) from unknown

    def _authorise(self, principals: frozenset[str], account: Document, operation: Operation) -> None:
        for need in operation.needs:
            scope = f"{account.id}/blobServices/default"
            if need.container is not None:
                scope = _container_id(account, need.container)
            if not permits(self._inventory(), principals, need.action, scope, data=need.data):
                raise StorageError("AuthorizationPermissionMismatch")

    async def _ensure(self, account: Document, container: str) -> None:
        """Let a container exist in Azurite exactly when it does in ARM."""
        document = self._inventory().get(_container_id(account, container))
        if document is None:
            raise StorageError("ContainerNotFound")
        try:
            await self._azurite.ensure_container(account.name, container, account_mark(account))
        except DatacentreError as broken:
            raise StorageError("ServerBusy", str(broken)) from broken

    async def _create(self, account: Document, container: str | None) -> None:
        """Make a container in ARM; Azurite makes its own when the request is passed on."""
        identifier = _container_id(account, container or "")
        if self._inventory().get(identifier) is not None:
            raise StorageError("ContainerAlreadyExists")
        status, body = await self._control_plane.put(identifier, ARM_VERSION, {"properties": {}})
        if status not in {200, 201}:
            raise StorageError("AuthorizationFailure", str((body.get("error") or {}).get("message", body)))
        await self._changed(lambda: self._inventory().get(identifier) is not None, _SEEN_SECONDS)

    async def _settle(self, account: Document, operation: Operation, status: int) -> None:
        """Bring ARM in step with what Azurite did, before the caller learns of it."""
        if operation.creates_container and status == 201:
            self._azurite.note_container(account.name, operation.container or "", account_mark(account))
        if operation.deletes_container and status == 202:
            await self._delete(account, operation.container)

    async def _delete(self, account: Document, container: str | None) -> None:
        identifier = _container_id(account, container or "")
        await self._control_plane.delete(identifier, ARM_VERSION)
        self._azurite.forget_container(account.name, container or "")
        await self._changed(lambda: self._inventory().get(identifier) is None, _SEEN_SECONDS)

    async def _forward(
        self, request: web.Request, body: Any, settle: Callable[[int], Awaitable[None]]
    ) -> web.StreamResponse:
        """Pass a request on to Azurite as it is, and its answer back once `settle(status)` is done."""
        headers = [
            (name, value) for name, value in request.headers.items() if name.lower() not in _HOP_BY_HOP
        ]
        try:
            await self._azurite.ready()
            async with self._azurite.session.request(
                request.method,
                URL(self._azurite.url + request.raw_path, encoded=True),
                headers=headers,
                data=body,
                allow_redirects=False,
            ) as upstream:
                await settle(upstream.status)
                answer = web.StreamResponse(status=upstream.status, reason=upstream.reason)
                for name, value in upstream.headers.items():
                    if name.lower() not in _HOP_BY_HOP:
                        answer.headers.add(name, value)
                await answer.prepare(request)
                async for chunk in upstream.content.iter_chunked(_CHUNK):
                    await answer.write(chunk)
                await answer.write_eof()
                return answer
        except (TimeoutError, DatacentreError, aiohttp.ClientConnectionError) as broken:
            raise StorageError("ServerBusy", str(broken)) from broken

    def _refusal(self, request: web.Request, refused: StorageError) -> web.Response:
        status, message = _MESSAGES[refused.code]
        identifier, now = str(uuid.uuid4()), datetime.now(UTC)
        headers = {
            "x-ms-error-code": refused.code,
            "x-ms-request-id": identifier,
            "Server": "Windows-Azure-Blob/1.0 Microsoft-HTTPAPI/2.0",
            "Date": email.utils.format_datetime(now, usegmt=True),
        }
        if "x-ms-version" in request.headers:
            headers["x-ms-version"] = request.headers["x-ms-version"]
        if status == 401:
            headers["WWW-Authenticate"] = (
                f"Bearer authorization_uri=https://login.microsoftonline.com/{self._tenant()}"
                "/oauth2/authorize resource_id=https://storage.azure.com"
            )
        detail = f"<AuthenticationErrorDetail>{escape(refused.detail)}</AuthenticationErrorDetail>"
        text = (
            '<?xml version="1.0" encoding="utf-8"?><Error>'
            f"<Code>{refused.code}</Code><Message>{escape(message)}\nRequestId:{identifier}\n"
            f"Time:{now.isoformat().replace('+00:00', 'Z')}</Message>"
            f"{detail if refused.detail else ''}</Error>"
        )
        return web.Response(status=status, headers=headers, content_type="application/xml", text=text)

    def _tenant(self) -> str:
        kind = "microsoft.managedidentity/userassignedidentities"
        known = next(self._inventory().of_type(kind), None)
        return str(known.properties["tenantId"]) if known else "common"


def _refuse_at_the_public_front(account: Document, address: str) -> None:
    """https://learn.microsoft.com/azure/storage/common/storage-network-security"""
    if account.properties.get("publicNetworkAccess") == "Disabled":
        raise StorageError("AuthorizationFailure", "Public network access is disabled.")
    rules = account.properties.get("networkAcls") or {}
    let_in = [ipaddress.ip_network(rule["value"]) for rule in rules.get("ipRules") or []]
    if rules.get("defaultAction") == "Deny" and not any(
        ipaddress.ip_address(address) in one for one in let_in
    ):
        raise StorageError(
            "AuthorizationFailure", f"The firewall of {account.name} does not let {address} in."
        )


async def _read_batch_body(request: web.Request) -> bytes:
    body = await request.content.read(_LARGEST_BATCH + 1)
    while not request.content.at_eof() and len(body) <= _LARGEST_BATCH:
        body += await request.content.read(_LARGEST_BATCH + 1 - len(body))
    if len(body) > _LARGEST_BATCH:
        raise StorageError("RequestBodyTooLarge")
    return body


def account_mark(account: Document) -> str:
    """Return what tells an account from an earlier one of the same name."""
    return str(account.properties.get("creationTime", "-"))


def _container_id(account: Document, container: str) -> str:
    return f"{account.id}/blobServices/default/containers/{container}"
