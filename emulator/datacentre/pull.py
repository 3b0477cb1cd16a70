"""Pulls an image as a machine's container engine does: by its names, through its network, as its identity."""

from __future__ import annotations

import base64
import socket
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from emulator.datacentre.errors import DatacentreError
from emulator.datacentre.kernel import Namespace
from emulator.datacentre.names import Answer
from emulator.datacentre.registry import MANIFEST, NO_USER
from emulator.datacentre.tokens import Identity, Issuer

_SECONDS = 15.0
_CONNECT_SECONDS = 5.0
_FIRST_BYTE = {"Range": "bytes=0-0"}
"""Enough of a layer to know that it can be had."""
_AUDIENCE = "https://containerregistry.azure.net"


class Puller:
    """Pulls for one machine: the registry is asked for all that a pull asks for, a byte of each layer."""

    def __init__(
        self,
        namespace: Namespace,
        resolve: Callable[[str], Answer],
        identities: Callable[[], Sequence[Identity]],
        issuer: Issuer,
        authority: Path,
    ) -> None:
        self._namespace = namespace
        self._resolve = resolve
        self._identities = identities
        self._issuer = issuer
        self._authority = authority

    async def pull(self, reference: str) -> None:
        """Pull ``<server>/<repository>@<digest>``; raise DatacentreError in a container engine's words."""
        server, _, rest = reference.partition("/")
        repository, _, digest = rest.partition("@")
        connector = aiohttp.TCPConnector(
            ssl=ssl.create_default_context(cafile=str(self._authority)),
            resolver=_Names(self._resolve),
            socket_factory=lambda address: self._namespace.socket(socket.SOCK_STREAM),
        )
        timeout = aiohttp.ClientTimeout(total=_SECONDS, sock_connect=_CONNECT_SECONDS)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            try:
                token = await self._sign_in(session, server, repository)
                url = f"https://{server}/v2/{repository}"
                headers = {"Authorization": f"Bearer {token}", "Accept": MANIFEST}
                manifest = await _get(session, f"{url}/manifests/{digest}", headers, reference)
                for layer in manifest["layers"]:
                    await _get(session, f"{url}/blobs/{layer['digest']}", headers | _FIRST_BYTE, reference)
            except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as failed:
                raise DatacentreError(f'Get "https://{server}/v2/": {_words(failed)}') from failed

    async def _sign_in(self, session: aiohttp.ClientSession, server: str, repository: str) -> str:
        """Return an access token: the first that may pull among those of the machine's identities."""
        token = ""
        for identity in self._identities():
            entra, _ = self._issuer.issue(identity, _AUDIENCE)
            form = {"grant_type": "access_token", "service": server, "access_token": entra}
            async with session.post(f"https://{server}/oauth2/exchange", data=form) as answer:
                if answer.status != 200:
                    raise DatacentreError(_refusal(server, await answer.json()))
                refresh = (await answer.json())["refresh_token"]
            basic = base64.b64encode(f"{NO_USER}:{refresh}".encode()).decode()
            query = {"service": server, "scope": f"repository:{repository}:pull"}
            async with session.get(
                f"https://{server}/oauth2/token", params=query, headers={"Authorization": f"Basic {basic}"}
            ) as answer:
                token = (await answer.json())["access_token"]
            if self._issuer.claims(token)["access"]:
                break
        return token


class _Names(AbstractResolver):
    """Resolves as the machine does."""

    def __init__(self, resolve: Callable[[str], Answer]) -> None:
        self._answer = resolve

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of a name."""
        found = self._answer(host).addresses
        if not found:
            raise OSError(None, f"lookup {host} on 168.63.129.16:53: no such host")
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in found
        ]

    async def close(self) -> None:
        """Nothing is kept."""


async def _get(session: aiohttp.ClientSession, url: str, headers: dict[str, str], reference: str) -> Any:
    async with session.get(url, headers=headers) as answer:
        if answer.status not in {200, 206}:
            raise DatacentreError(_refusal(reference, await answer.json(content_type=None)))
        return await answer.json(content_type=None) if "/manifests/" in url else await answer.read()


def _refusal(what: str, body: dict[str, Any]) -> str:
    error = body["errors"][0]
    if error["code"] == "MANIFEST_UNKNOWN":
        return f"manifest for {what} not found: manifest unknown: {error['message']}"
    return f"{what}: {error['code'].lower()}: {error['message']}"


def _words(failed: BaseException) -> str:
    return "dial tcp: i/o timeout" if isinstance(failed, TimeoutError) else str(failed)
