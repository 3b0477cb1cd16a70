"""A VNet that nobody enters: subnets with rules from the statement of intent, a way out where it is set.

Subnets are written inline in the VNet and rules inline in their group, because Azure Native's separate Subnet
and SecurityRule resources fight the inline ones (pulumi-azure-native#611, #3049). It makes no peering and no
address for a VM: those are in `hub_spoke_peering.py` and `virtual_machine.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import final

import pulumi
from pulumi_azure_native import network

from components.context import Context
from components.diagnostics import diagnose
from federation.parties import Party
from federation.security_rules import SecurityRule, security_rules

#: Whatever is put into a subnet gives it a new etag, and the gateway of Power BI leaves a link on its own.
_SET_BY_AZURE = (
    "subnets[*].etag",
    "subnets[*].delegations[*].etag",
    "subnets[*].serviceAssociationLinks",
)
NSG_LOGS = ("NetworkSecurityGroupEvent", "NetworkSecurityGroupRuleCounter")


@dataclass(frozen=True, kw_only=True)
class Subnet:
    """A subnet of the address plan; `egress` says whether it uses the party's way out, where there is one.

    Into a subnet `delegated_to` a service of Azure's, that service alone puts its own machines.
    """

    name: str
    prefix: IPv4Network
    egress: bool
    delegated_to: str | None = None


@dataclass(frozen=True, kw_only=True)
class IsolatedNetworkArgs:
    """A party's network: its range and subnets, in `resource_group`."""

    context: Context[Party]
    resource_group: pulumi.Input[str]
    workspace_id: pulumi.Input[str]
    space: IPv4Network
    subnets: Sequence[Subnet]


@dataclass(frozen=True, kw_only=True)
class IsolatedNetworkResources:
    """The network's children: `nat_gateway` and `nat_address` where egress is `nat`, `routes` where it is
    `firewall`.
    """

    vnet: network.VirtualNetwork
    security_groups: Mapping[str, network.NetworkSecurityGroup]
    nat_gateway: network.NatGateway | None
    nat_address: network.PublicIPAddress | None
    routes: network.RouteTable | None


@final
class IsolatedNetwork(pulumi.ComponentResource):
    """VNet, subnets, security groups, and the way out that the party's egress names."""

    def __init__(
        self, name: str, args: IsolatedNetworkArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("fed:components:IsolatedNetwork", name, None, opts)
        self._args = args
        party = args.context.party
        nat_address, nat_gateway = self._nat() if party.egress == "nat" else (None, None)
        routes = self._routes(party.firewall) if party.firewall else None
        groups = {subnet.name: self._security_group(subnet) for subnet in args.subnets}
        self.resources = IsolatedNetworkResources(
            vnet=self._network(groups, nat_gateway, routes),
            security_groups=groups,
            nat_gateway=nat_gateway,
            nat_address=nat_address,
            routes=routes,
        )
        self.id: pulumi.Output[str] = self.resources.vnet.id
        self.register_outputs({"networkId": self.id})

    def subnet_id(self, name: str) -> pulumi.Output[str]:
        """Return the id of one subnet."""
        segment = self._args.context.names.of("snet", name)
        return self.id.apply(lambda network_id: f"{network_id}/subnets/{segment}")

    def _nat(self) -> tuple[network.PublicIPAddress, network.NatGateway]:
        args, context = self._args, self._args.context
        address = network.PublicIPAddress(
            context.names.of("pip", "nat"),
            public_ip_address_name=context.names.of("pip", "nat"),
            resource_group_name=args.resource_group,
            location=context.location,
            public_ip_allocation_method=network.IPAllocationMethod.STATIC,
            public_ip_address_version=network.IPVersion.I_PV4,
            sku=network.PublicIPAddressSkuArgs(name=network.PublicIPAddressSkuName.STANDARD),
            zones=context.zones,
            tags=context.tags,
            opts=context.options(self, azure_sets=["natGateway"]),
        )
        gateway = network.NatGateway(
            context.names.of("ng"),
            nat_gateway_name=context.names.of("ng"),
            resource_group_name=args.resource_group,
            location=context.location,
            public_ip_addresses=[network.SubResourceArgs(id=address.id)],
            sku=network.NatGatewaySkuArgs(name=network.NatGatewaySkuName.STANDARD),
            zones=context.zones,
            tags=context.tags,
            opts=context.options(self),
        )
        return address, gateway

    def _routes(self, firewall: IPv4Address) -> network.RouteTable:
        """All that has no network of its own goes to the organisation's firewall (docs/adr/0015).

        Routes of a gateway are not taken over: they would lead past it.
        """
        args, context = self._args, self._args.context
        name = context.names.of("rt")
        return network.RouteTable(
            name,
            route_table_name=name,
            resource_group_name=args.resource_group,
            location=context.location,
            disable_bgp_route_propagation=True,
            routes=[
                network.RouteArgs(
                    name="firewall",
                    address_prefix="0.0.0.0/0",
                    next_hop_type=network.RouteNextHopType.VIRTUAL_APPLIANCE,
                    next_hop_ip_address=str(firewall),
                )
            ],
            tags=context.tags,
            opts=context.options(self),
        )

    def _security_group(self, subnet: Subnet) -> network.NetworkSecurityGroup:
        args, context = self._args, self._args.context
        name = context.names.of("nsg", subnet.name)
        group = network.NetworkSecurityGroup(
            name,
            network_security_group_name=name,
            resource_group_name=args.resource_group,
            location=context.location,
            security_rules=[
                _rule(rule) for rule in security_rules(context.intent, context.party.name, subnet.name)
            ],
            tags=context.tags,
            opts=context.options(self),
        )
        diagnose(
            self,
            context,
            f"nsg-{subnet.name}",
            resource_id=group.id,
            workspace_id=args.workspace_id,
            logs=NSG_LOGS,
        )
        return group

    def _network(
        self,
        groups: Mapping[str, network.NetworkSecurityGroup],
        nat_gateway: network.NatGateway | None,
        routes: network.RouteTable | None,
    ) -> network.VirtualNetwork:
        args, context = self._args, self._args.context
        return network.VirtualNetwork(
            context.names.of("vnet"),
            virtual_network_name=context.names.of("vnet"),
            resource_group_name=args.resource_group,
            location=context.location,
            address_space=network.AddressSpaceArgs(address_prefixes=[str(args.space)]),
            subnets=[
                network.SubnetArgs(
                    name=context.names.of("snet", subnet.name),
                    address_prefix=str(subnet.prefix),
                    network_security_group=network.NetworkSecurityGroupArgs(id=groups[subnet.name].id),
                    nat_gateway=(
                        network.SubResourceArgs(id=nat_gateway.id) if nat_gateway and subnet.egress else None
                    ),
                    route_table=(network.RouteTableArgs(id=routes.id) if routes and subnet.egress else None),
                    delegations=(
                        [network.DelegationArgs(name="service", service_name=subnet.delegated_to)]
                        if subnet.delegated_to
                        else None
                    ),
                    default_outbound_access=False,
                    private_endpoint_network_policies=(
                        network.VirtualNetworkPrivateEndpointNetworkPolicies.ENABLED
                    ),
                )
                for subnet in args.subnets
            ],
            tags=context.tags,
            opts=context.options(self, azure_sets=_SET_BY_AZURE),
        )


def _rule(rule: SecurityRule) -> network.SecurityRuleArgs:
    """Azure wants one prefix or port in the singular field and several in the plural one, never both."""
    return network.SecurityRuleArgs(
        name=rule.name,
        description=rule.description,
        direction=rule.direction,
        access=rule.access,
        priority=rule.priority,
        protocol=rule.protocol,
        source_port_range="*",
        source_address_prefix=_one(rule.sources),
        source_address_prefixes=_many(rule.sources),
        destination_address_prefix=_one(rule.destinations),
        destination_address_prefixes=_many(rule.destinations),
        destination_port_range=_one(rule.ports),
        destination_port_ranges=_many(rule.ports),
    )


def _one(values: Sequence[str]) -> str | None:
    return values[0] if len(values) == 1 else None


def _many(values: Sequence[str]) -> list[str] | None:
    return list(values) if len(values) > 1 else None
