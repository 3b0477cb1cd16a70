"""One hospital: its own subscription, a group for what computes and a group for what holds its data.

The data group has the account with the hospital's private container, its vault and key, and the account with
the record of its flows. It can be locked, kept and shredded on its own. The private endpoint belongs to the
compute side: it is the machine's way to the data.
"""

from dataclasses import dataclass
from typing import Final, final

import pulumi
from pulumi_azure_native import authorization, network, resources

from components.central_node import CentralNode
from components.context import Context, UniqueNames
from components.encryption import Encryption, encryption_of
from components.flow_logs import FlowLogs, RecordedNetwork, flow_logs_of
from components.isolated_network import IsolatedNetwork, IsolatedNetworkArgs, Subnet
from components.monitoring import Monitoring, MonitoringArgs
from components.network_interface import private_interface
from components.private_dns import FL_RECORD, PrivateDns, PrivateDnsArgs
from components.private_endpoint import Placement
from components.private_storage import Entrance, PrivateStorage, PrivateStorageArgs
from components.roles import grant_role
from components.virtual_machine import Boot, VirtualMachine, VirtualMachineArgs
from federation.parties import CentreParty, HospitalParty

DATA_CONTAINER: Final = "data"
#: Also the type of a hospital that has left (`retired_hospital.py`): what stays keeps its identity.
TYPE: Final = "fed:components:HospitalTenant"


@dataclass(frozen=True, kw_only=True)
class HospitalTenantArgs:
    """`centre` is what the hospital connects to; nothing of it is changed here."""

    context: Context[HospitalParty]
    centre: CentralNode
    centre_party: CentreParty


@dataclass(frozen=True, kw_only=True)
class HospitalTenantResources:
    """The parts of a hospital; `encryption` and `flow_logs` are None where they are switched off."""

    compute_group: resources.ResourceGroup
    data_group: resources.ResourceGroup
    monitoring: Monitoring
    encryption: Encryption | None
    vnet: IsolatedNetwork
    flow_logs: FlowLogs | None
    dns: PrivateDns
    interface: network.NetworkInterface
    storage: PrivateStorage
    machine: VirtualMachine
    data_role: authorization.RoleAssignment


@final
class HospitalTenant(pulumi.ComponentResource):
    """A spoke of the federation."""

    def __init__(
        self, name: str, args: HospitalTenantArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(TYPE, name, None, opts)
        context, plan, centre = args.context, args.context.party.plan, args.centre.resources
        settings, names = context.settings, context.names
        inside = pulumi.ResourceOptions(parent=self)
        self.name = context.party.name

        compute_group = hospital_group(self, context, "compute", protect=False)
        data_group = hospital_group(self, context, "data", protect=settings.protection.protect_data)
        unique_names = UniqueNames(context, self)
        monitoring = Monitoring(
            names.label("monitoring"),
            MonitoringArgs(context=context, resource_group=compute_group.name, machine=True),
            inside,
        )
        encryption = encryption_of(
            context,
            resource_group=data_group.name,
            unique_names=unique_names,
            monitoring=monitoring,
            opts=inside,
        )
        key = encryption.key if encryption else None
        vnet = IsolatedNetwork(
            names.label("network"),
            IsolatedNetworkArgs(
                context=context,
                resource_group=compute_group.name,
                workspace_id=monitoring.workspace_id,
                space=plan.space,
                subnets=(Subnet(name="workload", prefix=plan.workload_subnet, egress=True),),
            ),
            inside,
        )
        flow_logs = flow_logs_of(
            context,
            account_group=data_group.name,
            unique_names=unique_names,
            recorded=RecordedNetwork(network_id=vnet.id, resource_group=compute_group.name),
            monitoring=monitoring,
            key=key,
            opts=inside,
        )
        dns = PrivateDns(
            names.label("dns"),
            PrivateDnsArgs(
                context=context,
                resource_group=compute_group.name,
                network_id=vnet.id,
                records={
                    "blob": centre.storage.account_name,
                    "registry": centre.registry.registry_name,
                    "registry_data": centre.registry.data_record,
                    "fl": FL_RECORD,
                },
            ),
            inside,
        )
        interface = private_interface(
            self,
            context,
            resource_group=compute_group.name,
            subnet_id=vnet.subnet_id("workload"),
            address=plan.machine,
        )
        storage = PrivateStorage(
            names.label("storage"),
            PrivateStorageArgs(
                context=context,
                resource_group=data_group.name,
                unique_names=unique_names,
                containers=(DATA_CONTAINER,),
                monitoring=monitoring,
                key=key,
                entrance=Entrance(
                    placement=Placement(
                        resource_group=compute_group.name,
                        subnet_id=vnet.subnet_id("workload"),
                        after=[interface],
                    ),
                    address=plan.storage,
                    zone=dns.resources.zones["blob"],
                ),
            ),
            inside,
        )
        machine = VirtualMachine(
            names.label("machine"),
            VirtualMachineArgs(
                context=context,
                resource_group=compute_group.name,
                interface=interface,
                boot=Boot(
                    role="hospital",
                    fl_address=args.centre_party.plan.server,
                    fl_port=args.centre_party.fl_port,
                    hub_storage_url=centre.storage.url,
                    own_storage_url=storage.url,
                    registry=centre.registry.login_server,
                    images=centre.images.references,
                    root_fingerprint=context.party.root_fingerprint,
                ),
                members=None,
                disk_key=encryption.disk_key if encryption else None,
                monitoring=monitoring,
            ),
            inside,
        )
        (data_grant,) = context.intent.grants_to(self.name, self.name)
        self.resources = HospitalTenantResources(
            compute_group=compute_group,
            data_group=data_group,
            monitoring=monitoring,
            encryption=encryption,
            vnet=vnet,
            flow_logs=flow_logs,
            dns=dns,
            interface=interface,
            storage=storage,
            machine=machine,
            data_role=grant_role(
                self,
                context,
                data_grant,
                machine_id=machine.principal_id,
                scope=storage.resources.containers[DATA_CONTAINER].id,
            ),
        )
        self.register_outputs({"networkId": vnet.id, "machineId": machine.id})

    @property
    def network_users(self) -> list[pulumi.Resource]:
        """The last of what is put into the VNet: a peering must wait for all of it (azure-native#4340)."""
        return [self.resources.interface, *self.resources.storage.network_users]

    @property
    def keepers_of_state(self) -> dict[str, pulumi.Output[str]]:
        """Ids of what holds data that no run of the program could make again, by a word for each."""
        return {
            "data": self.resources.data_group.id,
            "workspace": self.resources.monitoring.workspace_id,
            "disk": self.resources.machine.resources.data_disk.id,
        }


def hospital_group(
    parent: pulumi.Resource, context: Context[HospitalParty], part: str, *, protect: bool
) -> resources.ResourceGroup:
    """One of a hospital's two resource groups, `compute` or `data`."""
    return resources.ResourceGroup(
        context.names.of("rg", part),
        resource_group_name=context.names.of("rg", part),
        location=context.location,
        tags=context.tags,
        opts=pulumi.ResourceOptions(parent=parent, provider=context.azure, protect=protect),
    )
