"""The catalogue: every resource type that the control plane knows, by the module that describes it."""

from emulator.arm import (
    consumption,
    container_registry,
    data_protection,
    insights,
    key_vault,
    network,
    operational_insights,
    resources,
)
from emulator.arm.catalogue import Catalogue

SOURCES = {
    "Microsoft.Consumption": "emulator/arm/consumption.py",
    "Microsoft.ContainerRegistry": "emulator/arm/container_registry.py",
    "Microsoft.DataProtection": "emulator/arm/data_protection.py",
    "Microsoft.Insights": "emulator/arm/insights.py",
    "Microsoft.KeyVault": "emulator/arm/key_vault.py",
    "Microsoft.Network": "emulator/arm/network/",
    "Microsoft.OperationalInsights": "emulator/arm/operational_insights.py",
    "Microsoft.Resources": "emulator/arm/resources.py",
}
"""Resource provider -> where its types are described."""

CATALOGUE = Catalogue(
    (
        *resources.TYPES,
        *network.TYPES,
        *key_vault.TYPES,
        *container_registry.TYPES,
        *operational_insights.TYPES,
        *insights.TYPES,
        *consumption.TYPES,
        *data_protection.TYPES,
    ),
    SOURCES,
)
"""Every type."""
