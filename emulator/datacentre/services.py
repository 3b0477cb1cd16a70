"""The listeners of the platform, inside the namespaces of machines and endpoints.

A socket stays in the namespace that it was made in, so one process serves them all and knows from the socket
who is calling: no listener needs to be told, and nobody can pretend to be another machine.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from emulator.arm import certificates
from emulator.datacentre.azurite import Azurite
from emulator.datacentre.desks import Desks
from emulator.datacentre.feed import ControlPlane
from emulator.datacentre.inventory import Inventory, endpoint_target
from emulator.datacentre.kernel import Namespace
from emulator.datacentre.metadata import Metadata, identities
from emulator.datacentre.names import (
    ACCOUNT,
    PUBLIC_FRONT_DOOR,
    REGISTRY,
    Answer,
    Directory,
    Resolver,
    directory,
    serve_stream,
)
from emulator.datacentre.networks import Networks
from emulator.datacentre.pull import Puller
from emulator.datacentre.registry import RegistryDoor
from emulator.datacentre.router import PLATFORM_ADDRESSES
from emulator.datacentre.settings import Settings
from emulator.datacentre.storage import CONTAINER, FrontDoor
from emulator.datacentre.tokens import Issuer
from emulator.datacentre.topology import Port

RESOLVER, METADATA = PLATFORM_ADDRESSES
_DNS, _HTTP, _HTTPS = 53, 80, 443


@dataclass(slots=True)
class _Listeners:
    """What listens in one namespace."""

    namespace: Namespace
    purpose: tuple[str, ...]
    runners: list[web.AppRunner] = field(default_factory=list)
    transports: list[asyncio.BaseTransport] = field(default_factory=list)
    servers: list[asyncio.Server] = field(default_factory=list)

    async def close(self) -> None:
        for transport in self.transports:
            transport.close()
        for server in self.servers:
            server.close()
        for runner in self.runners:
            await runner.cleanup()


class Services:
    """Names, metadata, storage and registries, wherever ARM's state wants them."""

    def __init__(
        self,
        settings: Settings,
        *,
        inventory: Callable[[], Inventory],
        changed: Callable[[Callable[[], bool], float], Any],
        azurite: Azurite,
        issuer: Issuer,
        control_plane: ControlPlane,
        desks: Desks,
    ) -> None:
        self._desks = desks
        self.azurite = azurite
        self.issuer = issuer
        self._settings = settings
        self._inventory = inventory
        self._directory = Directory()
        self._listeners: dict[str, _Listeners] = {}
        self._offices: dict[str, _Listeners] = {}
        self._contexts: dict[frozenset[str], ssl.SSLContext] = {}
        self.storage = FrontDoor(
            inventory=inventory,
            changed=changed,
            issuer=issuer,
            azurite=azurite,
            control_plane=control_plane,
        )
        self._registry = RegistryDoor(inventory, issuer, settings.images)

    async def apply(self, networks: Networks) -> None:
        """Open the listeners that are missing and close those that are too many."""
        inventory = self._inventory()
        self._directory = directory(inventory)
        if next(inventory.of_type(ACCOUNT), None) is not None:
            self.azurite.start()
        accounts = {account.key: account.name for account in inventory.of_type(ACCOUNT)}
        self.azurite.keep(
            (accounts[account], container.name)
            for container in inventory.of_type(CONTAINER)
            if (account := container.key.partition("/blobservices/")[0]) in accounts
        )
        await self._open_public(networks)
        wanted = {key: self._purpose(port) for key, port in networks.topology.ports.items()}
        for key, listeners in list(self._listeners.items()):
            current = networks.namespaces.get(key)
            if key != "public" and (current is not listeners.namespace or wanted[key] != listeners.purpose):
                await self._listeners.pop(key).close()
        for key, port in networks.topology.ports.items():
            if key not in self._listeners:
                self._listeners[key] = await self._open(port, networks.namespaces[key], wanted[key])

    async def open_office(self, port: Port, namespace: Namespace) -> None:
        """Open what a machine on the internet asks: public names, and who alone sits there."""
        before = [key for key in self._offices if key != port.id and key.startswith(f"{port.addresses[0]}/")]
        for key in before:
            await self._offices.pop(key).close()
        if port.id not in self._offices:
            self._offices[port.id] = _Listeners(namespace, ("office",))
            await self._open_machine(self._offices[port.id], port)

    def resolve(self, network: str, name: str) -> Answer:
        """Resolve a name for a machine of a network."""
        return self._directory.resolve(network, name)

    def puller(self, machine: str, port: Port, namespace: Namespace) -> Puller:
        """Return what pulls images for a machine (its key) at a port."""

        def known() -> Any:
            document = self._inventory().get(machine)
            return identities(self._inventory(), document) if document else []

        return Puller(
            namespace,
            lambda name: self.resolve(port.network, name),
            known,
            self.issuer,
            self._settings.authority,
        )

    async def close(self) -> None:
        """Close every listener."""
        for listeners in (*self._listeners.values(), *self._offices.values()):
            await listeners.close()

    def _purpose(self, port: Port) -> tuple[str, ...]:
        if not port.endpoint:
            return "machine", port.owner, port.network
        endpoint = self._inventory().get(port.owner)
        target = endpoint_target(endpoint) if endpoint else None
        return ("endpoint", *target) if target else ("endpoint",)

    async def _open(self, port: Port, namespace: Namespace, purpose: tuple[str, ...]) -> _Listeners:
        listeners = _Listeners(namespace, purpose)
        if purpose[0] == "machine":
            await self._open_machine(listeners, port)
        elif len(purpose) == 3:
            application = self._application(purpose[1], purpose[2])
            if application is not None:
                await self._serve(listeners, application, "0.0.0.0", _HTTPS, self._tls())  # noqa: S104
        return listeners

    def _application(self, target: str, group: str) -> web.Application | None:
        """Return the front door behind an endpoint; nothing listens where the datacentre has none."""
        document = self._inventory().get(target)
        kind = document.type.lower() if document else ""
        if kind == ACCOUNT and group == "blob":
            return self.storage.application(target)
        if kind == REGISTRY:
            return self._registry.application(target)
        return None

    async def _open_machine(self, listeners: _Listeners, port: Port) -> None:
        loop = asyncio.get_running_loop()

        def resolve(name: str) -> Answer:
            return self.resolve(port.network, name)

        datagrams = listeners.namespace.socket(socket.SOCK_DGRAM, RESOLVER, _DNS)
        transport, _ = await loop.create_datagram_endpoint(lambda: Resolver(resolve), sock=datagrams)
        listeners.transports.append(transport)
        server = await asyncio.start_server(
            lambda reader, writer: serve_stream(resolve, reader, writer),
            sock=listeners.namespace.socket(socket.SOCK_STREAM, RESOLVER, _DNS),
        )
        listeners.servers.append(server)
        metadata = Metadata(port.owner, self._inventory, self.issuer, self._desks.person(port.owner))
        await self._serve(listeners, metadata.application(), METADATA, _HTTP, None)

    async def _open_public(self, networks: Networks) -> None:
        """Open the public front door, which closed services refuse at and open ones serve."""
        if "public" in self._listeners:
            return
        networks.internet.ip([f"addr add {PUBLIC_FRONT_DOOR}/32 dev lo"])
        storage, registry = self.storage.application(None), self._registry.application(None)
        listeners = _Listeners(networks.internet, ("public",))
        self._listeners["public"] = listeners
        both = web.Application()
        both.add_domain("*.blob.core.windows.net", storage)
        both.add_domain("*.azurecr.io", registry)
        await self._serve(listeners, both, PUBLIC_FRONT_DOOR, _HTTPS, self._tls())

    async def _serve(
        self,
        listeners: _Listeners,
        application: web.Application,
        address: str,
        port: int,
        tls: ssl.SSLContext | None,
    ) -> None:
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        listening = listeners.namespace.socket(socket.SOCK_STREAM, address, port)
        await web.SockSite(runner, listening, ssl_context=tls).start()
        listeners.runners.append(runner)

    def _tls(self) -> ssl.SSLContext:
        """Return the server's side of TLS, for every host name that ARM's state knows by now."""
        regions = {str(registry.body.get("location")) for registry in self._inventory().of_type(REGISTRY)}
        names = frozenset(
            {
                "*.blob.core.windows.net",
                "*.azurecr.io",
                *(f"*.{region}.data.azurecr.io" for region in regions),
            }
        )
        if names not in self._contexts:
            certificate = self._settings.volatile / f"front-door-{len(self._contexts)}.pem"
            certificates.ensure_certificate(
                certificate,
                certificate.with_suffix(".key"),
                names=sorted(names),
                authority=self._settings.authority,
                authority_key=self._settings.authority_key,
            )
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(certificate, certificate.with_suffix(".key"))
            self._contexts[names] = context
        return self._contexts[names]
