"""Microsoft.Network: virtual networks and what lives in them."""

from emulator.arm.network import peerings, virtual_networks, watchers

TYPES = (*virtual_networks.TYPES, *peerings.TYPES, *watchers.TYPES)
