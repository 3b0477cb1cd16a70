"""Who resolves which name to where, computed from zones, links and records, and compared with the intent.

A name inside a network is answered by the private zones linked to that network; an account's public name is
answered there because Azure makes it an alias of its ``privatelink`` name. So a zone in the wrong network, or
a record with the wrong address, sends a party's connections somewhere else.

The zones of an organisation (docs/adr/0017) and their links are outside the federation's subscriptions: only
what zone groups of its endpoints write there is computed. Whether a network asks those zones is tried from
within its machine (``observed/probes.py``).
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final

from automation.verify.facts.finding import Finding, Kind
from automation.verify.facts.resources import Deployment, Resource, key_of, reference
from automation.verify.reach.network import Topology
from federation.azure_facts import BLOB_ZONE, REGISTRY_ZONE
from federation.stated import Intent, Keeper, Resolution, Service
from policies.addresses import is_internal

PROOF = "names"

FL_NAME: Final = "fl.federation.internal"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What one party gets for one name: the intended addresses, the computed ones, and the record's zone.

    ``computed`` is None for a name that a policy of the organisation is to write, in a state, which does not
    say whether it has.
    """

    viewer: str
    name: str
    intended: frozenset[str]
    computed: frozenset[str] | None
    causes: tuple[str, ...]
    kept_by: Keeper = "party"

    @property
    def agrees(self) -> bool:
        """Whether nothing computed contradicts what is intended."""
        return self.computed is None or self.computed == self.intended


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
            if self._intent.zones is not None and viewer == party and "/privatelink." in zone:
                findings.append(_instead(link, viewer))
            for name, address, cause in records.get(zone, ()):
                found[viewer, name][address] = cause
        answers = tuple(self._answers(found))
        findings += [f for answer in answers for f in _differences(answer)]
        findings += [
            _dns_server(n.name, n.dns_servers) for n in self._topology.networks.values() if n.dns_servers
        ]
        return Names(answers=answers, findings=tuple(dict.fromkeys(findings)))

    def _linked(self, network: str) -> tuple[str | None, str | None]:
        """Return whose network a key is, and who resolves names there, in words."""
        known = self._topology.networks.get(network)
        if known is not None:
            return known.party, known.party
        door = next((d for d in self._intent.doors if key_of(d.network_id) == network), None)
        return (door.owner, door.viewer) if door else (None, None)

    def _answers(self, found: Mapping[tuple[str, str], Mapping[str, str]]) -> Iterator[Answer]:
        meant: dict[tuple[str, str], Resolution] = {
            (one.viewer, self._name(one.owner, one.service)): one for one in self._intent.resolutions
        }
        elsewhere = self._written_elsewhere()
        for viewer, name in dict.fromkeys((*meant, *found)):
            one = meant.get((viewer, name))
            theirs = one is not None and one.kept_by == "organisation"
            addresses = {**(elsewhere.get(name, {}) if theirs else {}), **found.get((viewer, name), {})}
            unseen = theirs and not addresses and not self._intent.zones and not self._all.live
            yield Answer(
                viewer=viewer,
                name=name,
                intended=frozenset({str(one.address)} if one else ()),
                computed=None if unseen else frozenset(addresses),
                causes=tuple(dict.fromkeys(addresses.values())),
                kept_by=one.kept_by if one else "party",
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
        for zone, name, address, cause in self._of_groups():
            found[zone].append((name, address, cause))
        return found

    def _written_elsewhere(self) -> dict[str, dict[str, str]]:
        """Return address and cause of what endpoints write into the organisation's zones, by name.

        A policy of the organisation chooses the zone where the settings name none; that of a door is no
        party's.
        """
        found: dict[str, dict[str, str]] = defaultdict(dict)
        if self._intent.zones is None:
            return found
        named = {key_of(zone) for zone in self._intent.zones}
        doors = {key_of(door.zone_id) for door in self._intent.doors if door.zone_id}
        for zone, name, address, cause in self._of_groups():
            if zone in named or not (named or zone in doors or self._all.find(zone)):
                found[name][address] = cause
        return found

    def _of_groups(self) -> Iterator[tuple[str, str, str, str]]:
        """Yield the key of the zone, name, address and place of every record of a zone group."""
        for group in self._all.of("network:PrivateDnsZoneGroup"):
            endpoint = self._all.find(group.id.rsplit("/", 2)[0])
            for config in group.each("privateDnsZoneConfigs"):
                zone = str(config.get("privateDnsZoneId"))
                for relative, address in _endpoint_records(self._all, endpoint):
                    name = f"{relative}.{zone.rsplit('/', 1)[-1]}".lower()
                    cause = f"zone group {group.name} of {group.id.split('/')[-3]} in {zone}"
                    yield key_of(zone), name, address, cause


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
    if answer.computed is None:
        return
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
    lacking = answer.intended - answer.computed
    if lacking and answer.kept_by == "organisation":
        yield _unwritten(answer.name, lacking)
    elif lacking:
        yield Finding(
            kind=Kind.MISSING,
            proof=PROOF,
            rule="names",
            what=f"{answer.viewer} does not resolve {answer.name} to {', '.join(sorted(lacking))}",
            where="no zone linked to its network has that record",
            why="without it the public name is used, which is closed",
            fix="restore zone, link and record from the program (./fed up --refresh)",
        )


def _unwritten(name: str, addresses: frozenset[str]) -> Finding:
    return Finding(
        kind=Kind.MISSING,
        proof=PROOF,
        rule="names",
        what=f"no zone of your organisation leads {name} to {', '.join(sorted(addresses))}",
        where="no zone group of its private endpoint writes it there",
        why="without it the public name is used, which is closed",
        fix="./fed up --refresh; without fed:network.zones see that your policy has evaluated the endpoint",
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


def _instead(link: Resource, viewer: str) -> Finding:
    """Azure links a network to one zone of a name:
    https://learn.microsoft.com/azure/dns/private-dns-virtual-network-links.
    """
    return Finding(
        kind=Kind.OPEN,
        proof=PROOF,
        rule="names",
        what=f"{viewer} asks {link.id.split('/')[-3]} in {link.subscription} instead of your own zone",
        where=f"virtual network link {link.id}",
        why="with dns: existing your organisation decides where these names lead, and cannot link its zone",
        fix="remove link and zone (./fed up does, if they are the program's)",
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
