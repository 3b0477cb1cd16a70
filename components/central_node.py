"""The research centre: one subscription, one resource group, one VM, and everything hospitals pull from.

It knows no hospital but by name: what it holds for each is in `membership.py`, and the VM is told the names
by user data, so that a new hospital neither replaces nor restarts it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import pulumi
import pulumi_docker as docker
from pulumi_azure_native import authorization, network, resources

from components.backup import Backup, backup_of
from components.context import Context
from components.data_door import DataDoor, door_of
from components.encryption import Encryption
from components.flow_logs import FlowLogs
from components.foundation import Plot, foundation, resource_group, site
from components.images import Images, ImagesArgs
from components.isolated_network import IsolatedNetwork, Subnet
from components.monitoring import Monitoring
from components.private_dns import FL_RECORD, PrivateDns
from components.private_endpoint import Placement
from components.private_storage import PrivateStorage
from components.registry import Registry, RegistryArgs
from components.roles import grant_role
from components.virtual_machine import Boot, VirtualMachine
from federation.azure_facts import POWER_BI_GATEWAY
from federation.parties import CentreParty


@dataclass(frozen=True, kw_only=True)
class CentralNodeArgs:
    """`hospitals` are names; `docker` is None where images are pinned."""

    context: Context[CentreParty]
    hospitals: tuple[str, ...]
    docker: docker.Provider | None


@dataclass(frozen=True, kw_only=True)
class CentralNodeResources:
    """The parts of the centre; `encryption`, `flow_logs`, `door` and `backup` may be None.

    `roles` are by (who, resource).
    """

    group: resources.ResourceGroup
    monitoring: Monitoring
    encryption: Encryption | None
    vnet: IsolatedNetwork
    flow_logs: FlowLogs | None
    dns: PrivateDns
    interface: network.NetworkInterface
    storage: PrivateStorage
    registry: Registry
    images: Images
    machine: VirtualMachine
    door: DataDoor | None
    roles: Mapping[tuple[str, str], authorization.RoleAssignment]
    backup: Backup | None


@final
class CentralNode(pulumi.ComponentResource):
    """The hub of the federation."""

    def __init__(self, name: str, args: CentralNodeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("fed:components:CentralNode", name, None, opts)
        context, party, plan = args.context, args.context.party, args.context.party.plan
        self.name = party.name
        group = resource_group(self, context, protect=context.settings.protection.protect_data)
        base = foundation(self, context, compute_group=group, data_group=group, machine=True)
        # The endpoints' records come from their zone groups; the one written by hand is the server's.
        built = site(
            base,
            Plot(
                space=plan.space,
                subnets=_subnets(party),
                machines="server",
                machine=plan.server,
                endpoints="endpoints",
                storage=plan.storage,
                containers=party.containers,
                records={"fl": FL_RECORD},
            ),
        )
        registry = Registry(
            context.names.label("registry"),
            RegistryArgs(
                context=context,
                resource_group=group.name,
                unique_names=base.unique_names,
                workspace_id=base.monitoring.workspace_id,
                placement=Placement(
                    resource_group=group.name,
                    subnet_id=built.vnet.subnet_id("endpoints"),
                    after=built.storage.network_users,
                ),
                zone_id=built.dns.zone_id("registry"),
            ),
            base.inside,
        )
        images = Images(
            context.names.label("images"),
            ImagesArgs(context=context, registry=registry, docker=args.docker),
            base.inside,
        )
        boot = Boot(
            role="centre",
            fl_address=plan.server,
            fl_port=party.fl_port,
            hub_storage_url=built.storage.url,
            own_storage_url=None,
            registry=registry.login_server,
            images=images.references,
            root_fingerprint=None,
        )
        machine = base.machine(built.interface, boot, args.hospitals)
        self.resources = CentralNodeResources(
            group=group,
            monitoring=base.monitoring,
            encryption=base.encryption,
            vnet=built.vnet,
            flow_logs=built.flow_logs,
            dns=built.dns,
            interface=built.interface,
            storage=built.storage,
            registry=registry,
            images=images,
            machine=machine,
            door=door_of(context, built.storage, base.inside),
            roles=self._roles(context, machine, built.storage, registry),
            backup=backup_of(context, group=group, disk=machine.resources.data_disk, opts=base.inside),
        )
        self.register_outputs({"networkId": built.vnet.id, "machineId": machine.id})

    def _roles(
        self,
        context: Context[CentreParty],
        machine: VirtualMachine,
        storage: PrivateStorage,
        registry: Registry,
    ) -> dict[tuple[str, str], authorization.RoleAssignment]:
        """Return what the centre's own machine may do to what is the centre's."""
        containers = storage.resources.containers
        scopes = {**{name: containers[name].id for name in context.party.containers}, "registry": registry.id}
        return {
            (grant.who, grant.resource): grant_role(
                self, context, grant, machine_id=machine.principal_id, scope=scopes[grant.resource]
            )
            for grant in context.intent.grants_to(self.name, self.name)
            if grant.resource in scopes
        }

    @property
    def network_users(self) -> list[pulumi.Resource]:
        """The last of what is put into the VNet: a peering must wait for all of it (azure-native#4340)."""
        parts = self.resources
        return [parts.interface, parts.registry.resources.endpoint.resources.last]

    @property
    def keepers_of_state(self) -> dict[str, pulumi.Output[str]]:
        """Ids of what holds data that no run of the program could make again, by a word for each."""
        parts = self.resources
        return {
            "storage": parts.storage.id,
            "registry": parts.registry.id,
            "workspace": parts.monitoring.workspace_id,
            "disk": parts.machine.resources.data_disk.id,
            **({"vault": parts.encryption.resources.vault.id} if parts.encryption else {}),
            **({"logs": parts.flow_logs.id} if parts.flow_logs else {}),
        }


def _subnets(party: CentreParty) -> tuple[Subnet, ...]:
    plan = party.plan
    gateway = Subnet(name="gateway", prefix=plan.gateway_subnet, egress=False, delegated_to=POWER_BI_GATEWAY)
    return (
        Subnet(name="server", prefix=plan.server_subnet, egress=True),
        Subnet(name="endpoints", prefix=plan.endpoint_subnet, egress=False),
        *([gateway] if party.gateway else []),
    )
