"""What the stack says about itself: ids and addresses, nothing secret. `./fed` reads it."""

from collections.abc import Mapping
from typing import Any

from components.central_node import CentralNode
from components.hospital_tenant import DATA_CONTAINER, HospitalTenant
from components.hub_spoke_peering import HubSpokePeering
from components.private_dns import FL_HOST
from federation.parties import Federation


def stack_outputs(
    federation: Federation,
    centre: CentralNode,
    hospitals: Mapping[str, HospitalTenant],
    peerings: Mapping[str, HubSpokePeering],
) -> dict[str, Any]:
    """The stack's outputs; every id is a full Resource Manager id, `flTarget` is `<host>:<port>`."""
    settings = federation.settings
    return {
        "environment": settings.environment,
        "location": settings.location,
        "tenantId": settings.tenant_id,
        "centre": {
            "subscription": federation.centre.subscription_id,
            "resourceGroup": centre.resources.group.id,
            "vm": centre.resources.machine.id,
            "vnet": centre.resources.vnet.id,
            "storageAccount": centre.resources.storage.id,
            "storageUrl": centre.resources.storage.url,
            "registry": centre.resources.registry.id,
            "flTarget": f"{FL_HOST}:{federation.centre.fl_port}",
        },
        "hospitals": {
            party.name: {
                "subscription": party.subscription_id,
                **_hospital(hospitals[party.name], peerings[party.name]),
            }
            for party in federation.hospitals
        },
    }


def _hospital(hospital: HospitalTenant, peering: HubSpokePeering) -> dict[str, Any]:
    parts = hospital.resources
    return {
        "computeResourceGroup": parts.compute_group.id,
        "dataResourceGroup": parts.data_group.id,
        "vm": parts.machine.id,
        "vnet": parts.vnet.id,
        "storageAccount": parts.storage.id,
        "container": parts.storage.resources.containers[DATA_CONTAINER].id,
        "peerings": {
            "fromHospital": peering.resources.from_hospital.id,
            "fromCentre": peering.resources.from_centre.id,
        },
    }
