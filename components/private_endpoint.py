"""A private endpoint with addresses known at plan time, and its records in a zone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import final

import pulumi
from pulumi_azure_native import network

from components.context import Context
from federation.parties import Party


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where endpoints go: a subnet and its group, and whatever else is being put into the same VNet.

    Azure lets one writer at a time touch a VNet and the subnets in it, so endpoints wait for `after`
    (pulumi-azure-native#4340).
    """

    resource_group: pulumi.Input[str]
    subnet_id: pulumi.Input[str]
    after: Sequence[pulumi.Resource]


@dataclass(frozen=True, kw_only=True)
class PrivateEndpointArgs:
    """`group` is Azure's name for what is reached (`blob`, `registry`); `addresses` has one a member.

    Without `zone_id` the organisation's policy gives the endpoint its names (docs/adr/0017).
    """

    context: Context[Party]
    part: str
    placement: Placement
    target_id: pulumi.Input[str]
    group: str
    addresses: Mapping[str, IPv4Address]
    zone_id: pulumi.Input[str] | None


@dataclass(frozen=True, kw_only=True)
class PrivateEndpointResources:
    """The endpoint and the zone group that writes its records, None where a policy makes it."""

    endpoint: network.PrivateEndpoint
    zone_group: network.PrivateDnsZoneGroup | None

    @property
    def last(self) -> pulumi.Resource:
        """What is made last."""
        return self.zone_group or self.endpoint


@final
class PrivateEndpoint(pulumi.ComponentResource):
    """One private endpoint, approved by itself because the deployer owns both ends."""

    def __init__(
        self, name: str, args: PrivateEndpointArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("fed:components:PrivateEndpoint", name, None, opts)
        endpoint = self._endpoint(args)
        self.resources = PrivateEndpointResources(
            endpoint=endpoint,
            zone_group=self._zone_group(args, endpoint, args.zone_id) if args.zone_id is not None else None,
        )
        self.register_outputs({"endpointId": endpoint.id})

    def _zone_group(
        self, args: PrivateEndpointArgs, endpoint: network.PrivateEndpoint, zone_id: pulumi.Input[str]
    ) -> network.PrivateDnsZoneGroup:
        return network.PrivateDnsZoneGroup(
            args.context.names.label("zonegroup", args.part),
            private_dns_zone_group_name="default",
            private_endpoint_name=endpoint.name,
            resource_group_name=args.placement.resource_group,
            private_dns_zone_configs=[
                network.PrivateDnsZoneConfigArgs(name=args.group, private_dns_zone_id=zone_id)
            ],
            opts=args.context.options(self),
        )

    def _endpoint(self, args: PrivateEndpointArgs) -> network.PrivateEndpoint:
        context = args.context
        name = context.names.of("pep", args.part)
        return network.PrivateEndpoint(
            name,
            private_endpoint_name=name,
            resource_group_name=args.placement.resource_group,
            location=context.location,
            subnet={"id": args.placement.subnet_id},
            custom_network_interface_name=context.names.of("nic", args.part),
            private_link_service_connections=[
                network.PrivateLinkServiceConnectionArgs(
                    name=args.part, private_link_service_id=args.target_id, group_ids=[args.group]
                )
            ],
            ip_configurations=[
                network.PrivateEndpointIPConfigurationArgs(
                    name=member, group_id=args.group, member_name=member, private_ip_address=str(address)
                )
                for member, address in args.addresses.items()
            ],
            tags=context.tags,
            # The zone group, made afterwards, empties them.
            opts=context.options(self, depends_on=args.placement.after, azure_sets=["customDnsConfigs"]),
        )
