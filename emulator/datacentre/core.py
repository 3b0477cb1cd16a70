"""The datacentre's heart: takes in what the control plane says and brings all that runs in step with it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import Any

from emulator.datacentre.azurite import Azurite
from emulator.datacentre.desks import Desk, Desks, subnets
from emulator.datacentre.errands import Errands
from emulator.datacentre.errors import DatacentreError
from emulator.datacentre.feed import ControlPlane
from emulator.datacentre.flows import Flow, read_flows
from emulator.datacentre.inventory import Document, Inventory, topology
from emulator.datacentre.kernel import Namespace
from emulator.datacentre.machine.fleet import Fleet
from emulator.datacentre.networks import Networks
from emulator.datacentre.probe import Probe, Target, probe, stranger
from emulator.datacentre.services import RESOLVER, Services
from emulator.datacentre.settings import Settings
from emulator.datacentre.tokens import Issuer
from emulator.datacentre.topology import Port

Json = dict[str, Any]
STRANGER = "subnet:"
"""A probe's source that starts so names a subnet in which a machine nobody ordered is placed."""

_LOOK_SECONDS = 0.005
_SLOW_SECONDS = 1.0
"""What takes longer than this is told in the log."""

log = logging.getLogger(__name__)


class Core:
    """Everything the datacentre runs. One change at a time, in the order: networks, services, machines."""

    def __init__(self, settings: Settings, errands: Errands) -> None:
        self.settings = settings
        self.inventory = Inventory()
        self.networks = Networks()
        self.revision = -1
        self._desks = Desks()
        self._control_plane = ControlPlane(settings.arm_socket)
        issuer = Issuer()
        self._azurite = Azurite(settings, errands, issuer)
        self.services = Services(
            settings,
            inventory=lambda: self.inventory,
            changed=self.wait_until,
            azurite=self._azurite,
            issuer=issuer,
            control_plane=self._control_plane,
            desks=self._desks,
        )
        self.fleet = Fleet(settings, self._control_plane, errands, self._ask_registry)
        self.resolver_file = settings.volatile / "resolv.conf"
        self.resolver_file.write_text(f"nameserver {RESOLVER}\noptions timeout:2 attempts:2\n")
        self._problems: list[str] = []
        self._turn = asyncio.Lock()

    async def follow(self) -> None:
        """Follow the control plane forever."""
        async for changes, whole in self._control_plane.changes():
            await self._take(changes, whole)

    @property
    def problems(self) -> list[str]:
        """What of ARM's state cannot run here, for a person to read."""
        return [*self._problems, *([self._azurite.problem] if self._azurite.problem else [])]

    async def ready(self, revision: int, seconds: float) -> bool:
        """Wait until a revision of ARM's state runs; say whether it did in time."""
        return await self.wait_until(lambda: self.revision >= revision and not self._azurite.pending, seconds)

    async def wait_until(self, reached: Callable[[], bool], seconds: float) -> bool:
        """Wait until something holds; say whether it did in time."""
        end = asyncio.get_running_loop().time() + seconds
        while not reached():
            if asyncio.get_running_loop().time() > end:
                return False
            await asyncio.sleep(_LOOK_SECONDS)
        return True

    async def probe(self, sources: Sequence[str], targets: Sequence[Target], seconds: float) -> list[Probe]:
        """Probe from machines (by name or id) and from strangers placed in subnets (``subnet:<id>``).

        No source means every machine; no target, every port's addresses are wanted from the caller.
        """
        async with self._turn:
            return await asyncio.to_thread(self._probe, sources, targets, seconds)

    def namespace(self, machine: str) -> Namespace:
        """Return the network namespace of a machine (by name or id), whether it is on or not."""
        office = self.networks.offices.get(machine)
        return office or self.networks.namespaces[_find(self._machines(), machine).id]

    async def desk(self, subnet: str, group: str) -> str:
        """Put a desk for a member of a group into a subnet (its id), if it is not there; return its name."""
        desk = Desk(place=self._subnet(subnet).key, group=group)
        async with self._turn:
            self._desks.add(desk)
            self._problems = await self._apply()
        return desk.key

    async def office(self, address: str, group: str) -> str:
        """Put a desk for a member of a group at an address of the internet; return its name."""
        async with self._turn:
            port = self._desks.office(Desk(place=address, group=group))
            namespace = self.networks.office(port)
            await self.services.open_office(port, namespace)
        while not namespace.running("eth0"):
            await asyncio.sleep(_LOOK_SECONDS)
        return port.id

    async def flows(self) -> list[Flow]:
        """Return the flow log."""
        async with self._turn:
            return read_flows(self.networks)

    async def forget_flows(self) -> None:
        """Empty the flow log."""
        async with self._turn:
            for router in self.networks.routers:
                router.forget_flows()

    async def close(self) -> None:
        """End and let go of everything, the blobs safely on disk."""
        await self.fleet.close()
        await self.services.close()
        await self._azurite.close()
        await self._control_plane.close()
        self.networks.close()

    async def _take(self, changes: Json, whole: bool) -> None:
        async with self._turn:
            if whole:
                self.inventory = Inventory()
            changed = self.inventory.apply(changes)
            if changed or whole:
                self._problems = await self._apply()
        self.revision = self.inventory.revision
        self.fleet.take_commands(changes["commands"])

    async def _apply(self) -> list[str]:
        """Bring everything in step; return what could not be done."""
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            self.networks.apply(self._desks.added_to(topology(self.inventory), self.inventory))
        except DatacentreError as refused:
            log.error("%s", refused)
            return [str(refused)]
        while not self.networks.settled():
            await asyncio.sleep(_LOOK_SECONDS)
        networks = clock()
        await self.services.apply(self.networks)
        services = clock()
        problems = await self.fleet.apply(self.inventory, self.networks.namespaces)
        self.networks.release()
        if clock() - began > _SLOW_SECONDS:
            log.info(
                "revision %d took %.1f s: networks %.1f, services %.1f, machines %.1f",
                self.inventory.revision,
                clock() - began,
                networks - began,
                services - networks,
                clock() - services,
            )
        return [*self.networks.problems, *problems]

    async def _ask_registry(self, machine: str, image: str) -> None:
        """Pull an image as a machine would: through its network, as its identity."""
        ports = self.networks.topology.ports.values()
        port = next((port for port in ports if port.owner == machine and not port.endpoint), None)
        if port is None:
            raise DatacentreError("dial tcp: connect: network is unreachable")
        await self.services.puller(machine, port, self.networks.namespaces[port.id]).pull(image)

    def _machines(self) -> dict[str, Port]:
        return {port.name: port for port in self.networks.topology.ports.values() if not port.endpoint}

    def _probe(self, sources: Sequence[str], targets: Sequence[Target], seconds: float) -> list[Probe]:
        machines = self._machines()
        with ExitStack() as strangers:
            ports = {
                source: strangers.enter_context(self._stranger(source))
                if source.startswith(STRANGER)
                else _find(machines, source)
                for source in sources
            }
            return probe(self.networks, ports or machines, targets, seconds)

    def _stranger(self, source: str) -> AbstractContextManager[Port]:
        return stranger(self.networks, self._subnet(source.removeprefix(STRANGER)))

    def _subnet(self, identifier: str) -> Document:
        known = subnets(self.inventory)
        if identifier.lower() not in known:
            raise DatacentreError(
                f"there is no subnet {identifier}; there are {', '.join(sorted(known)) or 'none'}"
            )
        return known[identifier.lower()]


def _find(machines: Mapping[str, Port], name: str) -> Port:
    for known, port in machines.items():
        if name.lower() in {known.lower(), port.owner}:
            return port
    raise DatacentreError(f"there is no machine {name}; there are {', '.join(sorted(machines)) or 'none'}")
