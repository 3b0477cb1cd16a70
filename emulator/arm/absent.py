"""Types of which nothing can be made here, so that their lists are empty: `az` asks for them, too.

Anything but reading is refused as for every type outside the catalogue.
"""

from __future__ import annotations

from emulator.arm.catalogue import Level, ResourceType, listed
from emulator.arm.context import Context
from emulator.arm.ids import ResourceId
from emulator.arm.messages import Request
from emulator.arm.refusals import missing_resource
from emulator.arm.store import Row

VERSIONS = ("2024-01-01",)
KINDS = {
    "Microsoft.Authorization": "denyAssignments policyAssignments policyExemptions",
    "Microsoft.Compute": "availabilitySets galleries images proximityPlacementGroups sshPublicKeys "
    "virtualMachineScaleSets",
    "Microsoft.ContainerRegistry": "registries/cacheRules registries/replications "
    "registries/tokens registries/webhooks",
    "Microsoft.Insights": "activityLogAlerts autoscaleSettings logProfiles",
    "Microsoft.Network": "applicationGateways applicationSecurityGroups azureFirewalls bastionHosts "
    "ddosProtectionPlans loadBalancers publicIPPrefixes virtualNetworkGateways",
    "Microsoft.Storage": "storageAccounts/encryptionScopes",
}
"""Resource provider -> its types."""
ON_ANY_SCOPE = frozenset({"Microsoft.Authorization"})


def _nothing(context: Context, path: ResourceId, _: Request) -> list[Row]:
    if len(path.types) > 1 and not context.tx.exists(path.parent):
        raise missing_resource(path.parent)
    return []


def _absent(namespace: str, kind: str) -> ResourceType:
    level = Level.SCOPE if namespace in ON_ANY_SCOPE else Level.SUBSCRIPTION
    return listed(f"{namespace}/{kind}", VERSIONS, _nothing, level=level)


NAMES = frozenset(
    f"{namespace}/{kind}".lower() for namespace, kinds in KINDS.items() for kind in kinds.split()
)
TYPES = tuple(_absent(namespace, kind) for namespace, kinds in KINDS.items() for kind in kinds.split())
