"""The catalogue: every resource type that the control plane knows, by the module that describes it."""

from emulator.arm import (
    absent,
    activity,
    authorization,
    compute,
    consumption,
    container_registry,
    data_protection,
    insights,
    key_vault,
    managed_identity,
    metrics,
    network,
    operational_insights,
    policy_insights,
    resources,
    storage,
)
from emulator.arm.catalogue import Catalogue

SOURCES = {
    "Microsoft.Authorization": "emulator/arm/authorization.py",
    "Microsoft.Compute": "emulator/arm/compute/",
    "Microsoft.Consumption": "emulator/arm/consumption.py",
    "Microsoft.ContainerRegistry": "emulator/arm/container_registry.py",
    "Microsoft.DataProtection": "emulator/arm/data_protection.py",
    "Microsoft.Insights": "emulator/arm/insights.py",
    "Microsoft.KeyVault": "emulator/arm/key_vault.py",
    "Microsoft.ManagedIdentity": "emulator/arm/managed_identity.py",
    "Microsoft.Network": "emulator/arm/network/",
    "Microsoft.OperationalInsights": "emulator/arm/operational_insights.py",
    "Microsoft.Resources": "emulator/arm/resources.py",
    "Microsoft.Storage": "emulator/arm/storage/",
}
"""Resource provider -> where its types are described."""

CATALOGUE = Catalogue(
    (
        *resources.TYPES,
        *network.TYPES,
        *managed_identity.TYPES,
        *authorization.TYPES,
        *compute.TYPES,
        *key_vault.TYPES,
        *storage.TYPES,
        *container_registry.TYPES,
        *operational_insights.TYPES,
        *insights.TYPES,
        *metrics.TYPES,
        *activity.TYPES,
        *absent.TYPES,
        *consumption.TYPES,
        *data_protection.TYPES,
    ),
    SOURCES,
    {**storage.ACTIONS, **key_vault.ACTIONS, **container_registry.ACTIONS, **policy_insights.ACTIONS},
)
"""Every type."""
