"""Who resolves which name to where, computed from zones, links and records, and compared with the intent.

A name inside a network is answered by the private zones linked to that network; an account's public name is
answered there because Azure makes it an alias of its ``privatelink`` name. So a zone in the wrong network, or
a record with the wrong address, sends a party's connections somewhere else.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final

from automation.verify.facts.finding import Finding, Kind
from automation.verify.facts.resources import Deployment, Resource, key_of, reference
from automation.verify.reach.network import Topology
from federation.intent import Intent, Service
from policies.addresses import is_internal

PROOF = "names"

BLOB_ZONE: Final = "privatelink.blob.core.windows.net"
REGISTRY_ZONE: Final = "privatelink.azurecr.io"
FL_NAME: Final = "fl.federation.internal"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What one party gets for one name: the intended addresses, the computed ones, and the record's zone."""

    viewer: str
    name: str
    intended: frozenset[str]
    computed: frozenset[str]
    causes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Names:
    """All answers, and the differences."""

    answers: tuple[Answer, ...]
    findings: tuple[Finding, ...]


def compute(deployment: Deployment, topology: Topology, intent: Intent, parties: Mapping[str, str]) -> Names:
    """Compute what every party resolves. ``parties`` maps subscription ids (lower case) to names."""
    return _Computation(deployment, topology, intent, parties).run()


class _Computation:
    def __init__(
        self, deployment: Deployment, topology: Topology, intent: Intent, parties: Mapping[str, str]
    ) -> None:
        self._all = deployment
        self._topology = topology
        self._intent = intent
        self._parties = parties

    def run(self) -> Names:
        findings: list[Finding] = []
        records = self._records()
        found: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
        for link in self._all.of("privatedns:VirtualNetworkLink"):
            zone = key_of(link.id.rsplit("/", 2)[0])
            party, viewer = self._linked(key_of(reference(link.at("virtualNetwork")) or ""))
            if viewer is None:
                findings.append(_foreign_link(link, "a network that is not of this stack"))
                continue
            if self._parties.get(link.subscription) != party:
                findings.append(_foreign_link(link, f"the network of {party}"))
            for name, address, cause in records.get(zone, ()):
                found[viewer, name][address] = cause
        answers = tuple(self._answers(found))
        findings += [f for answer in answers for f in _differences(answer)]
        findings += [
            _dns_server(n.name, n.dns_servers) for n in self._topology.networks.values() if n.dns_servers
        ]
        return Names(answers=answers, findings=tuple(findings))

    def _linked(self, network: str) -> tuple[str | None, str | None]:
        """Return whose network a key is, and who resolves names there, in words."""
        known = self._topology.networks.get(network)
        if known is not None:
            return known.party, known.party
        door = next((d for d in self._intent.doors if key_of(d.network_id) == network), None)
        return (door.owner, door.viewer) if door else (None, None)

    def _answers(self, found: Mapping[tuple[str, str], Mapping[str, str]]) -> Iterator[Answer]:
        meant: dict[tuple[str, str], frozenset[str]] = {}
        for resolution in self._intent.resolutions:
            name = self._name(resolution.owner, resolution.service)
            meant[resolution.viewer, name] = frozenset({str(resolution.address)})
        for viewer, name in dict.fromkeys((*meant, *found)):
            addresses = found.get((viewer, name), {})
            yield Answer(
                viewer=viewer,
                name=name,
                intended=meant.get((viewer, name), frozenset()),
                computed=frozenset(addresses),
                causes=tuple(dict.fromkeys(addresses.values())),
            )

    def _name(self, owner: str, service: Service) -> str:
        """Return the private name of a party's service, from the accounts that the deployment really has."""
        if service == "fl":
            return FL_NAME
        if service == "blob":
            holders = {key_of(c.id.split("/blobServices/")[0]) for c in self._all.of("storage:BlobContainer")}
            accounts = [a for a in self._all.of("storage:StorageAccount") if a.key in holders]
            return f"{self._of(owner, accounts)}.{BLOB_ZONE}"
        registries = list(self._all.of("containerregistry:Registry"))
        name = self._of(owner, registries)
        if service == "registry":
            return f"{name}.{REGISTRY_ZONE}"
        region = next((r.at("location") for r in registries if r.name == name), "")
        return f"{name}.{str(region).lower().replace(' ', '')}.data.{REGISTRY_ZONE}"

    def _of(self, owner: str, candidates: list[Resource]) -> str:
        return next(
            (c.name for c in candidates if self._parties.get(c.subscription) == owner), f"({owner} has none)"
        )

    def _records(self) -> dict[str, list[tuple[str, str, str]]]:
        """Return (name, address, where it is written) of every A record, by zone."""
        found: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
        for record in self._all.of("privatedns:PrivateRecordSet"):
            zone = record.id.rsplit("/", 2)[0]
            name = f"{record.name}.{zone.rsplit('/', 1)[-1]}".lower().removeprefix("@.")
            for entry in record.each("aRecords"):
                found[key_of(zone)].append(
                    (name, str(entry.get("ipv4Address")), f"record {record.name} in {zone}")
                )
        if self._all.live:  # the records that zone groups wrote are among those that were read
            return found
        for group in self._all.of("network:PrivateDnsZoneGroup"):
            endpoint = self._all.find(group.id.rsplit("/", 2)[0])
            for config in group.each("privateDnsZoneConfigs"):
                zone = str(config.get("privateDnsZoneId"))
                for relative, address in _endpoint_records(self._all, endpoint):
                    name = f"{relative}.{zone.rsplit('/', 1)[-1]}".lower()
                    cause = f"zone group {group.name} of {group.id.split('/')[-3]} in {zone}"
                    found[key_of(zone)].append((name, address, cause))
        return found


def _endpoint_records(deployment: Deployment, endpoint: Resource | None) -> Iterator[tuple[str, str]]:
    """Yield (relative name, address) of the records that a zone group writes for its endpoint."""
    if endpoint is None:
        return
    connections = list(endpoint.each("privateLinkServiceConnections"))
    target = deployment.find(connections[0].get("privateLinkServiceId")) if connections else None
    name = target.name if target else "(unknown target)"
    for configuration in endpoint.each("ipConfigurations"):
        member, address = str(configuration.get("memberName")), configuration.get("privateIPAddress")
        if member.startswith("registry_data_"):
            yield f"{name}.{member.removeprefix('registry_data_')}.data", str(address)
        else:
            yield name, str(address)


def _differences(answer: Answer) -> Iterator[Finding]:
    if extra := answer.computed - answer.intended:
        public = any(not is_internal(IPv4Address(a)) for a in extra)
        yield Finding(
            kind=Kind.OPEN,
            proof=PROOF,
            rule="names",
            what=f"{answer.viewer} resolves {answer.name} to {', '.join(sorted(extra))}",
            where="; ".join(answer.causes),
            why="its connections to that name go out to the internet"
            if public
            else "its connections to that name go where nobody intended",
            fix="remove the record or link; the program writes the intended ones (./fed up --refresh)",
        )
    if lacking := answer.intended - answer.computed:
        yield Finding(
            kind=Kind.MISSING,
            proof=PROOF,
            rule="names",
            what=f"{answer.viewer} does not resolve {answer.name} to {', '.join(sorted(lacking))}",
            where="no zone linked to its network has that record",
            why="without it the public name is used, which is closed",
            fix="restore zone, link and record from the program (./fed up --refresh)",
        )


def _foreign_link(link: Resource, where: str) -> Finding:
    return Finding(
        kind=Kind.OPEN,
        proof=PROOF,
        rule="names",
        what=f"zone {link.id.split('/')[-3]} is linked to {where}",
        where=f"virtual network link {link.id}",
        why="whoever owns the zone decides where that network's connections go",
        fix="remove the link; each party has its own zones",
    )


def _dns_server(network: str, servers: tuple[str, ...]) -> Finding:
    return Finding(
        kind=Kind.OPEN,
        proof=PROOF,
        rule="names",
        what=f"{network} asks {', '.join(servers)} for names instead of Azure",
        where=f"{network}: dhcpOptions.dnsServers",
        why="a foreign server decides where connections go, and questions to it carry data out",
        fix="remove dnsServers",
    )
