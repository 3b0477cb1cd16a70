"""Desks: where people work that ARM knows nothing of, in a network of their own or on the internet.

Whoever sits at a desk is signed in as a member of one group of Entra. Its metadata service gives that
person's tokens: programs that look for an identity (`DefaultAzureCredential`) find the person there.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from emulator.arm.tokens import TENANT_ID
from emulator.datacentre.errors import DatacentreError
from emulator.datacentre.inventory import SUBNET, VNET, Document, Inventory
from emulator.datacentre.tokens import Identity
from emulator.datacentre.topology import Port, Topology

_RESERVED_FIRST = 4
#: The client id of `az` (Microsoft Azure CLI), with which people sign in.
_AZURE_CLI = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """A desk in a subnet (its key) or at an address of the internet, for a member of an Entra group."""

    place: str
    group: str

    @property
    def key(self) -> str:
        """The id of its port."""
        return f"{self.place}/desk/{self.group}"

    @property
    def person(self) -> Identity:
        """Who sits there."""
        return Identity(
            id=self.key,
            client_id=_AZURE_CLI,
            principal_id=str(uuid.uuid5(uuid.NAMESPACE_URL, self.key)),
            tenant_id=TENANT_ID,
            groups=(self.group,),
        )


class Desks:
    """All desks; one whose subnet is gone is left out, and comes back with it."""

    def __init__(self) -> None:
        self._desks: dict[Desk, str] = {}

    def add(self, desk: Desk) -> None:
        """Put a desk into its subnet, once."""
        self._desks.setdefault(desk, "")

    def person(self, key: str) -> Identity | None:
        """Return who sits at a port, None where it is no desk's."""
        return next((desk.person for desk in self._desks if desk.key == key), None)

    def office(self, desk: Desk) -> Port:
        """Return the port of a desk on the internet, whose place is its address."""
        self.add(desk)
        return Port(
            id=desk.key, owner=desk.key, name=desk.key, network="", subnet="", addresses=(desk.place,)
        )

    def added_to(self, topology: Topology, inventory: Inventory) -> Topology:
        """Return a topology with the desks, each at the address that it had if that is still free."""
        ports = dict(topology.ports)
        for desk, address in list(self._desks.items()):
            subnet = subnets(inventory).get(desk.place)
            if subnet is None or desk.place.rsplit("/", 2)[0] not in topology.networks:
                continue
            taken = addresses(ports.values())
            if not address or address in taken:
                self._desks[desk] = free_address(subnet, taken)
            ports[desk.key] = Port(
                id=desk.key,
                owner=desk.key,
                name=desk.key,
                network=desk.place.rsplit("/", 2)[0],
                subnet=desk.place,
                addresses=(self._desks[desk],),
                groups=groups_of(subnet),
            )
        return dataclasses.replace(topology, ports=ports)


def subnets(inventory: Inventory) -> dict[str, Document]:
    """Return every subnet by its key."""
    return {
        subnet.key: subnet
        for vnet in inventory.of_type(VNET)
        for subnet in inventory.children(vnet, SUBNET, "subnets")
    }


def groups_of(subnet: Document) -> tuple[str, ...]:
    """Return the security group of a subnet, if it has one."""
    group = (subnet.properties.get("networkSecurityGroup") or {}).get("id")
    return (group.lower(),) if group else ()


def free_address(subnet: Document, taken: Iterable[str]) -> str:
    """Return the highest free address of a subnet; raise DatacentreError when it is full."""
    prefix = str(subnet.properties.get("addressPrefix") or subnet.properties["addressPrefixes"][0])
    hosts = list(ipaddress.IPv4Network(prefix))[_RESERVED_FIRST:-1]
    free = next((str(host) for host in reversed(hosts) if str(host) not in set(taken)), None)
    if free is None:
        raise DatacentreError(f"no address is free in {subnet.key} ({prefix}) for one more machine")
    return free


def addresses(ports: Iterable[Port]) -> set[str]:
    """Return the addresses that ports have."""
    return {address for port in ports for address in port.addresses}
