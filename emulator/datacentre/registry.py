"""The container registry's front door: signs machines in, and says which images they may pull.

It serves as much of ACR's data plane as a container engine needs to pull by digest: the sign-in
(https://github.com/Azure/acr/blob/main/docs/AAD-OAuth.md), manifests, and blobs, which ACR hands over from
its data endpoint. An image that was built for real machines is served as it is; what a snapshot is made of
stays with the datacentre (`machine.image`): here it is one layer.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import jwt
from aiohttp import web

from emulator.datacentre.inventory import Document, Inventory
from emulator.datacentre.names import REGISTRY
from emulator.datacentre.roles import permits
from emulator.datacentre.tokens import REGISTRY as AUDIENCES
from emulator.datacentre.tokens import Identity, Issuer
from emulator.snapshots import Snapshots

PULL = "Microsoft.ContainerRegistry/registries/pull/read"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
NO_USER = "00000000-0000-0000-0000-000000000000"
_LAYER = "sha256:" + hashlib.sha256(b"").hexdigest()
_UNAUTHORIZED = "authentication required, visit https://aka.ms/acr/authorization for more information."


class RegistryDoor:
    """The front door of all registries; `application` makes the listener of one endpoint."""

    def __init__(self, inventory: Callable[[], Inventory], issuer: Issuer, images: Path) -> None:
        self._inventory = inventory
        self._issuer = issuer
        self._images = Snapshots(images)

    def application(self, registry: str | None) -> web.Application:
        """Return the listener of an endpoint of one registry (its key), or the public one (None)."""

        def guarded(handler: Callable[[web.Request, Document], Awaitable[web.StreamResponse]]) -> Any:
            async def handle(request: web.Request) -> web.StreamResponse:
                found = self._find(request, registry)
                return await handler(request, found) if found else _error(403, "DENIED", _closed(request))

            return handle

        application = web.Application()
        application.add_routes(
            [
                web.post("/oauth2/exchange", guarded(self._exchange)),
                web.get("/oauth2/token", guarded(self._token)),
                web.get("/v2/", guarded(self._hello)),
                web.get("/v2/{repository:.+}/manifests/{digest}", guarded(self._manifest)),
                web.get("/v2/{repository:.+}/blobs/{digest}", guarded(self._blob)),
            ]
        )
        return application

    def _find(self, request: web.Request, endpoint: str | None) -> Document | None:
        """Return the registry that a request is for, when this endpoint leads to it."""
        name = request.host.partition(".")[0].lower()
        found = next(
            (each for each in self._inventory().of_type(REGISTRY) if each.name.lower() == name), None
        )
        if found is None or (endpoint is not None and endpoint != found.key):
            return None
        closed = found.properties.get("publicNetworkAccess") == "Disabled"
        return None if endpoint is None and closed else found

    async def _exchange(self, request: web.Request, registry: Document) -> web.Response:
        """Give a refresh token of the registry for a token of Entra."""
        form = await request.post()
        try:
            claims = self._issuer.verify(str(form.get("access_token", "")), AUDIENCES)
        except jwt.InvalidTokenError as bad:
            return _error(401, "UNAUTHORIZED", f"{_UNAUTHORIZED} ({bad})")
        return web.json_response({"refresh_token": self._sign(claims, registry, "refresh_token")})

    async def _token(self, request: web.Request, registry: Document) -> web.Response:
        """Give an access token for a refresh token (sent as a password), with what the caller may do."""
        scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
        password = ""
        if scheme.lower() == "basic":
            password = base64.b64decode(encoded).decode(errors="replace").partition(":")[2]
        try:
            claims = self._issuer.verify(password, [_audience(registry, "refresh_token")])
        except jwt.InvalidTokenError:
            return _error(401, "UNAUTHORIZED", _UNAUTHORIZED)
        allowed = permits(self._inventory(), claims["oid"], PULL, registry.id, data=False)
        repository = request.query.get("scope", "").split(":")[1:2]
        access = [{"type": "repository", "name": name, "actions": ["pull"]} for name in repository if allowed]
        token = self._sign(claims, registry, "access_token", access=access)
        return web.json_response({"access_token": token})

    async def _hello(self, request: web.Request, registry: Document) -> web.Response:
        return self._challenge(registry) if self._actions(request, registry, "") is None else web.Response()

    async def _manifest(self, request: web.Request, registry: Document) -> web.Response:
        refused = self._refuse(request, registry)
        if refused is not None:
            return refused
        repository, digest = request.match_info["repository"], request.match_info["digest"]
        reference = f"{registry.properties['loginServer']}/{repository}@{digest}"
        if not self._images.has(reference):
            return _error(404, "MANIFEST_UNKNOWN", f"manifest tagged by {digest!r} is not found")
        headers = {"Docker-Content-Digest": digest}
        if (real := self._images.manifest(reference)) is not None:
            kind = json.loads(real.read_text())["mediaType"]
            return web.Response(body=real.read_bytes(), content_type=kind, headers=headers)
        layer = {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": _LAYER, "size": 0}
        body = {"schemaVersion": 2, "mediaType": MANIFEST, "layers": [layer]}
        return web.json_response(body, content_type=MANIFEST, headers=headers)

    async def _blob(self, request: web.Request, registry: Document) -> web.StreamResponse:
        region = registry.body.get("location")
        data_host = f"{registry.name.lower()}.{region}.data.azurecr.io"
        if request.host.lower() == data_host:
            return self._bytes(request, registry)
        refused = self._refuse(request, registry)
        if refused is not None:
            return refused
        return web.Response(status=307, headers={"Location": f"https://{data_host}{request.path}"})

    def _bytes(self, request: web.Request, registry: Document) -> web.StreamResponse:
        """Return a blob; whoever knows the address may have it, as with the signed one that ACR gives."""
        digest = request.match_info["digest"]
        if digest == _LAYER:
            return web.Response(body=b"")
        server = registry.properties["loginServer"]
        blob = self._images.blob(f"{server}/{request.match_info['repository']}", digest)
        return (
            web.FileResponse(blob) if blob else _error(404, "BLOB_UNKNOWN", f"blob {digest!r} is not found")
        )

    def _refuse(self, request: web.Request, registry: Document) -> web.Response | None:
        actions = self._actions(request, registry, request.match_info["repository"])
        if actions is None:
            return self._challenge(registry, request.match_info["repository"])
        return None if "pull" in actions else _error(401, "UNAUTHORIZED", _UNAUTHORIZED)

    def _actions(self, request: web.Request, registry: Document, repository: str) -> list[str] | None:
        """Return what the bearer may do with a repository; None without a good token."""
        try:
            token = request.headers.get("Authorization", "").partition(" ")[2]
            claims = self._issuer.verify(token, [_audience(registry, "access_token")])
        except jwt.InvalidTokenError:
            return None
        return [
            action for each in claims["access"] if each["name"] == repository for action in each["actions"]
        ]

    def _challenge(self, registry: Document, repository: str = "") -> web.Response:
        server = registry.properties["loginServer"]
        value = f'Bearer realm="https://{server}/oauth2/token",service="{server}"'
        if repository:
            value += f',scope="repository:{repository}:pull"'
        return _error(401, "UNAUTHORIZED", _UNAUTHORIZED, {"Www-Authenticate": value})

    def _sign(self, claims: dict[str, Any], registry: Document, kind: str, **more: Any) -> str:
        who = Identity(
            id=claims.get("xms_mirid", ""),
            client_id=claims["appid"],
            principal_id=claims["oid"],
            tenant_id=claims["tid"],
        )
        return self._issuer.issue(who, _audience(registry, kind), grant_type=kind, **more)[0]


def _audience(registry: Document, kind: str) -> str:
    return f"{registry.properties['loginServer']}/{kind}"


def _closed(request: web.Request) -> str:
    return f"client with IP {request.remote!r} is not allowed access. Refer https://aka.ms/acr/firewall"


def _error(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> web.Response:
    body = {"errors": [{"code": code, "message": message}]}
    return web.json_response(body, status=status, headers=headers)
