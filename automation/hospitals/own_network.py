"""Whether a party's own network has room for its door, asked before the deployment makes the endpoint."""

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network
from typing import Any, Final

from automation.hospitals.lack import Lack, unreadable
from automation.stacks.arm import Answer, Arm
from federation.parties import CentreParty, HospitalParty, Party
from federation.settings import Endpoint

VERSION: Final = "2024-05-01"
#: Azure keeps the first four addresses of a subnet and the last one:
#: https://learn.microsoft.com/azure/virtual-network/virtual-networks-faq
FIRST_FREE: Final = 4


def ask(arm: Arm, party: Party) -> Answer | None:
    """Ask for the network of a party's door; None where it has no such door."""
    endpoint = _endpoint(party)
    return arm.get(endpoint.subnet_id.rsplit("/", 2)[0], VERSION) if endpoint else None


def lacking(party: Party, answer: Answer | None) -> Iterator[Lack]:
    """Yield what the network lacks; Azure would refuse the endpoint in the middle of the deployment."""
    endpoint = _endpoint(party)
    if endpoint is None or answer is None:
        return
    network, _, subnet = endpoint.subnet_id.rsplit("/", 2)
    if answer.is_error and answer.status != 404:
        yield unreadable(answer, "the network of the door")
    elif answer.is_error:
        yield Lack(
            what=f"the network {network}",
            why="the door's endpoint is to be in it",
            fix=f"let {party.name} make it, or correct the door's endpoint.subnetId",
        )
    else:
        yield from _unfit(party, endpoint, subnet, answer.body)


def _unfit(party: Party, endpoint: Endpoint, subnet: str, body: Mapping[str, Any]) -> Iterator[Lack]:
    """Yield what does not fit: an endpoint is in the region of its network.

    https://learn.microsoft.com/azure/private-link/private-endpoint-overview
    """
    if body["location"] != party.location:
        yield Lack(
            what=f"a network in {party.location} for the door",
            why=f"{body['name']} is in {body['location']}: an endpoint is in the region of its network",
            fix=f"make a network in {party.location} and peer it with yours, or move the hospital's location",
        )
    found = {one["name"].lower(): one["properties"] for one in body["properties"].get("subnets") or ()}
    if subnet.lower() not in found:
        yield Lack(
            what=f"the subnet {subnet} of {body['name']}",
            why=f"there are {', '.join(sorted(found)) or 'none'}: the door's endpoint is to be in it",
            fix=f"let {party.name} make it, or correct the door's endpoint.subnetId",
        )
    elif not any(_has_room(IPv4Network(text), endpoint) for text in _ranges(found[subnet.lower()])):
        yield Lack(
            what=f"the address {endpoint.address} in {subnet}",
            why=f"the subnet has {', '.join(_ranges(found[subnet.lower()]))}, less what Azure keeps",
            fix="name a free address of the subnet in the door's endpoint.address",
        )


def _endpoint(party: Party) -> Endpoint | None:
    return party.door.endpoint if isinstance(party, CentreParty | HospitalParty) and party.door else None


def _ranges(subnet: Mapping[str, Any]) -> list[str]:
    return [*(subnet.get("addressPrefixes") or ()), *filter(None, [subnet.get("addressPrefix")])]


def _has_room(space: IPv4Network, endpoint: Endpoint) -> bool:
    first, last = int(space.network_address) + FIRST_FREE, int(space.broadcast_address) - 1
    return first <= int(endpoint.address) <= last
