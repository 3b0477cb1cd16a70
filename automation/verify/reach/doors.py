"""Doors: endpoints in networks of hospitals' own, compared with those that the statement of intent lists.

A door's network is the hospital's: who enters it, and what its rules are, is not judged here. What is judged:
that a door leads to the hospital's own data account, that no other endpoint is in a foreign network, that the
door's name is written where it is meant to be, and that the network is not joined with one of this stack.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from automation.verify.facts.finding import Finding, Kind
from automation.verify.facts.resources import Deployment, Resource, key_of
from automation.verify.reach.network import Interface, Topology
from federation.stated import Door, Intent

PROOF = "graph"


@dataclass(frozen=True, kw_only=True)
class Doors:
    """The doors that lead where they are meant to, and the differences."""

    open: tuple[Door, ...]
    findings: tuple[Finding, ...]


def compute(deployment: Deployment, topology: Topology, intent: Intent, parties: Mapping[str, str]) -> Doors:
    """Look at every endpoint outside the stack's networks. ``parties`` maps subscription ids to names."""
    accounts = _data_accounts(deployment, parties)
    judged = {door: _judge(deployment, topology, intent, door, accounts) for door in intent.doors}
    return Doors(
        open=tuple(door for door, finding in judged.items() if finding is None),
        findings=(
            *(_unmeant(i) for i in topology.outside if _door_of(i, intent) is None),
            *(finding for finding in judged.values() if finding is not None),
            *_joined(topology, intent),
        ),
    )


def _judge(
    deployment: Deployment, topology: Topology, intent: Intent, door: Door, accounts: Mapping[str, str]
) -> Finding | None:
    endpoint = next((i for i in topology.outside if _door_of(i, intent) is door), None)
    if endpoint is None:
        return _missing(door, "no endpoint is there")
    if key_of(str(endpoint.target)) != accounts.get(door.owner):
        return _misled(door, endpoint)
    if not endpoint.approved:
        return _missing(door, f"{endpoint.name}: its connection is not approved")
    if door.zone_id is not None and key_of(door.zone_id) not in _zones_of(deployment, endpoint):
        return _missing(door, f"no zone group of {endpoint.name} names {door.zone_id}")
    return None


def _door_of(interface: Interface, intent: Intent) -> Door | None:
    """Return the door that an endpoint is, where the statement of intent has it."""
    return next(
        (
            door
            for door in intent.doors
            if (key_of(door.subnet_id), door.address, door.owner)
            == (interface.subnet, interface.address, interface.party)
        ),
        None,
    )


def _data_accounts(deployment: Deployment, parties: Mapping[str, str]) -> dict[str, str]:
    """Return the key of the account with each party's containers."""
    containers: Iterator[Resource] = deployment.of("storage:BlobContainer")
    return {
        parties.get(container.subscription, ""): container.key.split("/blobservices/")[0]
        for container in containers
    }


def _zones_of(deployment: Deployment, endpoint: Interface) -> set[str]:
    return {
        key_of(str(config.get("privateDnsZoneId")))
        for group in deployment.of("network:PrivateDnsZoneGroup")
        if group.key.startswith(f"{key_of(endpoint.id)}/")
        for config in group.each("privateDnsZoneConfigs")
    }


def _joined(topology: Topology, intent: Intent) -> Iterator[Finding]:
    for door in intent.doors:
        for peering in topology.peerings:
            ends = {peering.local, peering.remote}
            if key_of(door.network_id) in ends and not ends.isdisjoint(topology.networks):
                yield Finding(
                    kind=Kind.OPEN,
                    proof=PROOF,
                    rule="doors",
                    what=f"the network of {door.owner}'s door is peered with a network of this stack",
                    where=str(peering),
                    why="a door is one endpoint: through a peering whoever is in that network is at the "
                    "federation's own walls",
                    fix="delete the peering",
                )


def _unmeant(interface: Interface) -> Finding:
    return Finding(
        kind=Kind.OPEN,
        proof=PROOF,
        rule="doors",
        what=f"{interface.name} opens {interface.target} at {interface.address} to a network that is not of "
        "this stack",
        where=f"{interface.name}: subnet {interface.subnet}",
        why="whoever is in that network can open Tcp 443 there; no door of the settings is that one",
        fix="delete the endpoint, or write it into the settings as the hospital's door",
    )


def _misled(door: Door, endpoint: Interface) -> Finding:
    return Finding(
        kind=Kind.OPEN,
        proof=PROOF,
        rule="doors",
        what=f"{door.owner}'s door leads to {endpoint.target}",
        where=f"{endpoint.name}: privateLinkServiceConnections",
        why="what its people upload there is not stored in their own account",
        fix="delete the endpoint and make it again from the program (./fed up --refresh)",
    )


def _missing(door: Door, where: str) -> Finding:
    return Finding(
        kind=Kind.MISSING,
        proof=PROOF,
        rule="doors",
        what=f"{door.owner}'s people cannot reach its account at {door.address}",
        where=f"{door.subnet_id}: {where}",
        why="the hospital cannot upload its data",
        fix="restore the door from the program (./fed up --refresh)",
    )
