"""Azure's resolver: what a name means to a machine of a network, from private zones, links and public names.

A name in a zone that is linked to the network is answered by that zone alone; everything else by what the
public would answer. Public names of services with a private endpoint lead to their privatelink name, so that
the same host name means the endpoint inside and the public front door outside.
https://learn.microsoft.com/azure/private-link/private-endpoint-dns
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from dnslib import CNAME, EDNS0, QTYPE, RCODE, RR, A, DNSError, DNSRecord  # type: ignore[import-untyped]

from emulator.datacentre.inventory import ENDPOINT, Inventory, endpoint_target, reference

ZONE = "microsoft.network/privatednszones"
RECORD = "microsoft.network/privatednszones/a"
LINK = "microsoft.network/privatednszones/virtualnetworklinks"
ACCOUNT = "microsoft.storage/storageaccounts"
REGISTRY = "microsoft.containerregistry/registries"

PUBLIC_FRONT_DOOR = "203.0.113.80"
"""Where public names of services lead on this machine (a documentation address, RFC 5737)."""
TTL = 10
_LONGEST_CHAIN = 8
_SMALLEST_DATAGRAM = 512
_LARGEST_DATAGRAM = 1232


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """A private zone as one network sees it: records by full name; `redirect` is NxDomainRedirect."""

    name: str
    records: Mapping[str, tuple[str, ...]]
    redirect: bool = False

    def holds(self, name: str) -> bool:
        """Say whether a name is in the zone."""
        return name == self.name or name.endswith("." + self.name)

    def find(self, name: str) -> tuple[str, ...] | None:
        """Return the addresses of a name, also through a wildcard; None when the zone has no such name."""
        if name in self.records:
            return self.records[name]
        parent = name
        while "." in parent and parent != self.name:
            parent = parent.partition(".")[2]
            if f"*.{parent}" in self.records:
                return self.records[f"*.{parent}"]
        exists = name == self.name or any(known.endswith("." + name) for known in self.records)
        return () if exists else None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a name resolves to: aliases on the way, then addresses; `exists` is False for NXDOMAIN."""

    aliases: tuple[tuple[str, str], ...]
    addresses: tuple[str, ...]
    exists: bool

    @property
    def name(self) -> str | None:
        """The name that has the addresses, when an alias led there."""
        return self.aliases[-1][1] if self.aliases else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """All names: the zones by network, public aliases, and public addresses."""

    zones: Mapping[str, tuple[Zone, ...]] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    public: Mapping[str, str] = field(default_factory=dict)

    def resolve(self, network: str, name: str) -> Answer:
        """Resolve a name for a network (its key)."""
        aliases: list[tuple[str, str]] = []
        name = name.lower().rstrip(".")
        for _ in range(_LONGEST_CHAIN):
            zones = [zone for zone in self.zones.get(network, ()) if zone.holds(name)]
            zone = max(zones, key=lambda each: len(each.name), default=None)
            found = zone.find(name) if zone else None
            if found is not None:
                return Answer(tuple(aliases), found, exists=True)
            if zone is not None and not zone.redirect:
                return Answer(tuple(aliases), (), exists=False)
            if name in self.aliases:
                aliases.append((name, self.aliases[name]))
                name = self.aliases[name]
                continue
            address = self.public.get(name)
            return Answer(tuple(aliases), (address,) if address else (), exists=address is not None)
        return Answer(tuple(aliases), (), exists=False)


def directory(inventory: Inventory) -> Directory:
    """Return the names that follow from ARM's state."""
    zones: dict[str, list[Zone]] = {}
    for zone in inventory.of_type(ZONE):
        name = zone.name.lower()
        records = {
            _full(record.name.lower(), name): tuple(
                each["ipv4Address"] for each in record.properties.get("aRecords") or []
            )
            for record in inventory.of_type(RECORD)
            if record.parent == zone.key
        }
        for link in inventory.of_type(LINK):
            network = reference(link.properties.get("virtualNetwork"))
            if link.parent == zone.key and network:
                redirect = link.properties.get("resolutionPolicy") == "NxDomainRedirect"
                zones.setdefault(network, []).append(Zone(name=name, records=records, redirect=redirect))
    aliases, public = _public(inventory)
    return Directory(
        zones={network: tuple(found) for network, found in zones.items()}, aliases=aliases, public=public
    )


def _full(record: str, zone: str) -> str:
    return zone if record == "@" else f"{record}.{zone}"


def _public(inventory: Inventory) -> tuple[dict[str, str], dict[str, str]]:
    """Return what the public sees: aliases of services with a private endpoint, and the front door."""
    connected = {target for endpoint in inventory.of_type(ENDPOINT) if (target := endpoint_target(endpoint))}
    aliases: dict[str, str] = {}
    public: dict[str, str] = {}
    for account in inventory.of_type(ACCOUNT):
        host = f"{account.name.lower()}.blob.core.windows.net"
        private = (account.key, "blob") in connected
        _publish(host, f"{account.name.lower()}.privatelink.blob.core.windows.net", private, aliases, public)
    for registry in inventory.of_type(REGISTRY):
        name, region = registry.name.lower(), str(registry.body.get("location"))
        private = (registry.key, "registry") in connected
        for host in (name, f"{name}.{region}.data"):
            _publish(f"{host}.azurecr.io", f"{host}.privatelink.azurecr.io", private, aliases, public)
    return aliases, public


def _publish(host: str, link: str, private: bool, aliases: dict[str, str], public: dict[str, str]) -> None:
    if private:
        aliases[host] = link
        public[link] = PUBLIC_FRONT_DOOR
    else:
        public[host] = PUBLIC_FRONT_DOOR


def respond(query: bytes, resolve: Callable[[str], Answer], limit: int | None = None) -> bytes | None:
    """Answer a DNS message; None for one that is not a query. `limit` is the size that fits a datagram."""
    try:
        request = DNSRecord.parse(query)
    except DNSError:
        return None
    if request.header.qr or not request.questions:
        return None
    reply = request.reply()
    answer = resolve(str(request.q.qname))
    for alias, target in answer.aliases:
        reply.add_answer(RR(alias, QTYPE.CNAME, rdata=CNAME(target), ttl=TTL))
    if request.q.qtype in {QTYPE.A, QTYPE.ANY}:
        owner = answer.name or request.q.qname
        for address in answer.addresses:
            reply.add_answer(RR(owner, QTYPE.A, rdata=A(address), ttl=TTL))
    if not answer.exists:
        reply.header.rcode = RCODE.NXDOMAIN
    size = _offered(request)
    if size is not None:
        reply.add_ar(EDNS0(udp_len=_LARGEST_DATAGRAM))
    packed: bytes = reply.pack()
    if limit is not None and len(packed) > min(limit, size or _SMALLEST_DATAGRAM):
        cut = request.reply()
        cut.header.tc = 1  # asks for the same over TCP
        packed = cut.pack()
    return packed


def _offered(request: DNSRecord) -> int | None:
    """Return the size of datagrams that a client takes (EDNS), None when it does not say."""
    return next(
        (max(each.edns_len, _SMALLEST_DATAGRAM) for each in request.ar if each.rtype == QTYPE.OPT), None
    )


class Resolver(asyncio.DatagramProtocol):
    """Answers one machine on UDP."""

    def __init__(self, resolve: Callable[[str], Answer]) -> None:
        self._resolve = resolve
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        """Keep the way back."""
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer a query."""
        if (answer := respond(data, self._resolve, _LARGEST_DATAGRAM)) and self._transport:
            self._transport.sendto(answer, addr)


async def serve_stream(
    resolve: Callable[[str], Answer], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Answer one connection on TCP, message by message (RFC 7766)."""
    try:
        while True:
            (length,) = struct.unpack("!H", await reader.readexactly(2))
            answer = respond(await reader.readexactly(length), resolve)
            if answer is None:
                return
            writer.write(struct.pack("!H", len(answer)) + answer)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        return
    finally:
        writer.close()
