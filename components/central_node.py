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

from components.backup import Backup, BackupArgs
from components.context import Context, UniqueNames
from components.encryption import Encryption, encryption_of
from components.flow_logs import FlowLogs, RecordedNetwork, flow_logs_of
from components.images import Images, ImagesArgs
from components.isolated_network import IsolatedNetwork, IsolatedNetworkArgs, Subnet
from components.monitoring import Monitoring, MonitoringArgs
from components.network_interface import private_interface
from components.private_dns import FL_RECORD, PrivateDns, PrivateDnsArgs
from components.private_endpoint import Placement
from components.private_storage import Entrance, PrivateStorage, PrivateStorageArgs
from components.registry import Registry, RegistryArgs
from components.roles import grant_role
from components.virtual_machine import Boot, VirtualMachine, VirtualMachineArgs
from federation.azure_facts import POWER_BI_GATEWAY
from federation.naming import SERVER_CONTAINER
from federation.parties import CentreParty


@dataclass(frozen=True, kw_only=True)
class CentralNodeArgs:
    """`hospitals` are names; `docker` is None where images are pinned."""

    context: Context[CentreParty]
    hospitals: tuple[str, ...]
    docker: docker.Provider | None


@dataclass(frozen=True, kw_only=True)
class CentralNodeResources:
    """The parts of the centre; `encryption`, `flow_logs` and `backup` are None where switched off.

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
    roles: Mapping[tuple[str, str], authorization.RoleAssignment]
    backup: Backup | None


@final
class CentralNode(pulumi.ComponentResource):
    """The hub of the federation."""

    def __init__(self, name: str, args: CentralNodeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("fed:components:CentralNode", name, None, opts)
        context, plan = args.context, args.context.party.plan
        settings, names = context.settings, context.names
        inside = pulumi.ResourceOptions(parent=self)

        group = resources.ResourceGroup(
            names.of("rg"),
            resource_group_name=names.of("rg"),
            location=context.location,
            tags=context.tags,
            opts=pulumi.ResourceOptions(
                parent=self, provider=context.azure, protect=settings.protection.protect_data
            ),
        )
        unique_names = UniqueNames(context, self)
        monitoring = Monitoring(
            names.label("monitoring"),
            MonitoringArgs(context=context, resource_group=group.name, machine=True),
            inside,
        )
        encryption = encryption_of(
            context,
            resource_group=group.name,
            unique_names=unique_names,
            monitoring=monitoring,
            opts=inside,
        )
        key = encryption.key if encryption else None
        gateway = Subnet(
            name="gateway", prefix=plan.gateway_subnet, egress=False, delegated_to=POWER_BI_GATEWAY
        )
        vnet = IsolatedNetwork(
            names.label("network"),
            IsolatedNetworkArgs(
                context=context,
                resource_group=group.name,
                workspace_id=monitoring.workspace_id,
                space=plan.space,
                subnets=(
                    Subnet(name="server", prefix=plan.server_subnet, egress=True),
                    Subnet(name="endpoints", prefix=plan.endpoint_subnet, egress=False),
                    *([gateway] if context.party.gateway else []),
                ),
            ),
            inside,
        )
        flow_logs = flow_logs_of(
            context,
            account_group=group.name,
            unique_names=unique_names,
            recorded=RecordedNetwork(network_id=vnet.id, resource_group=group.name),
            monitoring=monitoring,
            key=key,
            opts=inside,
        )
        # The endpoints' records come from their zone groups; the one written by hand is the server's.
        dns = PrivateDns(
            names.label("dns"),
            PrivateDnsArgs(
                context=context,
                resource_group=group.name,
                network_id=vnet.id,
                records={"fl": FL_RECORD},
            ),
            inside,
        )
        interface = private_interface(
            self,
            context,
            resource_group=group.name,
            subnet_id=vnet.subnet_id("server"),
            address=plan.server,
        )
        storage = PrivateStorage(
            names.label("storage"),
            PrivateStorageArgs(
                context=context,
                resource_group=group.name,
                unique_names=unique_names,
                containers=(SERVER_CONTAINER,),
                monitoring=monitoring,
                key=key,
                entrance=Entrance(
                    placement=Placement(
                        resource_group=group.name, subnet_id=vnet.subnet_id("endpoints"), after=[interface]
                    ),
                    address=plan.storage,
                    zone=dns.resources.zones["blob"],
                ),
            ),
            inside,
        )
        registry = Registry(
            names.label("registry"),
            RegistryArgs(
                context=context,
                resource_group=group.name,
                unique_names=unique_names,
                workspace_id=monitoring.workspace_id,
                placement=Placement(
                    resource_group=group.name,
                    subnet_id=vnet.subnet_id("endpoints"),
                    after=storage.network_users,
                ),
                zone=dns.resources.zones["registry"],
            ),
            inside,
        )
        images = Images(
            names.label("images"), ImagesArgs(context=context, registry=registry, docker=args.docker), inside
        )
        machine = VirtualMachine(
            names.label("machine"),
            VirtualMachineArgs(
                context=context,
                resource_group=group.name,
                interface=interface,
                boot=Boot(
                    role="centre",
                    fl_address=plan.server,
                    fl_port=context.party.fl_port,
                    hub_storage_url=storage.url,
                    own_storage_url=None,
                    registry=registry.login_server,
                    images=images.references,
                    root_fingerprint=None,
                ),
                members=args.hospitals,
                disk_key=encryption.disk_key if encryption else None,
                monitoring=monitoring,
            ),
            inside,
        )
        scopes = {
            SERVER_CONTAINER: storage.resources.containers[SERVER_CONTAINER].id,
            "registry": registry.id,
        }
        self.name = context.party.name
        self.resources = CentralNodeResources(
            group=group,
            monitoring=monitoring,
            encryption=encryption,
            vnet=vnet,
            flow_logs=flow_logs,
            dns=dns,
            interface=interface,
            storage=storage,
            registry=registry,
            images=images,
            machine=machine,
            roles={
                (grant.who, grant.resource): grant_role(
                    self,
                    context,
                    grant,
                    machine_id=machine.principal_id,
                    scope=scopes[grant.resource],
                )
                for grant in context.intent.grants_to(self.name, self.name)
                if grant.resource in scopes
            },
            backup=(
                Backup(
                    names.label("backup"),
                    BackupArgs(context=context, group=group, disk=machine.resources.data_disk),
                    inside,
                )
                if settings.backup.enabled
                else None
            ),
        )
        self.register_outputs({"networkId": vnet.id, "machineId": machine.id})

    @property
    def network_users(self) -> list[pulumi.Resource]:
        """The last of what is put into the VNet: a peering must wait for all of it (azure-native#4340)."""
        parts = self.resources
        return [parts.interface, parts.registry.resources.endpoint.resources.zone_group]

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
