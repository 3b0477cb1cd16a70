"""Each rule about one resource: what it accepts, what it stops, and that it never guesses."""

import base64
import copy
from collections.abc import Iterator
from typing import Any

import pytest

import policies.check  # noqa: F401 fills RULES
from federation.curated import CURATED_ONLY
from policies.planned import Planned
from policies.rule import RULES, Level, Rule
from pulumi_wire.values import UNKNOWN

Props = dict[str, Any]


def planned(kind: str, props: Props, **more: Any) -> Planned:
    token = f"azure-native:{kind}"
    urn = f"urn:pulumi:dev::fed::{token}::it"
    return Planned(type=token, name="it", urn=urn, props=props, **more)


def changed(props: Props, path: str, value: Any) -> Props:
    """Return a copy with one property changed, at a dotted path; None removes it."""
    result = copy.deepcopy(props)
    *above, last = path.split(".")
    here: Any = result
    for step in above:
        here = here[int(step)] if isinstance(here, list) else here.setdefault(step, {})
    if value is None:
        here.pop(last, None)
    else:
        here[last] = value
    return result


def faults(rule: str, kind: str, props: Props, **more: Any) -> list[str]:
    return [f.what for f in RULES[rule].faults(planned(kind, props, **more))]


NIC = {"ipConfigurations": [{"name": "private", "privateIPAddress": "10.0.0.4"}], "enableIPForwarding": False}
_GATEWAY = "Microsoft.PowerPlatform/vnetaccesslinks"
VNET = {
    "subnets": [
        {
            "name": "workload",
            "networkSecurityGroup": {"id": UNKNOWN},
            "defaultOutboundAccess": False,
            "privateEndpointNetworkPolicies": "Enabled",
        }
    ]
}
NATTED = {"subnets": [VNET["subnets"][0] | {"natGateway": {"id": UNKNOWN}}]}
_RULE = {"access": "Allow", "protocol": "Tcp", "sourcePortRange": "*", "destinationPortRange": "443"}
_DENY = {
    "name": "deny",
    "access": "Deny",
    "protocol": "*",
    "priority": 4096.0,
    "sourceAddressPrefix": "*",
    "destinationAddressPrefix": "*",
    "destinationPortRange": "*",
}
NSG = {
    "securityRules": [
        {**_DENY, "direction": "Inbound"},
        {**_DENY, "direction": "Outbound"},
        {
            **_RULE,
            "name": "in",
            "direction": "Inbound",
            "priority": 100.0,
            "sourceAddressPrefixes": ["10.0.1.4/32", "10.0.2.4/32"],
            "destinationAddressPrefix": "10.0.0.4/32",
        },
        {
            **_RULE,
            "name": "out",
            "direction": "Outbound",
            "priority": 100.0,
            "sourceAddressPrefix": "10.0.0.4/32",
            "destinationAddressPrefix": "10.0.1.4/32",
        },
        {
            **_RULE,
            "name": "web",
            "direction": "Outbound",
            "priority": 110.0,
            "sourceAddressPrefix": "10.0.0.4/32",
            "destinationAddressPrefix": "Internet",
            "destinationPortRange": None,
            "destinationPortRanges": ["80", "443"],
        },
    ]
}
PEERING = {
    "allowForwardedTraffic": False,
    "allowGatewayTransit": False,
    "useRemoteGateways": False,
    "allowVirtualNetworkAccess": True,
}
ROUTES = {"routes": [{"name": "drop", "nextHopType": "None"}]}
FIREWALL = {"routes": [{"name": "firewall", "addressPrefix": "0.0.0.0/0", "nextHopType": "VirtualAppliance"}]}
ENDPOINT = {
    "privateLinkServiceConnections": [{"name": "data", "privateLinkServiceId": "/subscriptions/mine/x/y"}]
}
RECORD = {"aRecords": [{"ipv4Address": "10.0.0.68"}]}
ACCOUNT = {
    "publicNetworkAccess": "Disabled",
    "networkRuleSet": {
        "defaultAction": "Deny",
        "bypass": "AzureServices",
        "ipRules": [],
        "virtualNetworkRules": [],
    },
    "allowSharedKeyAccess": False,
    "isLocalUserEnabled": False,
    "isSftpEnabled": False,
    "allowBlobPublicAccess": False,
    "allowCrossTenantReplication": False,
    "allowedCopyScope": "AAD",
    "minimumTlsVersion": "TLS1_2",
    "enableHttpsTrafficOnly": True,
    "encryption": {
        "keySource": "Microsoft.Keyvault",
        "keyVaultProperties": {"keyName": "party"},
        "requireInfrastructureEncryption": True,
    },
}


def _at(address: str) -> Props:
    return {"iPAddressOrRange": address, "action": "Allow"}


_OFFICE = _at("198.51.100.7")
WINDOW = ACCOUNT | {
    "publicNetworkAccess": "Enabled",
    "networkRuleSet": {"defaultAction": "Deny", "bypass": "AzureServices", "ipRules": [_OFFICE]},
    "tags": {"party": "hungary", "windowUntil": "9999-01-31"},
}
BLOBS = {
    "isVersioningEnabled": True,
    "deleteRetentionPolicy": {"enabled": True, "days": 7.0},
    "containerDeleteRetentionPolicy": {"enabled": True, "days": 30.0},
}
REGISTRY = {
    "adminUserEnabled": False,
    "anonymousPullEnabled": False,
    "sku": {"name": "Premium"},
    "publicNetworkAccess": "Disabled",
    "networkRuleSet": {"defaultAction": "Deny", "ipRules": []},
}
VAULT = {
    "properties": {
        "publicNetworkAccess": "Disabled",
        "networkAcls": {
            "defaultAction": "Deny",
            "bypass": "AzureServices",
            "ipRules": [],
            "virtualNetworkRules": [],
        },
        "enableRbacAuthorization": True,
        "enablePurgeProtection": True,
    }
}
KEY = {"properties": {"kty": "RSA", "keySize": 3072.0}}
VM = {
    "identity": {"type": "UserAssigned", "userAssignedIdentities": [UNKNOWN]},
    "osProfile": {
        "customData": base64.b64encode(b"#cloud-config\n").decode(),
        "linuxConfiguration": {"disablePasswordAuthentication": True},
    },
    "securityProfile": {
        "securityType": "TrustedLaunch",
        "uefiSettings": {"secureBootEnabled": True, "vTpmEnabled": True},
        "encryptionAtHost": True,
    },
    "storageProfile": {
        "imageReference": {"publisher": "Canonical", "version": "24.04.1"},
        "osDisk": {"deleteOption": "Delete"},
        "dataDisks": [{"deleteOption": "Detach"}],
    },
}
EXTENSION = {"publisher": "Microsoft.Azure.Monitor", "type": "AzureMonitorLinuxAgent"}
DISK = {
    "networkAccessPolicy": "DenyAll",
    "publicNetworkAccess": "Disabled",
    "encryption": {"diskEncryptionSetId": "/x", "type": "EncryptionAtRestWithCustomerKey"},
}
_READER = (
    "/subscriptions/s/providers/Microsoft.Authorization/roleDefinitions/2a2b9908-6ea1-4ae2-8e65-a410df84e7d1"
)
_STORAGE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/a"
ROLE = {
    "roleDefinitionId": _READER,
    "scope": f"{_STORAGE}/blobServices/default/containers/data",
    "principalType": "ServicePrincipal",
}
_CONTRIBUTOR = _READER.replace(_READER.rsplit("/", 1)[1], "ba92f5b4-2d11-453d-a403-e96b0029c9fe")
PEOPLE = ROLE | {"principalType": "Group", "roleDefinitionId": _CONTRIBUTOR}
READERS = ROLE | {"principalType": "Group", "condition": CURATED_ONLY}
WORKSPACE = {"features": {"disableLocalAuth": True}, "retentionInDays": 90.0}
LOCK = {"level": "CanNotDelete"}

NET, STORE, COMPUTE = "network:", "storage:", "compute:"
BREAKS: list[tuple[str, str, Props, str, Any]] = [
    ("nic-no-public-ip", NET + "NetworkInterface", NIC, "ipConfigurations.0.publicIPAddress", {"id": "x"}),
    ("nic-no-forwarding", NET + "NetworkInterface", NIC, "enableIPForwarding", True),
    ("subnet-closed", NET + "VirtualNetwork", VNET, "subnets.0.networkSecurityGroup", None),
    ("subnet-closed", NET + "VirtualNetwork", VNET, "subnets.0.defaultOutboundAccess", None),
    ("subnet-closed", NET + "VirtualNetwork", VNET, "subnets.0.privateEndpointNetworkPolicies", "Disabled"),
    ("subnet-closed", NET + "VirtualNetwork", VNET, "subnets.0.serviceEndpoints", [{"service": "x"}]),
    ("subnet-closed", NET + "VirtualNetwork", VNET, "subnets.0.delegations", [{"serviceName": _GATEWAY}]),
    ("nsg-inbound-named", NET + "NetworkSecurityGroup", NSG, "securityRules.2.sourceAddressPrefix", "*"),
    (
        "nsg-inbound-named",
        NET + "NetworkSecurityGroup",
        NSG,
        "securityRules.2.sourceAddressPrefix",
        "Internet",
    ),
    (
        "nsg-inbound-named",
        NET + "NetworkSecurityGroup",
        NSG,
        "securityRules.2.sourceAddressPrefix",
        "VirtualNetwork",
    ),
    (
        "nsg-inbound-named",
        NET + "NetworkSecurityGroup",
        NSG,
        "securityRules.2.sourceAddressPrefix",
        "10.0.0.0/8",
    ),
    ("nsg-inbound-named", NET + "NetworkSecurityGroup", NSG, "securityRules.2.destinationPortRange", "*"),
    (
        "nsg-outbound-named",
        NET + "NetworkSecurityGroup",
        NSG,
        "securityRules.3.destinationAddressPrefix",
        "*",
    ),
    (
        "nsg-outbound-named",
        NET + "NetworkSecurityGroup",
        NSG,
        "securityRules.3.destinationAddressPrefix",
        "VirtualNetwork",
    ),
    ("nsg-outbound-named", NET + "NetworkSecurityGroup", NSG, "securityRules.4.destinationPortRange", "22"),
    ("nsg-outbound-named", NET + "NetworkSecurityGroup", NSG, "securityRules.3.destinationPortRange", "*"),
    ("nsg-denies-rest", NET + "NetworkSecurityGroup", NSG, "securityRules.0.access", "Allow"),
    ("nsg-denies-rest", NET + "NetworkSecurityGroup", NSG, "securityRules.1.protocol", "Tcp"),
    ("nsg-denies-rest", NET + "NetworkSecurityGroup", NSG, "securityRules.1.priority", 90.0),
    ("nsg-denies-rest", NET + "NetworkSecurityGroup", NSG, "securityRules", []),
    ("peering-flags", NET + "VirtualNetworkPeering", PEERING, "allowForwardedTraffic", True),
    ("peering-flags", NET + "VirtualNetworkPeering", PEERING, "allowGatewayTransit", True),
    ("peering-flags", NET + "VirtualNetworkPeering", PEERING, "useRemoteGateways", True),
    ("routes-stay-inside", NET + "RouteTable", ROUTES, "routes.0.nextHopType", "VirtualAppliance"),
    ("routes-stay-inside", NET + "RouteTable", FIREWALL, "routes.0.addressPrefix", "10.10.0.0/24"),
    ("subnet-closed", NET + "VirtualNetwork", NATTED, "subnets.0.routeTable", {"id": "/a/table"}),
    (
        "endpoint-approved",
        NET + "PrivateEndpoint",
        ENDPOINT,
        "manualPrivateLinkServiceConnections",
        [{"name": "x"}],
    ),
    (
        "endpoint-approved",
        NET + "PrivateEndpoint",
        ENDPOINT,
        "privateLinkServiceConnections.0.privateLinkServiceId",
        "/subscriptions/yours/x/y",
    ),
    ("dns-records-private", "privatedns:PrivateRecordSet", RECORD, "aRecords.0.ipv4Address", "203.0.113.7"),
    ("storage-closed", STORE + "StorageAccount", ACCOUNT, "publicNetworkAccess", "Enabled"),
    ("storage-closed", STORE + "StorageAccount", ACCOUNT, "publicNetworkAccess", None),
    ("storage-closed", STORE + "StorageAccount", ACCOUNT, "networkRuleSet.defaultAction", "Allow"),
    ("storage-closed", STORE + "StorageAccount", ACCOUNT, "networkRuleSet.ipRules", [{"x": 1}]),
    ("storage-closed", STORE + "StorageAccount", ACCOUNT, "networkRuleSet.virtualNetworkRules", [{"x": 1}]),
    ("storage-no-keys", STORE + "StorageAccount", ACCOUNT, "allowSharedKeyAccess", True),
    ("storage-no-keys", STORE + "StorageAccount", ACCOUNT, "allowSharedKeyAccess", None),
    ("storage-no-keys", STORE + "StorageAccount", ACCOUNT, "isLocalUserEnabled", True),
    ("storage-no-keys", STORE + "StorageAccount", ACCOUNT, "isSftpEnabled", True),
    ("storage-no-anonymous", STORE + "StorageAccount", ACCOUNT, "allowBlobPublicAccess", True),
    ("storage-no-anonymous", STORE + "BlobContainer", {"publicAccess": "None"}, "publicAccess", "Container"),
    ("storage-no-copy-out", STORE + "StorageAccount", ACCOUNT, "allowCrossTenantReplication", True),
    ("storage-no-copy-out", STORE + "StorageAccount", ACCOUNT, "allowedCopyScope", None),
    ("storage-tls", STORE + "StorageAccount", ACCOUNT, "minimumTlsVersion", "TLS1_1"),
    ("storage-tls", STORE + "StorageAccount", ACCOUNT, "enableHttpsTrafficOnly", False),
    ("storage-own-key", STORE + "StorageAccount", ACCOUNT, "encryption.keySource", "Microsoft.Storage"),
    ("storage-own-key", STORE + "StorageAccount", ACCOUNT, "encryption.keyVaultProperties", {}),
    (
        "storage-doubly-encrypted",
        STORE + "StorageAccount",
        ACCOUNT,
        "encryption.requireInfrastructureEncryption",
        False,
    ),
    ("blob-recoverable", STORE + "BlobServiceProperties", BLOBS, "isVersioningEnabled", False),
    ("blob-recoverable", STORE + "BlobServiceProperties", BLOBS, "deleteRetentionPolicy.days", 6.0),
    (
        "blob-recoverable",
        STORE + "BlobServiceProperties",
        BLOBS,
        "containerDeleteRetentionPolicy.enabled",
        False,
    ),
    ("registry-identities", "containerregistry:Registry", REGISTRY, "adminUserEnabled", True),
    ("registry-identities", "containerregistry:Registry", REGISTRY, "anonymousPullEnabled", True),
    ("registry-identities", "containerregistry:Registry", REGISTRY, "sku.name", "Standard"),
    ("registry-closed", "containerregistry:Registry", REGISTRY, "publicNetworkAccess", "Enabled"),
    ("registry-closed", "containerregistry:Registry", REGISTRY, "networkRuleSet.ipRules", [{"x": 1}]),
    ("vault-closed", "keyvault:Vault", VAULT, "properties.publicNetworkAccess", "Enabled"),
    ("vault-closed", "keyvault:Vault", VAULT, "properties.networkAcls.defaultAction", "Allow"),
    ("vault-closed", "keyvault:Vault", VAULT, "properties.enableRbacAuthorization", None),
    ("vault-closed", "keyvault:Vault", VAULT, "properties.accessPolicies", [{"x": 1}]),
    ("vault-purge-protection", "keyvault:Vault", VAULT, "properties.enablePurgeProtection", None),
    ("key-strength", "keyvault:Key", KEY, "properties.keySize", 2048.0),
    ("key-strength", "keyvault:Key", KEY, "properties.kty", "EC"),
    ("logs-identities", "operationalinsights:Workspace", WORKSPACE, "features.disableLocalAuth", None),
    ("log-retention", "operationalinsights:Workspace", WORKSPACE, "retentionInDays", 30.0),
    (
        "vm-no-password",
        COMPUTE + "VirtualMachine",
        VM,
        "osProfile.linuxConfiguration.disablePasswordAuthentication",
        False,
    ),
    ("vm-no-password", COMPUTE + "VirtualMachine", VM, "osProfile.adminPassword", "hunter2"),
    ("vm-trusted-launch", COMPUTE + "VirtualMachine", VM, "securityProfile.securityType", None),
    (
        "vm-trusted-launch",
        COMPUTE + "VirtualMachine",
        VM,
        "securityProfile.uefiSettings.secureBootEnabled",
        False,
    ),
    ("vm-encryption-at-host", COMPUTE + "VirtualMachine", VM, "securityProfile.encryptionAtHost", None),
    ("vm-own-identity", COMPUTE + "VirtualMachine", VM, "identity.userAssignedIdentities", ["a", "b"]),
    ("vm-own-identity", COMPUTE + "VirtualMachine", VM, "identity.type", "SystemAssigned"),
    (
        "vm-no-secret",
        COMPUTE + "VirtualMachine",
        VM,
        "userData",
        "-----BEGIN " + "PRIVATE KEY-----",
    ),
    (
        "vm-no-secret",
        COMPUTE + "VirtualMachine",
        VM,
        "osProfile.customData",
        base64.b64encode(b"x AccountKey=abc").decode(),
    ),
    ("vm-image-pinned", COMPUTE + "VirtualMachine", VM, "storageProfile.imageReference.version", "latest"),
    ("vm-image-publisher", COMPUTE + "VirtualMachine", VM, "storageProfile.imageReference.publisher", "Evil"),
    ("vm-image-publisher", COMPUTE + "VirtualMachine", VM, "storageProfile.imageReference.id", "/x/images/y"),
    (
        "vm-disks-live-and-die",
        COMPUTE + "VirtualMachine",
        VM,
        "storageProfile.dataDisks.0.deleteOption",
        "Delete",
    ),
    ("vm-disks-live-and-die", COMPUTE + "VirtualMachine", VM, "storageProfile.osDisk.deleteOption", None),
    ("vm-extensions-known", COMPUTE + "VirtualMachineExtension", EXTENSION, "type", "CustomScript"),
    ("vm-extensions-known", COMPUTE + "VirtualMachineExtension", EXTENSION, "protectedSettings", {"x": 1}),
    ("disk-closed", COMPUTE + "Disk", DISK, "networkAccessPolicy", "AllowAll"),
    ("disk-closed", COMPUTE + "Disk", DISK, "publicNetworkAccess", None),
    ("disk-own-key", COMPUTE + "Disk", DISK, "encryption.diskEncryptionSetId", None),
    ("role-narrow", "authorization:RoleAssignment", ROLE, "scope", _STORAGE),
    ("role-narrow", "authorization:RoleAssignment", ROLE, "scope", "/subscriptions/s"),
    ("role-narrow", "authorization:RoleAssignment", ROLE, "scope", "/subscriptions/s/resourceGroups/g"),
    ("role-narrow", "authorization:RoleAssignment", ROLE, "roleDefinitionId", "/x/roleDefinitions/owner"),
    ("role-for-machines", "authorization:RoleAssignment", ROLE, "principalType", "User"),
    ("role-for-machines", "authorization:RoleAssignment", ROLE, "principalType", "Group"),
    ("role-for-machines", "authorization:RoleAssignment", READERS, "condition", None),
    (
        "role-for-machines",
        "authorization:RoleAssignment",
        READERS,
        "condition",
        f"{CURATED_ONLY} OR (1 == 1)",
    ),
    ("role-for-machines", "authorization:RoleAssignment", READERS, "roleDefinitionId", _CONTRIBUTOR),
    ("role-for-machines", "authorization:RoleAssignment", PEOPLE, "roleDefinitionId", "/x/owner"),
    ("role-for-machines", "authorization:RoleAssignment", PEOPLE, "roleDefinitionId", _READER),
    (
        "role-for-machines",
        "authorization:RoleAssignment",
        PEOPLE,
        "scope",
        f"{_STORAGE}/blobServices/default/containers/client-hungary",
    ),
    ("storage-closed", STORE + "StorageAccount", WINDOW, "publicNetworkAccess", "SecuredByPerimeter"),
    ("storage-closed", STORE + "StorageAccount", WINDOW, "networkRuleSet.defaultAction", "Allow"),
    ("storage-closed", STORE + "StorageAccount", WINDOW, "networkRuleSet.ipRules", [_OFFICE, _OFFICE]),
    ("storage-closed", STORE + "StorageAccount", WINDOW, "networkRuleSet.ipRules", [_at("198.51.100.0/24")]),
    ("storage-closed", STORE + "StorageAccount", WINDOW, "networkRuleSet.ipRules", [_at("10.0.0.1")]),
    ("storage-closed", STORE + "StorageAccount", WINDOW, "tags.windowUntil", "2026-01-01"),
    ("storage-closed", STORE + "StorageAccount", WINDOW, "tags.windowUntil", "soon"),
    ("storage-closed", STORE + "StorageAccount", WINDOW, "tags.windowUntil", None),
    ("storage-closed", STORE + "StorageAccount", WINDOW, "tags.party", "centre"),
    ("lock-blocks-deletion", "authorization:ManagementLockByScope", LOCK, "level", "ReadOnly"),
]


@pytest.mark.parametrize(
    ("rule", "kind", "good", "path", "bad"), BREAKS, ids=lambda v: v if isinstance(v, str) else ""
)
def test_one_wrong_property_breaks_its_rule_and_nothing_else_does(
    rule: str, kind: str, good: Props, path: str, bad: Any
) -> None:
    more = {"subscription": "mine"} if rule == "endpoint-approved" else {}

    assert faults(rule, kind, good, **more) == []
    assert faults(rule, kind, changed(good, path, bad), **more)


@pytest.mark.parametrize(
    ("rule", "kind", "good", "path"),
    [
        (rule, kind, good, path)
        for rule, kind, good, path, bad in BREAKS
        # For the others, that the property is planned at all is what is wrong.
        if not isinstance(bad, list | dict) and not path.endswith("adminPassword")
    ],
)
def test_a_value_that_is_not_known_yet_breaks_nothing(rule: str, kind: str, good: Props, path: str) -> None:
    assert faults(rule, kind, changed(good, path, UNKNOWN)) == []


def _leaves(props: Any, path: str = "") -> Iterator[str]:
    if isinstance(props, dict):
        for key, value in props.items():
            yield from _leaves(value, f"{path}.{key}" if path else key)
    elif path:
        yield path


@pytest.mark.parametrize("name", sorted(RULES))
def test_no_rule_stumbles_over_a_resource_of_which_nothing_is_known(name: str) -> None:
    rule = RULES[name]
    for token in rule.types:
        kind = token.removeprefix("azure-native:")
        for good in {id(g): g for r, k, g, _, _ in BREAKS if k == kind}.values():
            for path in _leaves(good):
                list(rule.faults(planned(kind, changed(good, path, UNKNOWN))))


@pytest.mark.parametrize("name", sorted(n for n, r in RULES.items() if not r.stack_wide))
def test_every_rule_about_one_resource_is_broken_here_once(name: str) -> None:
    never_allowed = {"subnets-inline", "no-custom-role"}

    assert name in {rule for rule, *_ in BREAKS} | never_allowed


@pytest.mark.parametrize(
    ("rule", "kind"),
    [
        ("subnets-inline", "network:Subnet"),
        ("subnets-inline", "network:SecurityRule"),
        ("subnets-inline", "network:Route"),
        ("no-custom-role", "authorization:RoleDefinition"),
        ("no-custom-role", "managedidentity:FederatedIdentityCredential"),
    ],
)
def test_some_types_are_refused_whatever_they_say(rule: str, kind: str) -> None:
    assert faults(rule, kind, {})


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda r: r.name)
def test_a_violation_says_resource_fault_reason_and_mend(rule: Rule) -> None:
    text = rule.message("vm-fed-dev-cleveland", "it is wrong")

    assert text.startswith("vm-fed-dev-cleveland: it is wrong\n")
    assert f"Why it matters: {rule.why}" in text
    assert f"Fix: {rule.fix}" in text
    assert rule.title.endswith(".") and rule.why.endswith(".") and rule.fix.endswith(".")


def test_what_protects_data_is_mandatory() -> None:
    advisory = {name for name, rule in RULES.items() if rule.level is Level.ADVISORY}

    assert advisory == {
        "storage-doubly-encrypted",
        "storage-survives-a-zone",
        "vm-image-pinned",
        "budget",
        "log-retention",
    }
