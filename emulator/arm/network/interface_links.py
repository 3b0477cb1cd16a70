"""Whom a network interface belongs to, and where it is."""

from __future__ import annotations

from emulator.arm.store import Row, Transaction

OF_MACHINE = "properties.networkProfile.networkInterfaces[].id"
OF_ENDPOINT = "interface"
"""The link from a private endpoint to the interface that it made."""


def endpoint_of(tx: Transaction, interface: str) -> Row | None:
    """Return the private endpoint that an interface belongs to."""
    return next((tx.get(source) for source, _, _ in tx.links_to(interface, OF_ENDPOINT)), None)


def subnets_of(interface: Row) -> list[str]:
    """Return the ids of the subnets that an interface has addresses in."""
    return [one["properties"]["subnet"]["id"] for one in interface.properties["ipConfigurations"]]


def machine_of(tx: Transaction, interface: str) -> Row | None:
    """Return the virtual machine that an interface is attached to."""
    return next((tx.get(source) for source, _, _ in tx.links_to(interface, OF_MACHINE)), None)
