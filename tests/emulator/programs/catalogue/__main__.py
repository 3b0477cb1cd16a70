"""Every resource type of the emulated providers, at least once, as a hub and a spoke in two subscriptions.

TAG is a tag of everything, LOCATION the region, EXTRA adds an unknown type (environment variables).
"""

import base64
import datetime
import os

import pulumi
import pulumi_docker as docker
import pulumi_random as random
from pulumi_azure_native import (
    Provider,
    authorization,
    compute,
    consumption,
    containerregistry,
    dataprotection,
    keyvault,
    managedidentity,
    monitor,
    network,
    operationalinsights,
    privatedns,
    resources,
    storage,
)

HUB = "11111111-1111-4111-8111-111111111111"
SPOKE = "22222222-2222-4222-8222-222222222222"
LOCATION = os.environ.get("LOCATION", "westeurope")
TAGS = {"purpose": os.environ.get("TAG", "test")}
BLOB_READER = "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1"
DISK_BACKUP_READER = "3e5e47e6-65f7-47ef-90b5-e5dd4d455f24"
DISK_SNAPSHOT_CONTRIBUTOR = "7efff54f-a5b4-42b5-a1c5-5411624893ce"
CRYPTO_USER = "e147488a-f6f5-4113-8e2d-b22465e65bf6"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ5Z5nCJnxm2cPV9bZ8hqR0pYvJm3qk8rXoWJ7m0t1aB test"


SET_BY_AZURE = {
    "azure-native:network:PrivateEndpoint": ["customDnsConfigs"],
    "azure-native:network:PublicIPAddress": ["natGateway"],
    "azure-native:network:VirtualNetwork": ["subnets[*].etag"],
    "azure-native:network:VirtualNetworkPeering": ["peeringState", "peeringSyncLevel"],
}


def prepared(arguments: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult:
    arguments.opts.aliases = None
    arguments.opts.ignore_changes = SET_BY_AZURE.get(arguments.type_)
    return pulumi.ResourceTransformationResult(arguments.props, arguments.opts)


def of(provider: Provider, *after: pulumi.Resource) -> pulumi.ResourceOptions:
    return pulumi.ResourceOptions(provider=provider, depends_on=list(after))


def role(subscription: str, name: str) -> str:
    return f"/subscriptions/{subscription}/providers/Microsoft.Authorization/roleDefinitions/{name}"


pulumi.runtime.register_stack_transformation(prepared)
hub = Provider("hub", subscription_id=HUB)
spoke = Provider("spoke", subscription_id=SPOKE)
suffix = random.RandomString("suffix", length=6, special=False, upper=False)
random.RandomId("id", byte_length=4)
random.RandomUuid("uuid")


def party(
    name: str, provider: Provider, prefix: str
) -> tuple[resources.ResourceGroup, network.VirtualNetwork]:
    """A resource group and a virtual network with two subnets and their rules."""
    group = resources.ResourceGroup(
        f"rg-{name}", resource_group_name=f"rg-{name}", location=LOCATION, tags=TAGS, opts=of(provider)
    )
    rules = network.NetworkSecurityGroup(
        f"nsg-{name}",
        network_security_group_name=f"nsg-{name}",
        resource_group_name=group.name,
        tags=TAGS,
        security_rules=[
            network.SecurityRuleArgs(
                name="deny-internet",
                priority=4000,
                direction="Outbound",
                access="Deny",
                protocol="*",
                source_address_prefix="*",
                source_port_range="*",
                destination_address_prefix="Internet",
                destination_port_range="*",
            )
        ],
        opts=of(provider),
    )
    net = network.VirtualNetwork(
        f"vnet-{name}",
        virtual_network_name=f"vnet-{name}",
        resource_group_name=group.name,
        tags=TAGS,
        address_space=network.AddressSpaceArgs(address_prefixes=[f"{prefix}.0.0/23"]),
        subnets=[
            network.SubnetArgs(
                name="server",
                address_prefix=f"{prefix}.0.0/25",
                default_outbound_access=False,
                private_endpoint_network_policies="Enabled",
                network_security_group=network.NetworkSecurityGroupArgs(id=rules.id),
            ),
            network.SubnetArgs(
                name="endpoints",
                address_prefix=f"{prefix}.0.128/25",
                default_outbound_access=False,
                private_endpoint_network_policies="Enabled",
                network_security_group=network.NetworkSecurityGroupArgs(id=rules.id),
            ),
        ],
        opts=of(provider),
    )
    return group, net


hub_group, hub_net = party("hub", hub, "10.0")
spoke_group, spoke_net = party("spoke", spoke, "10.4")
hub_half = network.VirtualNetworkPeering(
    "peer-hub",
    virtual_network_peering_name="to-spoke",
    resource_group_name=hub_group.name,
    virtual_network_name=hub_net.name,
    remote_virtual_network=network.SubResourceArgs(id=spoke_net.id),
    allow_virtual_network_access=True,
    allow_forwarded_traffic=False,
    opts=of(hub),
)
spoke_half = network.VirtualNetworkPeering(
    "peer-spoke",
    virtual_network_peering_name="to-hub",
    resource_group_name=spoke_group.name,
    virtual_network_name=spoke_net.name,
    remote_virtual_network=network.SubResourceArgs(id=hub_net.id),
    allow_virtual_network_access=True,
    allow_forwarded_traffic=False,
    opts=of(spoke, hub_half),
)

# A network whose subnet is a resource of its own, with a NAT gateway.
address = network.PublicIPAddress(
    "pip",
    public_ip_address_name="pip-nat",
    resource_group_name=hub_group.name,
    public_ip_allocation_method="Static",
    sku=network.PublicIPAddressSkuArgs(name="Standard"),
    opts=of(hub),
)
gateway = network.NatGateway(
    "nat",
    nat_gateway_name="nat",
    resource_group_name=hub_group.name,
    sku=network.NatGatewaySkuArgs(name="Standard"),
    public_ip_addresses=[network.SubResourceArgs(id=address.id)],
    opts=of(hub),
)
routes = network.RouteTable(
    "rt",
    route_table_name="rt",
    resource_group_name=hub_group.name,
    tags=TAGS,
    disable_bgp_route_propagation=True,
    routes=[
        network.RouteArgs(
            name="firewall",
            address_prefix="0.0.0.0/0",
            next_hop_type=network.RouteNextHopType.VIRTUAL_APPLIANCE,
            next_hop_ip_address="10.9.0.4",
        )
    ],
    opts=of(hub),
)
lone = network.VirtualNetwork(
    "vnet-lone",
    resource_group_name=hub_group.name,
    tags=TAGS,
    address_space=network.AddressSpaceArgs(address_prefixes=["10.8.0.0/24"]),
    opts=of(hub),
)
network.Subnet(
    "lone-subnet",
    subnet_name="inner",
    resource_group_name=hub_group.name,
    virtual_network_name=lone.name,
    address_prefix="10.8.0.0/26",
    default_outbound_access=False,
    nat_gateway=network.SubResourceArgs(id=gateway.id),
    route_table=network.RouteTableArgs(id=routes.id),
    opts=of(hub),
)

# Who, with which key, may read what.
person = managedidentity.UserAssignedIdentity(
    "identity", resource_name_="id-hub", resource_group_name=hub_group.name, tags=TAGS, opts=of(hub)
)
vault = keyvault.Vault(
    "vault",
    vault_name=suffix.result.apply(lambda text: f"kv-{text}"),
    resource_group_name=hub_group.name,
    properties=keyvault.VaultPropertiesArgs(
        tenant_id="5f1c0a7e-7d43-4c0b-9a55-f2a4d3a7be01",
        sku=keyvault.SkuArgs(family="A", name="standard"),
        enable_rbac_authorization=True,
        enable_purge_protection=True,
        soft_delete_retention_in_days=7,
    ),
    opts=of(hub),
)
key = keyvault.Key(
    "key",
    key_name="cmk",
    vault_name=vault.name,
    resource_group_name=hub_group.name,
    properties=keyvault.KeyPropertiesArgs(kty="RSA", key_size=3072),
    opts=of(hub),
)
may_use_key = authorization.RoleAssignment(
    "crypto-user",
    scope=vault.id,
    principal_id=person.principal_id,
    principal_type="ServicePrincipal",
    role_definition_id=role(HUB, CRYPTO_USER),
    opts=of(hub),
)
account = storage.StorageAccount(
    "account",
    account_name=suffix.result.apply(lambda text: f"st{text}"),
    resource_group_name=hub_group.name,
    kind="StorageV2",
    sku=storage.SkuArgs(name="Standard_LRS"),
    allow_blob_public_access=False,
    allow_shared_key_access=False,
    enable_https_traffic_only=True,
    minimum_tls_version="TLS1_2",
    public_network_access="Disabled",
    identity=storage.IdentityArgs(type="UserAssigned", user_assigned_identities=[person.id]),
    encryption=storage.EncryptionArgs(
        key_source="Microsoft.Keyvault",
        encryption_identity=storage.EncryptionIdentityArgs(encryption_user_assigned_identity=person.id),
        key_vault_properties=storage.KeyVaultPropertiesArgs(
            key_name=key.name, key_vault_uri=vault.properties.vault_uri
        ),
    ),
    network_rule_set=storage.NetworkRuleSetArgs(default_action="Deny", bypass="None"),
    tags=TAGS,
    opts=of(hub, may_use_key),
)
storage.BlobServiceProperties(
    "blobs",
    account_name=account.name,
    blob_services_name="default",
    resource_group_name=hub_group.name,
    is_versioning_enabled=True,
    delete_retention_policy=storage.DeleteRetentionPolicyArgs(enabled=True, days=7),
    opts=of(hub),
)
container = storage.BlobContainer(
    "container",
    container_name="data",
    account_name=account.name,
    resource_group_name=hub_group.name,
    public_access="None",
    opts=of(hub),
)
storage.ManagementPolicy(
    "lifecycle",
    management_policy_name="default",
    account_name=account.name,
    resource_group_name=hub_group.name,
    policy=storage.ManagementPolicySchemaArgs(
        rules=[
            storage.ManagementPolicyRuleArgs(
                name="old-versions",
                type="Lifecycle",
                enabled=True,
                definition=storage.ManagementPolicyDefinitionArgs(
                    filters=storage.ManagementPolicyFilterArgs(blob_types=["blockBlob"]),
                    actions=storage.ManagementPolicyActionArgs(
                        version=storage.ManagementPolicyVersionArgs(
                            delete=storage.DateAfterCreationArgs(days_after_creation_greater_than=30)
                        )
                    ),
                ),
            )
        ]
    ),
    opts=of(hub),
)
reader = authorization.RoleAssignment(
    "reader",
    role_assignment_name="b5a0f9d4-2f7e-4c1a-9d67-3f2f61f0a001",
    scope=container.id,
    principal_id=person.principal_id,
    principal_type="ServicePrincipal",
    role_definition_id=role(HUB, BLOB_READER),
    opts=of(hub),
)

# The account's private endpoint, with its names.
zone = privatedns.PrivateZone(
    "zone",
    private_zone_name="privatelink.blob.core.windows.net",
    resource_group_name=hub_group.name,
    location="global",
    tags=TAGS,
    opts=of(hub),
)
privatedns.VirtualNetworkLink(
    "link",
    virtual_network_link_name="hub",
    private_zone_name=zone.name,
    resource_group_name=hub_group.name,
    location="global",
    registration_enabled=False,
    virtual_network=privatedns.SubResourceArgs(id=hub_net.id),
    opts=of(hub),
)
privatedns.PrivateRecordSet(
    "record",
    relative_record_set_name="other",
    record_type="A",
    private_zone_name=zone.name,
    resource_group_name=hub_group.name,
    ttl=300,
    a_records=[privatedns.ARecordArgs(ipv4_address="10.4.0.5")],
    opts=of(hub),
)
endpoint = network.PrivateEndpoint(
    "endpoint",
    private_endpoint_name="pe-blob",
    resource_group_name=hub_group.name,
    subnet=network.SubnetArgs(id=hub_net.id.apply(lambda text: f"{text}/subnets/endpoints")),
    private_link_service_connections=[
        network.PrivateLinkServiceConnectionArgs(
            name="blob", group_ids=["blob"], private_link_service_id=account.id
        )
    ],
    ip_configurations=[
        network.PrivateEndpointIPConfigurationArgs(
            name="blob", group_id="blob", member_name="blob", private_ip_address="10.0.0.132"
        )
    ],
    opts=of(hub, hub_half, spoke_half),
)
network.PrivateDnsZoneGroup(
    "zone-group",
    private_dns_zone_group_name="default",
    private_endpoint_name=endpoint.name,
    resource_group_name=hub_group.name,
    private_dns_zone_configs=[network.PrivateDnsZoneConfigArgs(name="blob", private_dns_zone_id=zone.id)],
    opts=of(hub),
)

# A machine with a disk that outlives it.
encryption = compute.DiskEncryptionSet(
    "disk-encryption",
    disk_encryption_set_name="des",
    resource_group_name=hub_group.name,
    encryption_type="EncryptionAtRestWithCustomerKey",
    rotation_to_latest_key_version_enabled=True,
    identity=compute.EncryptionSetIdentityArgs(type="UserAssigned", user_assigned_identities=[person.id]),
    active_key=compute.KeyForDiskEncryptionSetArgs(
        key_url=key.key_uri_with_version, source_vault=compute.SourceVaultArgs(id=vault.id)
    ),
    opts=of(hub, may_use_key),
)
disk = compute.Disk(
    "disk",
    disk_name="disk-data",
    resource_group_name=hub_group.name,
    creation_data=compute.CreationDataArgs(create_option="Empty"),
    disk_size_gb=16,
    sku=compute.DiskSkuArgs(name="StandardSSD_LRS"),
    network_access_policy="DenyAll",
    public_network_access="Disabled",
    encryption=compute.EncryptionArgs(
        type="EncryptionAtRestWithCustomerKey", disk_encryption_set_id=encryption.id
    ),
    opts=of(hub),
)
card = network.NetworkInterface(
    "nic",
    network_interface_name="nic-vm",
    resource_group_name=hub_group.name,
    tags=TAGS,
    ip_configurations=[
        network.NetworkInterfaceIPConfigurationArgs(
            name="main",
            private_ip_address="10.0.0.4",
            private_ip_allocation_method="Static",
            subnet=network.SubnetArgs(id=hub_net.id.apply(lambda text: f"{text}/subnets/server")),
        )
    ],
    opts=of(hub, hub_half, spoke_half),
)
machine = compute.VirtualMachine(
    "vm",
    vm_name="vm-hub",
    resource_group_name=hub_group.name,
    tags=TAGS,
    hardware_profile=compute.HardwareProfileArgs(vm_size="Standard_B2s_v2"),
    identity=compute.VirtualMachineIdentityArgs(type="UserAssigned", user_assigned_identities=[person.id]),
    network_profile=compute.NetworkProfileArgs(
        network_interfaces=[compute.NetworkInterfaceReferenceArgs(id=card.id, primary=True)]
    ),
    os_profile=compute.OSProfileArgs(
        admin_username="operator",
        computer_name="vm-hub",
        custom_data=base64.b64encode(b"#cloud-config\n").decode(),
        linux_configuration=compute.LinuxConfigurationArgs(
            disable_password_authentication=True,
            ssh=compute.SshConfigurationArgs(
                public_keys=[
                    compute.SshPublicKeyArgs(key_data=KEY, path="/home/operator/.ssh/authorized_keys")
                ]
            ),
        ),
    ),
    security_profile=compute.SecurityProfileArgs(
        security_type="TrustedLaunch",
        uefi_settings=compute.UefiSettingsArgs(secure_boot_enabled=True, v_tpm_enabled=True),
    ),
    storage_profile=compute.StorageProfileArgs(
        image_reference=compute.ImageReferenceArgs(
            publisher="Canonical", offer="ubuntu-24_04-lts", sku="server", version="latest"
        ),
        os_disk=compute.OSDiskArgs(
            create_option="FromImage",
            delete_option="Delete",
            managed_disk=compute.ManagedDiskParametersArgs(storage_account_type="StandardSSD_LRS"),
        ),
        data_disks=[
            compute.DataDiskArgs(
                lun=0,
                create_option="Attach",
                delete_option="Detach",
                managed_disk=compute.ManagedDiskParametersArgs(id=disk.id),
            )
        ],
    ),
    user_data=base64.b64encode(b'{"hospitals": []}').decode(),
    opts=of(hub),
)
compute.VirtualMachineExtension(
    "extension",
    vm_extension_name="AzureMonitorLinuxAgent",
    vm_name=machine.name,
    resource_group_name=hub_group.name,
    publisher="Microsoft.Azure.Monitor",
    type="AzureMonitorLinuxAgent",
    type_handler_version="1.33",
    auto_upgrade_minor_version=True,
    enable_automatic_upgrade=True,
    settings={"authentication": {"managedIdentity": {"identifier-name": "mi_res_id"}}},
    opts=of(hub),
)

# Images.
registry = containerregistry.Registry(
    "registry",
    registry_name=suffix.result.apply(lambda text: f"cr{text}"),
    resource_group_name=hub_group.name,
    sku=containerregistry.SkuArgs(name="Premium"),
    admin_user_enabled=False,
    public_network_access="Enabled",
    tags=TAGS,
    opts=of(hub),
)
image = docker.Image(
    "image",
    image_name=registry.login_server.apply(lambda server: f"{server}/sample:latest"),
    build=docker.DockerBuildArgs(context="image", platform="linux/amd64"),
)

# Watching.
workspace = operationalinsights.Workspace(
    "workspace",
    workspace_name="log-hub",
    resource_group_name=hub_group.name,
    sku=operationalinsights.WorkspaceSkuArgs(name="PerGB2018"),
    retention_in_days=30,
    opts=of(hub),
)
rule = monitor.DataCollectionRule(
    "collection",
    data_collection_rule_name="dcr-hub",
    resource_group_name=hub_group.name,
    kind="Linux",
    data_sources=monitor.DataCollectionRuleDataSourcesArgs(
        syslog=[
            monitor.SyslogDataSourceArgs(
                name="syslog", streams=["Microsoft-Syslog"], facility_names=["daemon"], log_levels=["Warning"]
            )
        ]
    ),
    destinations=monitor.DataCollectionRuleDestinationsArgs(
        log_analytics=[monitor.LogAnalyticsDestinationArgs(name="log", workspace_resource_id=workspace.id)]
    ),
    data_flows=[monitor.DataFlowArgs(streams=["Microsoft-Syslog"], destinations=["log"])],
    opts=of(hub),
)
monitor.DataCollectionRuleAssociation(
    "association",
    association_name="dcra-hub",
    resource_uri=machine.id,
    data_collection_rule_id=rule.id,
    opts=of(hub),
)
monitor.DiagnosticSetting(
    "diagnostics",
    name="to-log",
    resource_uri=account.id.apply(lambda text: f"{text}/blobServices/default"),
    workspace_id=workspace.id,
    logs=[monitor.DiagnosticsLogSettingsArgs(category="StorageRead", enabled=True)],
    opts=of(hub),
)
network.FlowLog(
    "flow-log",
    flow_log_name="flow-hub",
    network_watcher_name=f"NetworkWatcher_{LOCATION}",
    resource_group_name="NetworkWatcherRG",
    location=LOCATION,
    enabled=True,
    identity=network.ManagedServiceIdentityArgs(type="UserAssigned", user_assigned_identities=[person.id]),
    target_resource_id=hub_net.id,
    storage_id=account.id,
    retention_policy=network.RetentionPolicyParametersArgs(enabled=True, days=7),
    opts=of(hub),
)
people = monitor.ActionGroup(
    "people",
    action_group_name="ag-hub",
    resource_group_name=hub_group.name,
    location="global",
    enabled=True,
    group_short_name="hub",
    email_receivers=[
        monitor.MicrosoftCommonEmailReceiverArgs(
            name="ops", email_address="ops@example.org", use_common_alert_schema=True
        )
    ],
    opts=of(hub),
)
monitor.MetricAlert(
    "metric",
    rule_name="vm-down",
    resource_group_name=hub_group.name,
    location="global",
    enabled=True,
    severity=1,
    scopes=[machine.id],
    evaluation_frequency="PT1M",
    window_size="PT5M",
    criteria=monitor.MetricAlertSingleResourceMultipleMetricCriteriaArgs(
        odata_type="Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria",
        all_of=[
            monitor.MetricCriteriaArgs(
                name="available",
                criterion_type="StaticThresholdCriterion",
                metric_name="VmAvailabilityMetric",
                metric_namespace="Microsoft.Compute/virtualMachines",
                operator="LessThan",
                threshold=1,
                time_aggregation="Average",
            )
        ],
    ),
    actions=[monitor.MetricAlertActionArgs(action_group_id=people.id)],
    opts=of(hub),
)
monitor.ScheduledQueryRule(
    "query",
    rule_name="errors",
    resource_group_name=hub_group.name,
    enabled=True,
    severity=2,
    scopes=[workspace.id],
    evaluation_frequency="PT5M",
    window_size="PT5M",
    criteria=monitor.ScheduledQueryRuleCriteriaArgs(
        all_of=[
            monitor.ConditionArgs(
                query="Syslog | where SeverityLevel == 'err'",
                operator="GreaterThan",
                threshold=0,
                time_aggregation="Count",
            )
        ]
    ),
    opts=of(hub),
)
consumption.Budget(
    "budget",
    budget_name="monthly",
    scope=hub_group.id,
    amount=100,
    category="Cost",
    time_grain="Monthly",
    time_period=consumption.BudgetTimePeriodArgs(start_date=f"{datetime.date.today():%Y-%m}-01T00:00:00Z"),
    notifications={
        "most": consumption.NotificationArgs(
            enabled=True,
            operator="GreaterThan",
            threshold=80,
            threshold_type="Actual",
            contact_emails=["ops@example.org"],
        )
    },
    opts=of(hub),
)

# Keeping.
backups = dataprotection.BackupVault(
    "backup-vault",
    vault_name="bvault-hub",
    resource_group_name=hub_group.name,
    identity=dataprotection.DppIdentityDetailsArgs(type="SystemAssigned"),
    properties=dataprotection.BackupVaultArgs(
        storage_settings=[
            dataprotection.StorageSettingArgs(datastore_type="VaultStore", type="LocallyRedundant")
        ]
    ),
    opts=of(hub),
)
may_back_up = [
    authorization.RoleAssignment(
        f"backup-{index}",
        scope=scope,
        principal_id=backups.identity.apply(lambda identity: identity.principal_id),
        principal_type="ServicePrincipal",
        role_definition_id=role(HUB, definition),
        opts=of(hub),
    )
    for index, (scope, definition) in enumerate(
        [(disk.id, DISK_BACKUP_READER), (hub_group.id, DISK_SNAPSHOT_CONTRIBUTOR)]
    )
]
policy = dataprotection.BackupPolicy(
    "backup-policy",
    backup_policy_name="disks",
    vault_name=backups.name,
    resource_group_name=hub_group.name,
    properties=dataprotection.BackupPolicyArgs(
        object_type="BackupPolicy",
        datasource_types=["Microsoft.Compute/disks"],
        policy_rules=[
            dataprotection.AzureBackupRuleArgs(
                object_type="AzureBackupRule",
                name="Daily",
                data_store=dataprotection.DataStoreInfoBaseArgs(
                    data_store_type="OperationalStore", object_type="DataStoreInfoBase"
                ),
                trigger=dataprotection.ScheduleBasedTriggerContextArgs(
                    object_type="ScheduleBasedTriggerContext",
                    schedule=dataprotection.BackupScheduleArgs(
                        repeating_time_intervals=["R/2025-01-01T02:00:00+00:00/P1D"], time_zone="UTC"
                    ),
                    tagging_criteria=[
                        dataprotection.TaggingCriteriaArgs(
                            is_default=True,
                            tagging_priority=99,
                            tag_info=dataprotection.RetentionTagArgs(tag_name="Default"),
                        )
                    ],
                ),
                backup_parameters=dataprotection.AzureBackupParamsArgs(
                    object_type="AzureBackupParams", backup_type="Incremental"
                ),
            ),
            dataprotection.AzureRetentionRuleArgs(
                object_type="AzureRetentionRule",
                name="Default",
                is_default=True,
                lifecycles=[
                    dataprotection.SourceLifeCycleArgs(
                        delete_after=dataprotection.AbsoluteDeleteOptionArgs(
                            object_type="AbsoluteDeleteOption", duration="P7D"
                        ),
                        source_data_store=dataprotection.DataStoreInfoBaseArgs(
                            data_store_type="OperationalStore", object_type="DataStoreInfoBase"
                        ),
                    )
                ],
            ),
        ],
    ),
    opts=of(hub),
)
dataprotection.BackupInstance(
    "backup-instance",
    backup_instance_name="disk-data",
    vault_name=backups.name,
    resource_group_name=hub_group.name,
    properties=dataprotection.BackupInstanceArgs(
        object_type="BackupInstance",
        friendly_name="disk-data",
        data_source_info=dataprotection.DatasourceArgs(
            object_type="Datasource",
            resource_id=disk.id,
            resource_location=LOCATION,
            resource_name="disk-data",
            resource_type="Microsoft.Compute/disks",
            resource_uri=disk.id,
            datasource_type="Microsoft.Compute/disks",
        ),
        policy_info=dataprotection.PolicyInfoArgs(
            policy_id=policy.id,
            policy_parameters=dataprotection.PolicyParametersArgs(
                data_store_parameters_list=[
                    dataprotection.AzureOperationalStoreParametersArgs(
                        object_type="AzureOperationalStoreParameters",
                        data_store_type="OperationalStore",
                        resource_group_id=hub_group.id,
                    )
                ]
            ),
        ),
    ),
    opts=of(hub, *may_back_up),
)
authorization.ManagementLockByScope(
    "lock",
    lock_name="keep-container",
    scope=container.id,
    level="CanNotDelete",
    notes="test",
    opts=of(hub, reader),  # while the lock is there, nothing below the container can be deleted
)
if os.environ.get("EXTRA"):
    network.ApplicationSecurityGroup("extra", resource_group_name=hub_group.name, opts=of(hub))

client = authorization.get_client_config_output(opts=pulumi.InvokeOptions(provider=spoke))
pulumi.export("subscription", client.subscription_id)
pulumi.export("subnet", hub_net.subnets.apply(lambda subnets: subnets[0].id))
pulumi.export("principal", person.principal_id)
pulumi.export("digest", image.repo_digest)
pulumi.export("peering", spoke_half.peering_state)
pulumi.export("vault", vault.properties.vault_uri)
