"""What the centre and every hospital are built on: what holds data, and the network around the machine.

Nothing here is a component: what it makes are children of the party's own component, as if written there, so
resources keep their names and URNs whatever is shared here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

import pulumi
from pulumi_azure_native import network, resources

from components.context import Context, UniqueNames
from components.encryption import Encryption, encryption_of
from components.flow_logs import FlowLogs, RecordedNetwork, flow_logs_of
from components.isolated_network import IsolatedNetwork, IsolatedNetworkArgs, Subnet
from components.monitoring import Monitoring, MonitoringArgs
from components.network_interface import private_interface
from components.private_dns import PrivateDns, PrivateDnsArgs
from components.private_endpoint import Placement
from components.private_storage import Entrance, PrivateStorage, PrivateStorageArgs
from components.virtual_machine import Boot, VirtualMachine, VirtualMachineArgs
from federation.parties import Party
from federation.stated import Service, Window


def resource_group(
    parent: pulumi.Resource, context: Context[Party], part: str = "", *, protect: bool
) -> resources.ResourceGroup:
    """Return a resource group of a party."""
    name = context.names.of("rg", part)
    return resources.ResourceGroup(
        name,
        resource_group_name=name,
        location=context.location,
        tags=context.tags,
        opts=pulumi.ResourceOptions(parent=parent, provider=context.azure, protect=protect),
    )


@dataclass(frozen=True, kw_only=True)
class Foundation:
    """What stays for as long as a party has data; `encryption` is None where Azure's keys are good enough.

    The machine and its network go into `compute_group`, what holds data into `data_group`. The centre has one
    group for both.
    """

    parent: pulumi.Resource
    context: Context[Party]
    compute_group: resources.ResourceGroup
    data_group: resources.ResourceGroup
    unique_names: UniqueNames
    monitoring: Monitoring
    encryption: Encryption | None

    @property
    def inside(self) -> pulumi.ResourceOptions:
        """The options of a part of the party's component."""
        return pulumi.ResourceOptions(parent=self.parent)

    def flow_logs(self, recorded: IsolatedNetwork | None) -> FlowLogs | None:
        """Return the record of the flows of a network; with None what was recorded before is kept."""
        return flow_logs_of(
            self.context,
            account_group=self.data_group.name,
            unique_names=self.unique_names,
            recorded=recorded
            and RecordedNetwork(network_id=recorded.id, resource_group=self.compute_group.name),
            monitoring=self.monitoring,
            key=self.encryption.key if self.encryption else None,
            opts=self.inside,
        )

    def storage(
        self, containers: Sequence[str], entrance: Entrance | None, window: Window | None = None
    ) -> PrivateStorage:
        """Return the party's account with its containers; without `entrance` and `window` nothing leads to
        it.
        """
        return PrivateStorage(
            self.context.names.label("storage"),
            PrivateStorageArgs(
                context=self.context,
                resource_group=self.data_group.name,
                unique_names=self.unique_names,
                containers=containers,
                monitoring=self.monitoring,
                key=self.encryption.key if self.encryption else None,
                entrance=entrance,
                window=window,
            ),
            self.inside,
        )

    def machine(
        self, interface: network.NetworkInterface, boot: Boot, members: Sequence[str] | None
    ) -> VirtualMachine:
        """Return the party's VM; `members` are the hospitals that the centre's is told of."""
        return VirtualMachine(
            self.context.names.label("machine"),
            VirtualMachineArgs(
                context=self.context,
                resource_group=self.compute_group.name,
                interface=interface,
                boot=boot,
                members=members,
                disk_key=self.encryption.disk_key if self.encryption else None,
                monitoring=self.monitoring,
            ),
            self.inside,
        )


def foundation(
    parent: pulumi.Resource,
    context: Context[Party],
    *,
    compute_group: resources.ResourceGroup,
    data_group: resources.ResourceGroup,
    machine: bool,
) -> Foundation:
    """Make monitoring and, where the stack has it, the party's own key; `machine`: whether a VM is
    watched.
    """
    inside = pulumi.ResourceOptions(parent=parent)
    unique_names = UniqueNames(context, parent)
    monitoring = Monitoring(
        context.names.label("monitoring"),
        MonitoringArgs(context=context, resource_group=compute_group.name, machine=machine),
        inside,
    )
    return Foundation(
        parent=parent,
        context=context,
        compute_group=compute_group,
        data_group=data_group,
        unique_names=unique_names,
        monitoring=monitoring,
        encryption=encryption_of(
            context,
            resource_group=data_group.name,
            unique_names=unique_names,
            monitoring=monitoring,
            opts=inside,
        ),
    )


@dataclass(frozen=True, kw_only=True)
class Plot:
    """Where a party's network is: its range, its subnets, and what has a fixed address in them.

    `machines` and `endpoints` are names of subnets; `records` are what the private zones say besides the
    party's own endpoints (`PrivateDnsArgs`); `window` opens the account to one address until its day.
    """

    space: IPv4Network
    subnets: tuple[Subnet, ...]
    machines: str
    machine: IPv4Address
    endpoints: str
    storage: IPv4Address
    containers: Sequence[str]
    records: Mapping[Service, pulumi.Input[str]]
    window: Window | None = None


@dataclass(frozen=True, kw_only=True)
class Site:
    """A party's network with the interface of its machine and the way to its data."""

    vnet: IsolatedNetwork
    flow_logs: FlowLogs | None
    dns: PrivateDns
    interface: network.NetworkInterface
    storage: PrivateStorage


def site(base: Foundation, plot: Plot) -> Site:
    """Build a party's network on its foundation."""
    context, group = base.context, base.compute_group.name
    vnet = IsolatedNetwork(
        context.names.label("network"),
        IsolatedNetworkArgs(
            context=context,
            resource_group=group,
            workspace_id=base.monitoring.workspace_id,
            space=plot.space,
            subnets=plot.subnets,
        ),
        base.inside,
    )
    flow_logs = base.flow_logs(vnet)
    dns = PrivateDns(
        context.names.label("dns"),
        PrivateDnsArgs(context=context, resource_group=group, network_id=vnet.id, records=plot.records),
        base.inside,
    )
    interface = private_interface(
        base.parent,
        context,
        resource_group=group,
        subnet_id=vnet.subnet_id(plot.machines),
        address=plot.machine,
    )
    entrance = Entrance(
        placement=Placement(
            resource_group=group, subnet_id=vnet.subnet_id(plot.endpoints), after=[interface]
        ),
        address=plot.storage,
        zone_id=dns.zone_id("blob"),
    )
    storage = base.storage(plot.containers, entrance, plot.window)
    return Site(vnet=vnet, flow_logs=flow_logs, dns=dns, interface=interface, storage=storage)
