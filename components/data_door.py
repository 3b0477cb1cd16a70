"""A party's door: its account answers in a subnet of a network that the party has already.

One more endpoint of the account, and the account's name in that network. No peering, no rule, nothing in a
network of the federation: who enters the subnet is the party's own business. It all is in a group of its
own, so that closing the door meets no lock on the data.
"""

from dataclasses import dataclass
from typing import Final, final

import pulumi
from pulumi_azure_native import privatedns, resources

from components.context import Context
from components.foundation import resource_group
from components.private_endpoint import Placement, PrivateEndpoint, PrivateEndpointArgs
from components.private_storage import PrivateStorage
from federation.azure_facts import BLOB_ZONE
from federation.parties import Party
from federation.stated import Door

_PART: Final = "door"


@dataclass(frozen=True, kw_only=True)
class DataDoorArgs:
    """`door` is what the statement of intent says; `storage` has the account that it leads to."""

    context: Context[Party]
    door: Door
    storage: PrivateStorage


@dataclass(frozen=True, kw_only=True)
class DataDoorResources:
    """The parts of a door; `zone` and `link` are None where the party has a zone already."""

    group: resources.ResourceGroup
    zone: privatedns.PrivateZone | None
    link: privatedns.VirtualNetworkLink | None
    endpoint: PrivateEndpoint


@final
class DataDoor(pulumi.ComponentResource):
    """The endpoint, and the zone that names it where the party has none."""

    def __init__(self, name: str, args: DataDoorArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("fed:components:DataDoor", name, None, opts)
        self._args = args
        context, door = args.context, args.door
        group = resource_group(self, context, _PART, protect=False)
        zone = self._zone(group) if door.zone_id is None else None
        self.resources = DataDoorResources(
            group=group,
            zone=zone,
            link=self._link(group, zone) if zone else None,
            endpoint=PrivateEndpoint(
                context.names.label("endpoint", _PART),
                PrivateEndpointArgs(
                    context=context,
                    part=_PART,
                    placement=Placement(
                        resource_group=group.name,
                        subnet_id=door.subnet_id,
                        # An account takes one endpoint at a time (StorageAccountOperationInProgress):
                        # https://github.com/Azure/bicep-registry-modules/issues/6001
                        after=args.storage.network_users,
                    ),
                    target_id=args.storage.id,
                    group="blob",
                    addresses={"blob": door.address},
                    zone_id=zone.id if zone else str(door.zone_id),
                ),
                pulumi.ResourceOptions(parent=self),
            ),
        )
        self.register_outputs({"endpointId": self.resources.endpoint.resources.endpoint.id})

    def _zone(self, group: resources.ResourceGroup) -> privatedns.PrivateZone:
        context = self._args.context
        return privatedns.PrivateZone(
            context.names.label("zone", _PART),
            private_zone_name=BLOB_ZONE,
            resource_group_name=group.name,
            location="global",
            tags=context.tags,
            opts=context.options(self),
        )

    def _link(
        self, group: resources.ResourceGroup, zone: privatedns.PrivateZone
    ) -> privatedns.VirtualNetworkLink:
        """Return the link, with which the party's other accounts still resolve publicly: the zone has this
        one alone.
        """
        context = self._args.context
        return privatedns.VirtualNetworkLink(
            context.names.of("link", _PART),
            virtual_network_link_name=context.names.of("link", _PART),
            private_zone_name=zone.name,
            resource_group_name=group.name,
            location="global",
            virtual_network=privatedns.SubResourceArgs(id=self._args.door.network_id),
            registration_enabled=False,
            resolution_policy=privatedns.ResolutionPolicy.NX_DOMAIN_REDIRECT,
            tags=context.tags,
            opts=context.options(self),
        )


def door_of(
    context: Context[Party], storage: PrivateStorage, opts: pulumi.ResourceOptions
) -> DataDoor | None:
    """Return the door of a party, None where the settings have none."""
    door = context.intent.door_of(context.party.name)
    if door is None:
        return None
    args = DataDoorArgs(context=context, door=door, storage=storage)
    return DataDoor(context.names.label("door"), args, opts)
