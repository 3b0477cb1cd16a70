"""One hospital: its own subscription, a group for what computes and a group for what holds its data.

The data group has the account with the hospital's private container, its vault and key, and the account with
the record of its flows. It can be locked, kept and shredded on its own. The private endpoint belongs to the
compute side: it is the machine's way to the data.
"""

from dataclasses import dataclass
from typing import Final, final

import pulumi
from pulumi_azure_native import authorization, monitor, network, resources

from components.central_node import CentralNode
from components.context import Context
from components.data_door import DataDoor, door_of
from components.encryption import Encryption
from components.flow_logs import FlowLogs
from components.foundation import Foundation, Plot, foundation, resource_group, site
from components.isolated_network import IsolatedNetwork, Subnet
from components.monitoring import Monitoring
from components.private_dns import FL_RECORD, PrivateDns
from components.private_storage import PrivateStorage
from components.roles import grant_role
from components.virtual_machine import Boot, VirtualMachine
from components.window_alert import window_alert
from federation.naming import HOSPITAL_CONTAINERS
from federation.parties import CentreParty, HospitalParty

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
    """The parts of a hospital; `encryption`, `flow_logs`, `door` and `window_alert` may be None."""

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
    door: DataDoor | None
    window_alert: monitor.ScheduledQueryRule | None
    data_roles: list[authorization.RoleAssignment]


@final
class HospitalTenant(pulumi.ComponentResource):
    """A spoke of the federation."""

    def __init__(
        self, name: str, args: HospitalTenantArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(TYPE, name, None, opts)
        context, plan, centre = args.context, args.context.party.plan, args.centre.resources
        self.name = context.party.name
        base = hospital_foundation(self, context, machine=True)
        built = site(
            base,
            Plot(
                space=plan.space,
                subnets=(Subnet(name="workload", prefix=plan.workload_subnet, egress=True),),
                machines="workload",
                machine=plan.machine,
                endpoints="workload",
                storage=plan.storage,
                containers=HOSPITAL_CONTAINERS,
                records={
                    "blob": centre.storage.account_name,
                    "registry": centre.registry.registry_name,
                    "registry_data": centre.registry.data_record,
                    "fl": FL_RECORD,
                },
                window=context.intent.window_of(self.name),
            ),
        )
        boot = Boot(
            role="hospital",
            fl_address=args.centre_party.plan.server,
            fl_port=args.centre_party.fl_port,
            hub_storage_url=centre.storage.url,
            own_storage_url=built.storage.url,
            registry=centre.registry.login_server,
            images=centre.images.references,
            root_fingerprint=context.party.root_fingerprint,
        )
        machine = base.machine(built.interface, boot, None)
        self.resources = HospitalTenantResources(
            compute_group=base.compute_group,
            data_group=base.data_group,
            monitoring=base.monitoring,
            encryption=base.encryption,
            vnet=built.vnet,
            flow_logs=built.flow_logs,
            dns=built.dns,
            interface=built.interface,
            storage=built.storage,
            machine=machine,
            door=door_of(context, built.storage, base.inside),
            window_alert=window_alert(self, context, built.storage, base.monitoring),
            data_roles=[
                grant_role(
                    self,
                    context,
                    grant,
                    machine_id=machine.principal_id,
                    scope=built.storage.resources.containers[grant.resource].id,
                )
                for grant in context.intent.grants_to(self.name, self.name)
            ],
        )
        self.register_outputs({"networkId": built.vnet.id, "machineId": machine.id})

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


def hospital_foundation(
    parent: pulumi.Resource, context: Context[HospitalParty], *, machine: bool
) -> Foundation:
    """Return what a hospital is built on, and what stays of it, in its two resource groups."""
    protect = context.settings.protection.protect_data
    return foundation(
        parent,
        context,
        compute_group=resource_group(parent, context, "compute", protect=False),
        data_group=resource_group(parent, context, "data", protect=protect),
        machine=machine,
    )
