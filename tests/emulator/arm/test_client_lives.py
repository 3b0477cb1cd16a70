"""Microsoft's clients of today create, read, update and delete every type of the catalogue.

A client refuses a status that its service does not answer, so that each row is a witness of Azure's.
"""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.mgmt.authorization import AuthorizationManagementClient
from azure.mgmt.compute import ComputeManagementClient
from azure.mgmt.consumption import ConsumptionManagementClient
from azure.mgmt.containerregistry import ContainerRegistryManagementClient
from azure.mgmt.dataprotection import DataProtectionMgmtClient
from azure.mgmt.keyvault import KeyVaultManagementClient
from azure.mgmt.loganalytics import LogAnalyticsManagementClient
from azure.mgmt.monitor import MonitorManagementClient
from azure.mgmt.msi import ManagedServiceIdentityClient
from azure.mgmt.network import NetworkManagementClient
from azure.mgmt.privatedns import PrivateDnsManagementClient
from azure.mgmt.resource.locks import ManagementLockClient
from azure.mgmt.resource.resources import ResourceManagementClient
from azure.mgmt.storage import StorageManagementClient

from azure_types.roles import BUILT_IN
from emulator.arm.latency import Latency
from emulator.arm.tokens import TENANT_ID
from emulator.arm.types import CATALOGUE
from tests.emulator.arm_client import GROUP, SUBSCRIPTION, Arm
from tests.emulator.arm_server import Server

WEST: dict[str, Any] = {"location": "westeurope"}
GLOBAL: dict[str, Any] = {"location": "global"}
TAGS: dict[str, Any] = {"tags": {"party": "centre"}}
NETWORK = f"{GROUP}/providers/Microsoft.Network"
COMPUTE = f"{GROUP}/providers/Microsoft.Compute"
ACCOUNT = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/stone"
VAULT = f"{GROUP}/providers/Microsoft.KeyVault/vaults/kv-one"
WORKSPACE = f"{GROUP}/providers/Microsoft.OperationalInsights/workspaces/logs"
ALERTED = f"{GROUP}/providers/Microsoft.Insights/actionGroups/people"
COLLECTED = f"{GROUP}/providers/Microsoft.Insights/dataCollectionRules/dcr"
BACKUP = f"{GROUP}/providers/Microsoft.DataProtection/backupVaults/bvault"
IDENTITY = f"{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-one"
ASSIGNMENT = str(uuid.uuid4())


def properties(**members: Any) -> dict[str, Any]:
    return {"properties": members}


def named(path: str) -> dict[str, Any]:
    return {"id": path}


@dataclass(frozen=True, kw_only=True)
class Life:
    """How clients make, read, change and remove a resource of one type; `change` and `remove` may be
    missing."""

    type: str
    make: Callable[["Clients"], Any]
    read: Callable[["Clients"], Any]
    change: Callable[["Clients"], Any] | None = None
    remove: Callable[["Clients"], Any] | None = None


RECORDS: dict[str, dict[str, Any]] = {
    "A": {"aRecords": [{"ipv4Address": "10.0.0.9"}]},
    "AAAA": {"aaaaRecords": [{"ipv6Address": "fd00::9"}]},
    "CNAME": {"cnameRecord": {"cname": "host.example.org"}},
    "MX": {"mxRecords": [{"preference": 10, "exchange": "mail.example.org"}]},
    "PTR": {"ptrRecords": [{"ptrdname": "host.example.org"}]},
    "SRV": {"srvRecords": [{"priority": 1, "weight": 1, "port": 443, "target": "host.example.org"}]},
    "TXT": {"txtRecords": [{"value": ["hello"]}]},
}
ROLE = str(uuid.uuid4())
OWN_ROLE: dict[str, Any] = {
    "roleName": "Machine reader",
    "permissions": [{"actions": ["Microsoft.Compute/*/read"]}],
    "assignableScopes": [SUBSCRIPTION],
}


def record_life(kind: str, records: dict[str, Any]) -> Life:
    where = ("rg", BLOB_ZONE, kind, f"host-{kind.lower()}")
    return Life(
        type=f"Microsoft.Network/privateDnsZones/{kind}",
        make=lambda c: c.zones.record_sets.create_or_update(*where, properties(ttl=60, **records)),
        read=lambda c: c.zones.record_sets.get(*where),
        change=lambda c: c.zones.record_sets.update(*where, properties(ttl=30)),
        remove=lambda c: c.zones.record_sets.delete(*where),
    )


class Clients:
    """Every client, each asking the same server."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.arm = Arm(server.plane)

    @cached_property
    def network(self) -> Any:
        return self._server.client(NetworkManagementClient)

    @cached_property
    def compute(self) -> Any:
        return self._server.client(ComputeManagementClient)

    @cached_property
    def storage(self) -> Any:
        return self._server.client(StorageManagementClient)

    @cached_property
    def vaults(self) -> Any:
        return self._server.client(KeyVaultManagementClient)

    @cached_property
    def monitor(self) -> Any:
        return self._server.client(MonitorManagementClient)

    @cached_property
    def identities(self) -> Any:
        return self._server.client(ManagedServiceIdentityClient)

    @cached_property
    def zones(self) -> Any:
        return self._server.client(PrivateDnsManagementClient)

    @cached_property
    def registries(self) -> Any:
        return self._server.client(ContainerRegistryManagementClient).registries

    @cached_property
    def workspaces(self) -> Any:
        return self._server.client(LogAnalyticsManagementClient).workspaces

    @cached_property
    def budgets(self) -> Any:
        return self._server.client(ConsumptionManagementClient).budgets

    @cached_property
    def backup(self) -> Any:
        return self._server.client(DataProtectionMgmtClient)

    @cached_property
    def roles(self) -> Any:
        return self._server.client(AuthorizationManagementClient).role_assignments

    @cached_property
    def definitions(self) -> Any:
        return self._server.client(AuthorizationManagementClient).role_definitions

    @cached_property
    def locks(self) -> Any:
        return self._server.client(ManagementLockClient).management_locks

    @cached_property
    def groups(self) -> Any:
        return self._server.client(ResourceManagementClient).resource_groups

    @cached_property
    def resources(self) -> Any:
        return self._server.client(ResourceManagementClient).resources

    def grant(self, principal: str, role: str, scope: str) -> None:
        identifier = f"{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions/{BUILT_IN[role]}"
        # Azure's advice for an identity that is new: https://aka.ms/docs-principaltype
        kind = {"principalType": "ServicePrincipal"}
        body = {"properties": {"principalId": principal, "roleDefinitionId": identifier, **kind}}
        self.roles.create(scope, str(uuid.uuid4()), body)


def done(answer: Any) -> Any:
    """Wait for a long-running operation; what is none is its own result."""
    return answer.result(timeout=20) if hasattr(answer, "result") else answer


def encryption_set(clients: Clients) -> Any:
    key = clients.vaults.keys.get("rg", "kv-one", "k")
    body = WEST | {"identity": {"type": "UserAssigned", "userAssignedIdentities": {IDENTITY: {}}}}
    body |= properties(activeKey={"keyUrl": key.key_uri_with_version})
    return clients.compute.disk_encryption_sets.begin_create_or_update("rg", "des", body)


def machine(clients: Clients) -> Any:
    image = {"publisher": "Canonical", "offer": "ubuntu-24_04-lts", "sku": "server", "version": "latest"}
    key = {"path": "/home/operator/.ssh/authorized_keys", "keyData": "ssh-ed25519 AAAAC3Nz x"}
    login = {"disablePasswordAuthentication": True, "ssh": {"publicKeys": [key]}}
    body = WEST | properties(
        hardwareProfile={"vmSize": "Standard_B2s_v2"},
        osProfile={"computerName": "vm", "adminUsername": "operator", "linuxConfiguration": login},
        storageProfile={"imageReference": image, "osDisk": {"createOption": "FromImage"}},
        networkProfile={"networkInterfaces": [named(f"{NETWORK}/networkInterfaces/nic")]},
    )
    return clients.compute.virtual_machines.begin_create_or_update("rg", "vm", body)


def backup_instance(clients: Clients) -> Any:
    source = {"resourceID": f"{COMPUTE}/disks/disk", "resourceUri": f"{COMPUTE}/disks/disk"}
    source |= {"datasourceType": "Microsoft.Compute/disks", "resourceType": "Microsoft.Compute/disks"}
    source |= {"resourceName": "disk", "resourceLocation": "westeurope", "objectType": "Datasource"}
    stored = {"objectType": "AzureOperationalStoreParameters", "dataStoreType": "OperationalStore"}
    policy: dict[str, Any] = {"policyId": f"{BACKUP}/backupPolicies/daily"}
    policy["policyParameters"] = {"dataStoreParametersList": [stored | {"resourceGroupId": GROUP}]}
    body = properties(
        objectType="BackupInstance", friendlyName="disk", dataSourceInfo=source, policyInfo=policy
    )
    return clients.backup.backup_instances.begin_create_or_update("rg", "bvault", "disk", body)


def backup_policy(clients: Clients) -> Any:
    principal = clients.backup.backup_vaults.get("rg", "bvault").identity.principal_id
    clients.grant(principal, "Disk Backup Reader", GROUP)
    clients.grant(principal, "Disk Snapshot Contributor", GROUP)
    kept: dict[str, Any] = {"objectType": "AzureRetentionRule", "name": "Default", "isDefault": True}
    kept["lifecycles"] = [
        {
            "deleteAfter": {"objectType": "AbsoluteDeleteOption", "duration": "P7D"},
            "sourceDataStore": {"objectType": "DataStoreInfoBase", "dataStoreType": "OperationalStore"},
        }
    ]
    tag = {"tagInfo": {"tagName": "Default"}, "isDefault": True, "taggingPriority": 99}
    backup: dict[str, Any] = {"objectType": "AzureBackupRule", "name": "BackupDaily"}
    backup["backupParameters"] = {"objectType": "AzureBackupParams", "backupType": "Incremental"}
    backup["dataStore"] = {"objectType": "DataStoreInfoBase", "dataStoreType": "OperationalStore"}
    backup["trigger"] = {
        "objectType": "ScheduleBasedTriggerContext",
        "schedule": {"repeatingTimeIntervals": ["R/2024-01-01T02:00:00+00:00/P1D"], "timeZone": "UTC"},
        "taggingCriteria": [tag],
    }
    body = properties(
        objectType="BackupPolicy", datasourceTypes=["Microsoft.Compute/disks"], policyRules=[kept, backup]
    )
    return clients.backup.backup_policies.create_or_update("rg", "bvault", "daily", body)


def assignment(clients: Clients) -> Any:
    principal = clients.identities.user_assigned_identities.get("rg", "id-one").principal_id
    clients.grant(principal, "Key Vault Crypto Service Encryption User", GROUP)
    role = f"{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions/{BUILT_IN['Reader']}"
    body = properties(principalId=principal, roleDefinitionId=role, principalType="ServicePrincipal")
    return clients.roles.create(GROUP, ASSIGNMENT, body)


def network_life(name: str, space: str) -> Life:
    body = WEST | properties(addressSpace={"addressPrefixes": [space]})
    return Life(
        type="Microsoft.Network/virtualNetworks",
        make=lambda c: c.network.virtual_networks.begin_create_or_update("rg", name, body),
        read=lambda c: c.network.virtual_networks.get("rg", name),
        change=lambda c: c.network.virtual_networks.update_tags("rg", name, TAGS),
        remove=lambda c: c.network.virtual_networks.begin_delete("rg", name),
    )


ROUTE = properties(addressPrefix="10.9.0.0/24", nextHopType="None")
RULE = properties(
    priority=100,
    direction="Inbound",
    access="Allow",
    protocol="Tcp",
    sourceAddressPrefix="*",
    sourcePortRange="*",
    destinationAddressPrefix="*",
    destinationPortRange="8002",
)
SUBNET = named(f"{NETWORK}/virtualNetworks/hub/subnets/one")
BLOB_LINK = {"name": "l"} | properties(privateLinkServiceId=ACCOUNT, groupIds=["blob"])
BLOB_ZONE = "privatelink.blob.core.windows.net"
AGENT = {"publisher": "Microsoft.Azure.Monitor", "type": "AzureMonitorLinuxAgent"}
FLOWS = {
    "streams": ["Microsoft-Syslog"],
    "destinations": ["logs"],
}
SYSLOG = {
    "name": "syslog",
    "streams": ["Microsoft-Syslog"],
    "facilityNames": ["auth"],
    "logLevels": ["Warning"],
}
TOO_BUSY = {
    "odata.type": "Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria",
    "allOf": [
        {
            "name": "cpu",
            "criterionType": "StaticThresholdCriterion",
            "metricName": "Percentage CPU",
            "operator": "GreaterThan",
            "threshold": 90,
            "timeAggregation": "Average",
        }
    ],
}
SILENT = {
    "allOf": [
        {"query": "Heartbeat", "timeAggregation": "Count", "operator": "LessThan", "threshold": 1}
        | {"failingPeriods": {"numberOfEvaluationPeriods": 1, "minFailingPeriodsToAlert": 1}}
    ]
}
TIERED = {
    "name": "cool",
    "enabled": True,
    "type": "Lifecycle",
    "definition": {
        "actions": {"baseBlob": {"tierToCool": {"daysAfterModificationGreaterThan": 30}}},
        "filters": {"blobTypes": ["blockBlob"]},
    },
}
SAFE = properties(
    sku={"family": "A", "name": "standard"},
    tenantId=TENANT_ID,
    enableRbacAuthorization=True,
    enablePurgeProtection=True,
)
SETTING = f"{VAULT}/providers/Microsoft.Insights/diagnosticSettings/audit"
DATED = {"api_version": "2021-05-01-preview"}
AUDITED = properties(workspaceId=WORKSPACE, logs=[{"categoryGroup": "audit", "enabled": True}])
MONEY = properties(
    category="Cost",
    amount=100,
    timeGrain="Monthly",
    timePeriod={"startDate": "2026-12-01T00:00:00Z", "endDate": "2030-12-01T00:00:00Z"},
)

LIVES = [
    Life(
        type="Microsoft.Resources/resourceGroups",
        make=lambda c: c.groups.create_or_update("rg", WEST),
        read=lambda c: c.groups.get("rg"),
        change=lambda c: c.groups.update("rg", TAGS),
        remove=lambda c: c.groups.begin_delete("rg"),
    ),
    Life(
        type="Microsoft.Network/networkSecurityGroups",
        make=lambda c: c.network.network_security_groups.begin_create_or_update("rg", "nsg", WEST),
        read=lambda c: c.network.network_security_groups.get("rg", "nsg"),
        change=lambda c: c.network.network_security_groups.update_tags("rg", "nsg", TAGS),
        remove=lambda c: c.network.network_security_groups.begin_delete("rg", "nsg"),
    ),
    Life(
        type="Microsoft.Network/networkSecurityGroups/securityRules",
        make=lambda c: c.network.security_rules.begin_create_or_update("rg", "nsg", "fl", RULE),
        read=lambda c: c.network.security_rules.get("rg", "nsg", "fl"),
        change=lambda c: c.network.security_rules.begin_create_or_update("rg", "nsg", "fl", RULE),
        remove=lambda c: c.network.security_rules.begin_delete("rg", "nsg", "fl"),
    ),
    Life(
        type="Microsoft.Network/routeTables",
        make=lambda c: c.network.route_tables.begin_create_or_update("rg", "rt", WEST),
        read=lambda c: c.network.route_tables.get("rg", "rt"),
        change=lambda c: c.network.route_tables.update_tags("rg", "rt", TAGS),
        remove=lambda c: c.network.route_tables.begin_delete("rg", "rt"),
    ),
    Life(
        type="Microsoft.Network/routeTables/routes",
        make=lambda c: c.network.routes.begin_create_or_update("rg", "rt", "drop", ROUTE),
        read=lambda c: c.network.routes.get("rg", "rt", "drop"),
        change=lambda c: c.network.routes.begin_create_or_update("rg", "rt", "drop", ROUTE),
        remove=lambda c: c.network.routes.begin_delete("rg", "rt", "drop"),
    ),
    network_life("hub", "10.0.0.0/24"),
    network_life("spoke", "10.1.0.0/24"),
    Life(
        type="Microsoft.Network/virtualNetworks/subnets",
        make=lambda c: c.network.subnets.begin_create_or_update(
            "rg", "hub", "one", properties(addressPrefix="10.0.0.0/26")
        ),
        read=lambda c: c.network.subnets.get("rg", "hub", "one"),
        remove=lambda c: c.network.subnets.begin_delete("rg", "hub", "one"),
    ),
    Life(
        type="Microsoft.Network/virtualNetworks/virtualNetworkPeerings",
        make=lambda c: c.network.virtual_network_peerings.begin_create_or_update(
            "rg", "hub", "p", properties(remoteVirtualNetwork=named(f"{NETWORK}/virtualNetworks/spoke"))
        ),
        read=lambda c: c.network.virtual_network_peerings.get("rg", "hub", "p"),
        remove=lambda c: c.network.virtual_network_peerings.begin_delete("rg", "hub", "p"),
    ),
    Life(
        type="Microsoft.Network/publicIPAddresses",
        make=lambda c: c.network.public_ip_addresses.begin_create_or_update(
            "rg", "ip", WEST | {"sku": {"name": "Standard"}} | properties(publicIPAllocationMethod="Static")
        ),
        read=lambda c: c.network.public_ip_addresses.get("rg", "ip"),
        change=lambda c: c.network.public_ip_addresses.update_tags("rg", "ip", TAGS),
        remove=lambda c: c.network.public_ip_addresses.begin_delete("rg", "ip"),
    ),
    Life(
        type="Microsoft.Network/natGateways",
        make=lambda c: c.network.nat_gateways.begin_create_or_update(
            "rg",
            "nat",
            WEST
            | {"sku": {"name": "Standard"}}
            | properties(publicIpAddresses=[named(f"{NETWORK}/publicIPAddresses/ip")]),
        ),
        read=lambda c: c.network.nat_gateways.get("rg", "nat"),
        change=lambda c: c.network.nat_gateways.update_tags("rg", "nat", TAGS),
        remove=lambda c: c.network.nat_gateways.begin_delete("rg", "nat"),
    ),
    Life(
        type="Microsoft.Network/networkInterfaces",
        make=lambda c: c.network.network_interfaces.begin_create_or_update(
            "rg", "nic", WEST | properties(ipConfigurations=[{"name": "a"} | properties(subnet=SUBNET)])
        ),
        read=lambda c: c.network.network_interfaces.get("rg", "nic"),
        change=lambda c: c.network.network_interfaces.update_tags("rg", "nic", TAGS),
        remove=lambda c: c.network.network_interfaces.begin_delete("rg", "nic"),
    ),
    Life(
        type="Microsoft.Network/networkWatchers",
        make=lambda c: c.network.network_watchers.create_or_update("rg", "watcher", {"location": "uksouth"}),
        read=lambda c: c.network.network_watchers.get("rg", "watcher"),
        change=lambda c: c.network.network_watchers.update_tags("rg", "watcher", TAGS),
        remove=lambda c: c.network.network_watchers.begin_delete("rg", "watcher"),
    ),
    Life(
        type="Microsoft.Storage/storageAccounts",
        make=lambda c: c.storage.storage_accounts.begin_create(
            "rg", "stone", WEST | {"kind": "StorageV2", "sku": {"name": "Standard_LRS"}}
        ),
        read=lambda c: c.storage.storage_accounts.get_properties("rg", "stone"),
        change=lambda c: c.storage.storage_accounts.update("rg", "stone", TAGS),
        remove=lambda c: c.storage.storage_accounts.delete("rg", "stone"),
    ),
    Life(
        type="Microsoft.Storage/storageAccounts/blobServices",
        make=lambda c: c.storage.blob_services.set_service_properties("rg", "stone", properties()),
        read=lambda c: c.storage.blob_services.get_service_properties("rg", "stone"),
    ),
    Life(
        type="Microsoft.Storage/storageAccounts/blobServices/containers",
        make=lambda c: c.storage.blob_containers.create("rg", "stone", "models", {}),
        read=lambda c: c.storage.blob_containers.get("rg", "stone", "models"),
        change=lambda c: c.storage.blob_containers.update(
            "rg", "stone", "models", properties(metadata={"a": "b"})
        ),
        remove=lambda c: c.storage.blob_containers.delete("rg", "stone", "models"),
    ),
    Life(
        type="Microsoft.Storage/storageAccounts/managementPolicies",
        make=lambda c: c.storage.management_policies.create_or_update(
            "rg", "stone", "default", properties(policy={"rules": [TIERED]})
        ),
        read=lambda c: c.storage.management_policies.get("rg", "stone", "default"),
        remove=lambda c: c.storage.management_policies.delete("rg", "stone", "default"),
    ),
    Life(
        type="Microsoft.Network/networkWatchers/flowLogs",
        make=lambda c: c.network.flow_logs.begin_create_or_update(
            "NetworkWatcherRG",
            "NetworkWatcher_westeurope",
            "flows",
            WEST
            | properties(targetResourceId=f"{NETWORK}/virtualNetworks/hub", storageId=ACCOUNT, enabled=True),
        ),
        read=lambda c: c.network.flow_logs.get("NetworkWatcherRG", "NetworkWatcher_westeurope", "flows"),
        change=lambda c: c.network.flow_logs.update_tags(
            "NetworkWatcherRG", "NetworkWatcher_westeurope", "flows", TAGS
        ),
        remove=lambda c: c.network.flow_logs.begin_delete(
            "NetworkWatcherRG", "NetworkWatcher_westeurope", "flows"
        ),
    ),
    Life(
        type="Microsoft.Network/privateDnsZones",
        make=lambda c: c.zones.private_zones.begin_create_or_update("rg", BLOB_ZONE, GLOBAL),
        read=lambda c: c.zones.private_zones.get("rg", BLOB_ZONE),
        change=lambda c: c.zones.private_zones.begin_update("rg", BLOB_ZONE, TAGS),
        remove=lambda c: c.zones.private_zones.begin_delete("rg", BLOB_ZONE),
    ),
    *(record_life(kind, records) for kind, records in RECORDS.items()),
    Life(
        type="Microsoft.Authorization/roleDefinitions",
        make=lambda c: c.definitions.create_or_update(SUBSCRIPTION, ROLE, properties(**OWN_ROLE)),
        read=lambda c: c.definitions.get(SUBSCRIPTION, ROLE),
        change=lambda c: c.definitions.create_or_update(
            SUBSCRIPTION, ROLE, properties(**OWN_ROLE, description="reads machines")
        ),
        remove=lambda c: c.definitions.delete(SUBSCRIPTION, ROLE),
    ),
    Life(
        type="Microsoft.Network/privateDnsZones/virtualNetworkLinks",
        make=lambda c: c.zones.virtual_network_links.begin_create_or_update(
            "rg",
            BLOB_ZONE,
            "hub",
            GLOBAL | properties(virtualNetwork=named(f"{NETWORK}/virtualNetworks/hub")),
        ),
        read=lambda c: c.zones.virtual_network_links.get("rg", BLOB_ZONE, "hub"),
        change=lambda c: c.zones.virtual_network_links.begin_update("rg", BLOB_ZONE, "hub", TAGS),
        remove=lambda c: c.zones.virtual_network_links.begin_delete("rg", BLOB_ZONE, "hub"),
    ),
    Life(
        type="Microsoft.Network/privateEndpoints",
        make=lambda c: c.network.private_endpoints.begin_create_or_update(
            "rg", "pe", WEST | properties(subnet=SUBNET, privateLinkServiceConnections=[BLOB_LINK])
        ),
        read=lambda c: c.network.private_endpoints.get("rg", "pe"),
        remove=lambda c: c.network.private_endpoints.begin_delete("rg", "pe"),
    ),
    Life(
        type="Microsoft.Network/privateEndpoints/privateDnsZoneGroups",
        make=lambda c: c.network.private_dns_zone_groups.begin_create_or_update(
            "rg",
            "pe",
            "default",
            properties(
                privateDnsZoneConfigs=[
                    {"name": "blob"} | properties(privateDnsZoneId=f"{NETWORK}/privateDnsZones/{BLOB_ZONE}")
                ]
            ),
        ),
        read=lambda c: c.network.private_dns_zone_groups.get("rg", "pe", "default"),
        remove=lambda c: c.network.private_dns_zone_groups.begin_delete("rg", "pe", "default"),
    ),
    Life(
        type="Microsoft.ManagedIdentity/userAssignedIdentities",
        make=lambda c: c.identities.user_assigned_identities.create_or_update("rg", "id-one", WEST),
        read=lambda c: c.identities.user_assigned_identities.get("rg", "id-one"),
        change=lambda c: c.identities.user_assigned_identities.update("rg", "id-one", TAGS),
        remove=lambda c: c.identities.user_assigned_identities.delete("rg", "id-one"),
    ),
    Life(
        type="Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials",
        make=lambda c: c.identities.federated_identity_credentials.create_or_update(
            "rg",
            "id-one",
            "git",
            properties(
                issuer="https://token.actions.githubusercontent.com", subject="repo:a", audiences=["api"]
            ),
        ),
        read=lambda c: c.identities.federated_identity_credentials.get("rg", "id-one", "git"),
        remove=lambda c: c.identities.federated_identity_credentials.delete("rg", "id-one", "git"),
    ),
    Life(
        type="Microsoft.Authorization/roleAssignments",
        make=assignment,
        read=lambda c: c.roles.get(GROUP, ASSIGNMENT),
        remove=lambda c: c.roles.delete(GROUP, ASSIGNMENT),
    ),
    Life(
        type="Microsoft.DataProtection/backupVaults",
        make=lambda c: c.backup.backup_vaults.begin_create_or_update(
            "rg",
            "bvault",
            WEST
            | {"identity": {"type": "SystemAssigned"}}
            | properties(storageSettings=[{"datastoreType": "VaultStore", "type": "LocallyRedundant"}]),
        ),
        read=lambda c: c.backup.backup_vaults.get("rg", "bvault"),
        change=lambda c: c.backup.backup_vaults.begin_update("rg", "bvault", TAGS),
        remove=lambda c: c.backup.backup_vaults.begin_delete("rg", "bvault"),
    ),
    Life(
        type="Microsoft.DataProtection/backupVaults/backupPolicies",
        make=backup_policy,
        read=lambda c: c.backup.backup_policies.get("rg", "bvault", "daily"),
        remove=lambda c: c.backup.backup_policies.delete("rg", "bvault", "daily"),
    ),
    Life(
        type="Microsoft.KeyVault/vaults",
        make=lambda c: c.vaults.vaults.begin_create_or_update("rg", "kv-one", WEST | SAFE),
        read=lambda c: c.vaults.vaults.get("rg", "kv-one"),
        change=lambda c: c.vaults.vaults.update("rg", "kv-one", TAGS | properties(enabledForDeployment=True)),
        remove=lambda c: c.vaults.vaults.delete("rg", "kv-one"),
    ),
    Life(
        type="Microsoft.KeyVault/vaults/keys",
        make=lambda c: c.vaults.keys.create_if_not_exist("rg", "kv-one", "k", properties(kty="RSA")),
        read=lambda c: c.vaults.keys.get("rg", "kv-one", "k"),
    ),
    Life(
        type="Microsoft.Compute/diskEncryptionSets",
        make=encryption_set,
        read=lambda c: c.compute.disk_encryption_sets.get("rg", "des"),
        change=lambda c: c.compute.disk_encryption_sets.begin_update("rg", "des", TAGS),
        remove=lambda c: c.compute.disk_encryption_sets.begin_delete("rg", "des"),
    ),
    Life(
        type="Microsoft.Compute/disks",
        make=lambda c: c.compute.disks.begin_create_or_update(
            "rg", "disk", WEST | properties(creationData={"createOption": "Empty"}, diskSizeGB=4)
        ),
        read=lambda c: c.compute.disks.get("rg", "disk"),
        change=lambda c: c.compute.disks.begin_update("rg", "disk", properties(diskSizeGB=8)),
        remove=lambda c: c.compute.disks.begin_delete("rg", "disk"),
    ),
    Life(
        type="Microsoft.Compute/virtualMachines",
        make=machine,
        read=lambda c: c.compute.virtual_machines.get("rg", "vm"),
        change=lambda c: c.compute.virtual_machines.begin_update("rg", "vm", TAGS),
        remove=lambda c: c.compute.virtual_machines.begin_delete("rg", "vm"),
    ),
    Life(
        type="Microsoft.Compute/virtualMachines/extensions",
        make=lambda c: c.compute.virtual_machine_extensions.begin_create_or_update(
            "rg", "vm", "agent", WEST | properties(**AGENT, typeHandlerVersion="1.29")
        ),
        read=lambda c: c.compute.virtual_machine_extensions.get("rg", "vm", "agent"),
        change=lambda c: c.compute.virtual_machine_extensions.begin_update("rg", "vm", "agent", TAGS),
        remove=lambda c: c.compute.virtual_machine_extensions.begin_delete("rg", "vm", "agent"),
    ),
    Life(
        type="Microsoft.ContainerRegistry/registries",
        make=lambda c: c.registries.begin_create("rg", "crone5", WEST | {"sku": {"name": "Premium"}}),
        read=lambda c: c.registries.get("rg", "crone5"),
        change=lambda c: c.registries.begin_update("rg", "crone5", TAGS | properties(adminUserEnabled=True)),
        remove=lambda c: c.registries.begin_delete("rg", "crone5"),
    ),
    Life(
        type="Microsoft.OperationalInsights/workspaces",
        make=lambda c: c.workspaces.begin_create_or_update("rg", "logs", WEST),
        read=lambda c: c.workspaces.get("rg", "logs"),
        change=lambda c: c.workspaces.update("rg", "logs", TAGS | properties(retentionInDays=60)),
        remove=lambda c: c.workspaces.begin_delete("rg", "logs"),
    ),
    Life(
        type="Microsoft.Insights/actionGroups",
        make=lambda c: c.monitor.action_groups.create_or_update(
            "rg",
            "people",
            GLOBAL
            | properties(
                groupShortName="p",
                enabled=True,
                emailReceivers=[{"name": "it", "emailAddress": "it@example.org"}],
            ),
        ),
        read=lambda c: c.monitor.action_groups.get("rg", "people"),
        change=lambda c: c.monitor.action_groups.update("rg", "people", TAGS),
        remove=lambda c: c.monitor.action_groups.delete("rg", "people"),
    ),
    Life(
        type="Microsoft.Insights/dataCollectionRules",
        make=lambda c: c.monitor.data_collection_rules.create(
            "rg",
            "dcr",
            WEST
            | properties(
                dataFlows=[FLOWS],
                dataSources={"syslog": [SYSLOG]},
                destinations={"logAnalytics": [{"name": "logs", "workspaceResourceId": WORKSPACE}]},
            ),
        ),
        read=lambda c: c.monitor.data_collection_rules.get("rg", "dcr"),
        change=lambda c: c.monitor.data_collection_rules.update("rg", "dcr", TAGS),
        remove=lambda c: c.monitor.data_collection_rules.delete("rg", "dcr"),
    ),
    Life(
        type="Microsoft.Insights/dataCollectionRuleAssociations",
        make=lambda c: c.monitor.data_collection_rule_associations.create(
            f"{COMPUTE}/virtualMachines/vm", "dcra", properties(dataCollectionRuleId=COLLECTED)
        ),
        read=lambda c: c.monitor.data_collection_rule_associations.get(
            f"{COMPUTE}/virtualMachines/vm", "dcra"
        ),
        remove=lambda c: c.monitor.data_collection_rule_associations.delete(
            f"{COMPUTE}/virtualMachines/vm", "dcra"
        ),
    ),
    Life(
        type="Microsoft.Insights/diagnosticSettings",
        # azure-mgmt-monitor 7 has no client for them; the general one has.
        make=lambda c: c.resources.begin_create_or_update_by_id(SETTING, AUDITED, **DATED),
        read=lambda c: c.resources.get_by_id(SETTING, **DATED),
        remove=lambda c: c.resources.begin_delete_by_id(SETTING, **DATED),
    ),
    Life(
        type="Microsoft.Insights/metricAlerts",
        make=lambda c: c.monitor.metric_alerts.create_or_update(
            "rg",
            "busy",
            GLOBAL
            | properties(
                severity=2,
                enabled=True,
                scopes=[f"{COMPUTE}/virtualMachines/vm"],
                evaluationFrequency="PT5M",
                windowSize="PT15M",
                criteria=TOO_BUSY,
                actions=[{"actionGroupId": ALERTED}],
            ),
        ),
        read=lambda c: c.monitor.metric_alerts.get("rg", "busy"),
        change=lambda c: c.monitor.metric_alerts.update("rg", "busy", TAGS),
        remove=lambda c: c.monitor.metric_alerts.delete("rg", "busy"),
    ),
    Life(
        type="Microsoft.Insights/scheduledQueryRules",
        make=lambda c: c.monitor.scheduled_query_rules.create_or_update(
            "rg",
            "silent",
            WEST
            | properties(
                severity=2,
                enabled=True,
                scopes=[WORKSPACE],
                evaluationFrequency="PT5M",
                windowSize="PT15M",
                criteria=SILENT,
            ),
        ),
        read=lambda c: c.monitor.scheduled_query_rules.get("rg", "silent"),
        change=lambda c: c.monitor.scheduled_query_rules.update("rg", "silent", TAGS),
        remove=lambda c: c.monitor.scheduled_query_rules.delete("rg", "silent"),
    ),
    Life(
        type="Microsoft.Consumption/budgets",
        make=lambda c: c.budgets.create_or_update(GROUP, "money", MONEY),
        read=lambda c: c.budgets.get(GROUP, "money"),
        remove=lambda c: c.budgets.delete(GROUP, "money"),
    ),
    Life(
        type="Microsoft.DataProtection/backupVaults/backupInstances",
        make=backup_instance,
        read=lambda c: c.backup.backup_instances.get("rg", "bvault", "disk"),
        remove=lambda c: c.backup.backup_instances.begin_delete("rg", "bvault", "disk"),
    ),
    Life(
        type="Microsoft.Authorization/locks",
        make=lambda c: c.locks.create_or_update_at_resource_group_level(
            "rg", "stay", properties(level="CanNotDelete")
        ),
        read=lambda c: c.locks.get_at_resource_group_level("rg", "stay"),
        remove=lambda c: c.locks.delete_at_resource_group_level("rg", "stay"),
    ),
]


@pytest.fixture(params=[0.0, 0.002], ids=["at once", "in a five-hundredth of Azure's time"])
def clients(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Clients]:
    server = Server(tmp_path, Latency(request.param))
    yield Clients(server)
    server.close()


def test_microsofts_clients_lead_every_type_through_its_life(clients: Clients) -> None:
    for life in LIVES:
        done(life.make(clients))
        assert life.read(clients).name
        if life.change is not None:
            done(life.change(clients))
    for life in reversed(LIVES):
        if life.remove is None:
            continue
        done(life.remove(clients))
        with pytest.raises(ResourceNotFoundError):
            life.read(clients)


def test_no_type_that_clients_can_make_is_left_out() -> None:
    makeable = {type_.name for type_ in CATALOGUE if "PUT" in type_.methods and type_.creatable}
    assert makeable == {life.type for life in LIVES}
