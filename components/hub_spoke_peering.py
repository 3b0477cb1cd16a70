"""Both halves of one hospital's peering with the centre, each made in its own subscription.

Nothing is forwarded and nothing transits: hospitals are never peered with each other and cannot reach each
other through the hub. The halves belong together, because Azure refuses to renew one while the other is left
over.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import pulumi
from pulumi_azure_native import network

from components.central_node import CentralNode
from components.context import Context
from components.hospital_tenant import HospitalTenant
from components.isolated_network import IsolatedNetwork
from federation.parties import CentreParty, HospitalParty, Party


@dataclass(frozen=True, kw_only=True)
class HubSpokePeeringArgs:
    """The two ends, and the peering before this one: Azure lets one writer at a time touch the hub's VNet."""

    centre_context: Context[CentreParty]
    centre: CentralNode
    hospital_context: Context[HospitalParty]
    hospital: HospitalTenant
    after: Sequence[pulumi.Resource]


@dataclass(frozen=True, kw_only=True)
class HubSpokePeeringResources:
    """The half in the hospital's subscription and the half in the centre's."""

    from_hospital: network.VirtualNetworkPeering
    from_centre: network.VirtualNetworkPeering


@final
class HubSpokePeering(pulumi.ComponentResource):
    """One spoke on the hub."""

    def __init__(
        self, name: str, args: HubSpokePeeringArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("fed:components:HubSpokePeering", name, None, opts)
        hub, spoke = args.centre.resources, args.hospital.resources
        from_hospital = self._half(
            args.hospital_context,
            local=spoke.vnet,
            local_group=spoke.compute_group.name,
            remote=hub.vnet,
            remote_name=args.centre.name,
            # Writing either VNet while it is being written is refused (pulumi-azure-native#4340).
            after=[*args.centre.network_users, *args.hospital.network_users, *args.after],
        )
        from_centre = self._half(
            args.centre_context,
            local=hub.vnet,
            local_group=hub.group.name,
            remote=spoke.vnet,
            remote_name=args.hospital.name,
            after=[from_hospital],
        )
        self.resources = HubSpokePeeringResources(from_hospital=from_hospital, from_centre=from_centre)
        self.register_outputs({"fromHospital": from_hospital.id, "fromCentre": from_centre.id})

    def _half(
        self,
        context: Context[Party],
        *,
        local: IsolatedNetwork,
        local_group: pulumi.Input[str],
        remote: IsolatedNetwork,
        remote_name: str,
        after: Sequence[pulumi.Resource],
    ) -> network.VirtualNetworkPeering:
        name = context.names.of("peer", remote_name)
        return network.VirtualNetworkPeering(
            name,
            virtual_network_peering_name=name,
            virtual_network_name=local.resources.vnet.name,
            resource_group_name=local_group,
            remote_virtual_network=network.SubResourceArgs(id=remote.id),
            allow_virtual_network_access=True,
            allow_forwarded_traffic=False,
            allow_gateway_transit=False,
            use_remote_gateways=False,
            # The first half becomes Connected when the second is made; `fed verify` looks at both.
            opts=context.options(
                self,
                depends_on=after,
                azure_sets=["peeringState", "peeringSyncLevel"],
                delete_before_replace=True,  # its name stays; `fed up --reconnect` replaces it
            ),
        )
