"""Makes real machines from ARM's descriptions of VMs, for those that were asked for."""

from __future__ import annotations

import hashlib
import os
from ipaddress import IPv4Interface, IPv4Network
from pathlib import Path

from emulator.datacentre.errors import DatacentreError
from emulator.datacentre.inventory import SUBNET, VNET, Document, Inventory, reference, texts
from emulator.datacentre.kernel import Namespace
from emulator.datacentre.machine.real.hardware import Card, Hardware
from emulator.datacentre.machine.real.machine import RealMachine
from emulator.datacentre.settings import Settings
from emulator.guest.orders import Orders

MEMORY_MIB = 2048
"""A hospital's containers use 0.5 GB; the worker of a job comes on top."""
MOST_PROCESSORS = 2
"""As of the VM's size on Azure; one processor of this machine is left to everything else."""
_GIB = 1 << 30


class Rack:
    """The real machines of one datacentre."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def takes(self, document: Document) -> bool:
        """Whether a VM is to be real."""
        orders = Orders.load(self._settings.real)
        return orders is not None and document.name in orders.machines

    def machine(self, document: Document, inventory: Inventory, network: Namespace, own: Path) -> RealMachine:
        """Return a VM's machine; `own` is the folder of what goes with the VM. Raises DatacentreError."""
        orders = Orders.load(self._settings.real)
        if orders is None:
            raise DatacentreError(f"{document.name} is not to be real")
        hardware = Hardware(
            name=document.name,
            image=Path(orders.image),
            own=own,
            volatile=self._settings.volatile / hashlib.sha256(document.key.encode()).hexdigest()[:8],
            data=self._data_disk(document, inventory),
            accelerator=orders.accelerator,
            memory=MEMORY_MIB,
            processors=max(1, min(MOST_PROCESSORS, (os.cpu_count() or 1) - 1)),
            card=card(document, inventory),
        )
        return RealMachine(
            hardware,
            identifier=str(document.properties.get("vmId")),
            network=network,
            authority=self._settings.authority,
            logs=self._settings.state / "logs" / document.name,
        )

    def _data_disk(self, document: Document, inventory: Inventory) -> Path | None:
        """Return the raw disk behind the first data disk, made empty with the size that ARM says."""
        for attached in document.properties["storageProfile"].get("dataDisks") or []:
            disk = inventory.get((attached.get("managedDisk") or {}).get("id"))
            if disk is not None:
                file = self._settings.raw_disks / str(disk.properties["uniqueId"]) / "data.img"
                file.parent.mkdir(parents=True, exist_ok=True)
                _grow(file, int(disk.properties["diskSizeGB"]) * _GIB)
                return file
        return None


def card(document: Document, inventory: Inventory) -> Card:
    """Return the network card of a VM, from its first interface; raise DatacentreError without a network."""
    interfaces = (
        inventory.get(nic["id"]) for nic in document.properties["networkProfile"]["networkInterfaces"]
    )
    nic = next(filter(None, interfaces), None)
    configuration = nic.properties["ipConfigurations"][0]["properties"] if nic else {}
    subnet = _subnet(inventory, reference(configuration.get("subnet")))
    if nic is None or subnet is None:
        raise DatacentreError(f"{document.name} has no interface in a network")
    (prefix, *_) = texts(subnet.properties.get("addressPrefix"), subnet.properties.get("addressPrefixes"))
    length = IPv4Network(prefix).prefixlen
    mark = hashlib.sha256(nic.key.encode()).hexdigest()
    return Card(
        address=IPv4Interface(f"{configuration['privateIPAddress']}/{length}"),
        mac=f"00:0d:3a:{mark[:2]}:{mark[2:4]}:{mark[4:6]}",  # Azure's: the first half is Microsoft's
    )


def _subnet(inventory: Inventory, key: str | None) -> Document | None:
    subnets = (
        subnet for vnet in inventory.of_type(VNET) for subnet in inventory.children(vnet, SUBNET, "subnets")
    )
    return next((subnet for subnet in subnets if subnet.key == key), None)


def _grow(file: Path, size: int) -> None:
    """Give a disk its size, the new part reads zeros; none ever becomes smaller, as on Azure."""
    with file.open("ab") as disk:
        if disk.tell() < size:
            disk.truncate(size)
