"""The fabric's heart: takes in what the control plane says and brings all that runs in step with it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from emulator.fabric.errors import FabricError
from emulator.fabric.feed import ControlPlane
from emulator.fabric.flows import Flow, read_flows
from emulator.fabric.inventory import SUBNET, VNET, Inventory, topology
from emulator.fabric.networks import Networks
from emulator.fabric.probe import Probe, Target, probe, stranger
from emulator.fabric.settings import Settings
from emulator.fabric.topology import Port

Json = dict[str, Any]
STRANGER = "subnet:"
"""A probe's source that starts so names a subnet in which a machine nobody ordered is placed."""

_SETTLE_SECONDS = 0.005

log = logging.getLogger(__name__)


class Core:
    """Everything the fabric runs. One change at a time, in the order: networks, services, machines."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.inventory = Inventory()
        self.networks = Networks()
        self.revision = -1
        self.problems: list[str] = []
        self._turn = asyncio.Lock()
        self._news = asyncio.Condition()

    async def follow(self, control_plane: ControlPlane) -> None:
        """Follow the control plane for ever."""
        async for changes, whole in control_plane.changes():
            await self._take(changes, whole)

    async def wait_for(self, revision: int, reached: Callable[[], bool], seconds: float) -> bool:
        """Wait until a revision is applied and `reached` holds; say whether they did in time."""
        try:
            async with asyncio.timeout(seconds), self._news:
                await self._news.wait_for(lambda: self.revision >= revision and reached())
        except TimeoutError:
            return False
        return True

    async def probe(self, sources: Sequence[str], targets: Sequence[Target], seconds: float) -> list[Probe]:
        """Probe from machines (by name or id) and from strangers placed in subnets (``subnet:<id>``).

        No source means every machine; no target, every port's addresses are wanted from the caller.
        """
        async with self._turn:
            return await asyncio.to_thread(self._probe, sources, targets, seconds)

    async def flows(self) -> list[Flow]:
        """Return the flow log."""
        async with self._turn:
            return read_flows(self.networks)

    async def forget_flows(self) -> None:
        """Empty the flow log."""
        async with self._turn:
            for router in self.networks.routers:
                router.forget_flows()

    def close(self) -> None:
        """Let go of everything."""
        self.networks.close()

    async def _take(self, changes: Json, whole: bool) -> None:
        async with self._turn:
            if whole:
                self.inventory = Inventory()
            changed = self.inventory.apply(changes)
            if changed or whole:
                self.problems = await self._apply()
        async with self._news:
            self.revision = self.inventory.revision
            self._news.notify_all()

    async def _apply(self) -> list[str]:
        """Bring everything in step; return what could not be done."""
        try:
            self.networks.apply(topology(self.inventory))
        except FabricError as refused:
            log.error("%s", refused)
            return [str(refused)]
        while not self.networks.settled():
            await asyncio.sleep(_SETTLE_SECONDS)
        return list(self.networks.problems)

    def _probe(self, sources: Sequence[str], targets: Sequence[Target], seconds: float) -> list[Probe]:
        machines = {port.name: port for port in self.networks.topology.ports.values() if not port.endpoint}
        chosen = [source for source in sources if not source.startswith(STRANGER)]
        found: list[Probe] = []
        if chosen or not sources:
            ports = {name: _find(machines, name) for name in chosen} or machines
            found += probe(self.networks, ports, targets, seconds)
        for source in sources:
            if source.startswith(STRANGER):
                found += self._probe_as_stranger(source, targets, seconds)
        return found

    def _probe_as_stranger(self, source: str, targets: Sequence[Target], seconds: float) -> list[Probe]:
        wanted = source.removeprefix(STRANGER).lower()
        subnets = {
            subnet.key: subnet
            for vnet in self.inventory.of_type(VNET)
            for subnet in self.inventory.children(vnet, SUBNET, "subnets")
        }
        if wanted not in subnets:
            raise FabricError(
                f"there is no subnet {wanted}; there are {', '.join(sorted(subnets)) or 'none'}"
            )
        properties = subnets[wanted].properties
        prefix = properties.get("addressPrefix") or properties["addressPrefixes"][0]
        group = (properties.get("networkSecurityGroup") or {}).get("id")
        with stranger(self.networks, wanted, prefix, [group.lower()] if group else []) as port:
            return probe(self.networks, {source: port}, targets, seconds)


def _find(machines: Mapping[str, Port], name: str) -> Port:
    for known, port in machines.items():
        if name.lower() in {known.lower(), port.owner}:
            return port
    raise FabricError(f"there is no machine {name}; there are {', '.join(sorted(machines)) or 'none'}")
