"""The stack's outputs, of what was deployed (`federation/outputs.py`)."""

from collections.abc import Mapping

import pulumi

from components.central_node import CentralNode
from components.hospital_tenant import HospitalTenant
from components.hub_spoke_peering import HubSpokePeering
from components.private_dns import FL_HOST
from federation.naming import DATA_CONTAINER, QUESTIONS_CONTAINER
from federation.outputs import CentreOutputs, HospitalOutputs, Outputs, PeeringOutputs
from federation.parties import Federation


def stack_outputs(
    federation: Federation,
    centre: CentralNode,
    hospitals: Mapping[str, HospitalTenant],
    peerings: Mapping[str, HubSpokePeering],
) -> Outputs[pulumi.Output[str]]:
    """Return the stack's outputs."""
    settings = federation.settings
    questions = centre.resources.storage.resources.containers.get(QUESTIONS_CONTAINER)
    return Outputs(
        environment=settings.environment,
        location=settings.location,
        tenant_id=settings.tenant_id,
        centre=CentreOutputs(
            subscription=federation.centre.subscription_id,
            resource_group=centre.resources.group.id,
            vm=centre.resources.machine.id,
            vnet=centre.resources.vnet.id,
            storage_account=centre.resources.storage.id,
            storage_url=centre.resources.storage.url,
            registry=centre.resources.registry.id,
            backup=centre.resources.backup.id if centre.resources.backup else None,
            questions=questions.id if questions else None,
            fl_target=f"{FL_HOST}:{federation.centre.fl_port}",
        ),
        hospitals={
            party.name: _hospital(party.subscription_id, hospitals[party.name], peerings[party.name])
            for party in federation.hospitals
        },
    )


def _hospital(
    subscription: str, hospital: HospitalTenant, peering: HubSpokePeering
) -> HospitalOutputs[pulumi.Output[str]]:
    parts = hospital.resources
    return HospitalOutputs(
        subscription=subscription,
        compute_resource_group=parts.compute_group.id,
        data_resource_group=parts.data_group.id,
        vm=parts.machine.id,
        vnet=parts.vnet.id,
        storage_account=parts.storage.id,
        container=parts.storage.resources.containers[DATA_CONTAINER].id,
        peerings=PeeringOutputs(
            from_hospital=peering.resources.from_hospital.id,
            from_centre=peering.resources.from_centre.id,
        ),
    )
