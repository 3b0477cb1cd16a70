"""The federation: settings, providers, the centre, the hospitals, what connects them, outputs."""

import asyncio
import datetime as dt
from typing import Any

import pulumi

from components.central_node import CentralNode, CentralNodeArgs
from components.context import Stack
from components.guardrails import Guardrails, GuardrailsArgs
from components.hospital_tenant import HospitalTenant, HospitalTenantArgs
from components.hub_spoke_peering import HubSpokePeering, HubSpokePeeringArgs
from components.membership import Membership, MembershipArgs
from components.outputs import stack_outputs
from components.retired_hospital import RetiredHospital, RetiredHospitalArgs
from federation.aliases import drop_type_aliases
from federation.intent import intent
from federation.outputs import document
from federation.parties import federation
from federation.providers import providers
from federation.stack_config import current_settings

parties = federation(current_settings())
drop_type_aliases()
stack = Stack(
    federation=parties,
    intent=intent(parties),
    providers=providers(parties),
    today=dt.datetime.now(tz=dt.UTC).date(),
)

hub = stack.context(parties.centre)
centre = CentralNode(
    hub.names.label("centre"),
    CentralNodeArgs(
        context=hub,
        hospitals=tuple(party.name for party in parties.hospitals),
        docker=stack.providers.docker,
    ),
)

hospitals: dict[str, HospitalTenant] = {}
peerings: dict[str, HubSpokePeering] = {}
memberships: dict[str, Membership] = {}
for party in parties.hospitals:
    spoke = stack.context(party)
    hospital = hospitals[party.name] = HospitalTenant(
        spoke.names.label("hospital"),
        HospitalTenantArgs(context=spoke, centre=centre, centre_party=parties.centre),
    )
    membership = memberships[party.name] = Membership(
        spoke.names.label("membership"),
        MembershipArgs(context=hub, centre=centre, hospital=hospital),
    )
    peering = peerings[party.name] = HubSpokePeering(
        spoke.names.label("peering"),
        HubSpokePeeringArgs(
            centre_context=hub,
            centre=centre,
            hospital_context=spoke,
            hospital=hospital,
            after=list(peerings.values())[-1:],
        ),
    )
    Guardrails(
        spoke.names.label("guardrails"),
        GuardrailsArgs(
            context=spoke, guarded=hospital.keepers_of_state, after=[hospital, membership, peering]
        ),
    )
for party in parties.retired:
    kept = stack.context(party)
    retired = RetiredHospital(kept.names.label("hospital"), RetiredHospitalArgs(context=kept))
    Guardrails(
        kept.names.label("guardrails"),
        GuardrailsArgs(context=kept, guarded=retired.keepers_of_state, after=[retired]),
    )
Guardrails(
    hub.names.label("guardrails"),
    GuardrailsArgs(
        context=hub,
        # Azure deletes nothing below a lock, and what the centre holds for a leaver has to go.
        guarded={} if parties.someone_is_leaving else centre.keepers_of_state,
        after=[centre, *memberships.values(), *peerings.values()],
    ),
)


async def outputs() -> dict[str, Any]:
    """Return the stack's outputs, once the engine has heard of every resource (docs/adr/0003)."""
    await asyncio.sleep(0)
    return document(stack_outputs(parties, centre, hospitals, peerings))


pulumi.run(outputs)
