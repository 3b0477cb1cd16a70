"""Changes the images of a machine's containers as its container server orders, and goes back where they fail.

What `change-images` (components/boot/templates) does on a real VM, step by step.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, final

from emulator.datacentre.errors import DatacentreError
from emulator.datacentre.machine import compose
from emulator.datacentre.machine.compose import Service
from emulator.datacentre.machine.image_orders import ImageOrders

if TYPE_CHECKING:
    from emulator.datacentre.machine.machine import Machine

log = logging.getLogger(__name__)

WELL_SECONDS: Final = 180.0
"""Within which a new container server is to be healthy."""
_CONTAINER_SERVER: Final = "container-server"
_LOOK_SECONDS: Final = 0.5


@final
class ImageChange:
    """Follows the orders of one machine, whose compose file is `text`."""

    def __init__(self, machine: Machine, orders: ImageOrders, text: str) -> None:
        self._machine = machine
        self._orders = orders
        self._text = text

    async def follow(self) -> None:
        """Follow each order; one that fails in itself is tried again, as the unit is started again."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            try:
                if (order := self._orders.order) is not None:
                    await self.change(order)
            except (DatacentreError, OSError) as failed:
                log.error("%s: other images are tried again: %s", self._machine.name, failed)

    async def change(self, order: Mapping[str, str]) -> None:
        """Run the images of an order, or those before it and say why."""
        before = compose.read(self._text, self._orders.in_force(self._text, ""))
        changed = self._others(compose.read(self._text, order))
        try:
            for service in changed:
                await self._machine.pull(service.image)
        except DatacentreError as refused:
            self._orders.give_up(f"an image cannot be pulled: {refused}")
            return
        await self._machine.make_again(changed)
        if await self._is_well():
            self._orders.take()
            return
        await self._machine.make_again(self._others(before))
        self._orders.give_up(f"the new container server was not well within {WELL_SECONDS:.0f} seconds")

    def _others(self, services: Sequence[Service]) -> list[Service]:
        """Those of which the container now is of another image, or is told of another one."""
        now = {name: container.service for name, container in self._machine.containers.items()}
        return [
            one
            for one in services
            if one.name not in now
            or (one.image, one.environment) != (now[one.name].image, now[one.name].environment)
        ]

    async def _is_well(self) -> bool:
        end = asyncio.get_running_loop().time() + WELL_SECONDS
        while self._machine.containers[_CONTAINER_SERVER].health != "healthy":
            if asyncio.get_running_loop().time() > end:
                return False
            await asyncio.sleep(_LOOK_SECONDS)
        return True
