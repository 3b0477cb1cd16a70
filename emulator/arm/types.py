"""The catalogue: every resource type that the control plane knows, by the module that describes it."""

from emulator.arm import network, resources
from emulator.arm.catalogue import Catalogue

SOURCES = {
    "Microsoft.Network": "emulator/arm/network/",
    "Microsoft.Resources": "emulator/arm/resources.py",
}
"""Resource provider -> where its types are described."""

CATALOGUE = Catalogue((*resources.TYPES, *network.TYPES), SOURCES)
"""Every type."""
