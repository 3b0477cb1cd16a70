"""Networks: azure-native:network and azure-native:privatedns.

Objects of the network provider look alike: identity next to `properties`, everything else in it; where one
refers to another, the program may give the whole of it, of which Azure reads the id.
"""

from emulator.plugins.azure_native.layout import Layout, flat, plain
from emulator.plugins.azure_native.shape import Name, Shape, group_path

VERSION = "2024-05-01"
DNS_VERSION = "2024-06-01"

_OWN = ("id", "name", "type", "etag")
_TOP = (*_OWN, "location", "tags", "extendedLocation", "identity", "sku", "zones")
_SET = ("id", "type", "etag", "provisioningState")
"""What Azure gives every part of a resource. The SDK takes some of it as inputs, so a refresh compares those:
https://github.com/pulumi/pulumi-azure-native/issues/4722 (etags of subnets)."""
_WORD = r"[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9_])?"
_SUBNET_DEFAULTS = {
    "privateEndpointNetworkPolicies": "Disabled",
    "privateLinkServiceNetworkPolicies": "Enabled",
}

REFERENCE = flat(*_TOP)
"""Another resource, by its id or as a whole."""

SECURITY_RULE = flat(
    *_OWN,
    members={"sourceApplicationSecurityGroups": REFERENCE, "destinationApplicationSecurityGroups": REFERENCE},
    filled=_SET,
)
SUBNET = flat(
    *_OWN,
    members={
        "delegations": flat(*_OWN, computed=("provisioningState",), filled=("id", "type", "etag", "actions")),
        "ipConfigurations": REFERENCE,
        "natGateway": plain(),
        "networkSecurityGroup": REFERENCE,
        "privateEndpoints": REFERENCE,
        "routeTable": REFERENCE,
        "serviceEndpoints": plain(filled=("provisioningState",)),
    },
    computed=("ipConfigurationProfiles", "ipConfigurations", "privateEndpoints", "purpose"),
    filled=(*_SET, "resourceNavigationLinks", "serviceAssociationLinks"),
)
PEERING = flat(
    *_OWN,
    computed=("etag", "provisioningState", "resourceGuid"),
    filled=("id", "type", "peeringState", "peeringSyncLevel"),
)
NIC_ADDRESS = flat(
    *_OWN,
    members={"subnet": REFERENCE, "publicIPAddress": REFERENCE, "applicationSecurityGroups": REFERENCE},
    computed=("etag", "provisioningState", "privateLinkConnectionProperties"),
    filled=(
        "id",
        "type",
        "primary",
        "privateIPAddress",
        "privateIPAddressVersion",
        "privateIPAllocationMethod",
    ),
)
LINK_CONNECTION = flat(
    *_OWN,
    computed=("type", "etag", "provisioningState"),
    filled=("id", "privateLinkServiceConnectionState"),
)


def _network(
    kind: str, path: str, inputs: str, *, longest: int = 80, shortest: int = 1, **more: object
) -> Shape:
    return Shape(
        pulumi_type=f"azure-native:network:{kind}",
        path=group_path(f"Microsoft.Network/{path}"),
        version=VERSION,
        inputs=inputs,
        name=Name(pattern=_WORD, minimum=shortest, maximum=longest),
        **more,  # type: ignore[arg-type]
    )


SHAPES = (
    _network(
        "FlowLog",
        "networkWatchers/{networkWatcherName}/flowLogs/{flowLogName}",
        "location tags identity enabled enabledFilteringCriteria flowAnalyticsConfiguration format "
        "retentionPolicy storageId targetResourceId",
        layout=flat(*_TOP, members={"identity": plain({"userAssignedIdentities": Layout(ids=True)})}),
        required="storageId targetResourceId",
        autoname="same",
        defaults={"format.version": 0, "retentionPolicy.days": 0, "retentionPolicy.enabled": False},
    ),
    _network(
        "NatGateway",
        "natGateways/{natGatewayName}",
        "location tags sku zones idleTimeoutInMinutes publicIpAddresses publicIpPrefixes",
        layout=flat(*_TOP),
    ),
    _network(
        "NetworkInterface",
        "networkInterfaces/{networkInterfaceName}",
        "location tags extendedLocation auxiliaryMode auxiliarySku disableTcpStateTracking "
        "dnsSettings enableAcceleratedNetworking enableIPForwarding ipConfigurations migrationPhase "
        "networkSecurityGroup nicType privateLinkService workloadType",
        layout=flat(
            *_TOP,
            members={
                "dnsSettings": plain(
                    computed=("appliedDnsServers", "internalDomainNameSuffix", "internalFqdn"),
                    filled=("dnsServers",),
                ),
                "ipConfigurations": NIC_ADDRESS,
                "networkSecurityGroup": REFERENCE,
                "privateLinkService": REFERENCE,
            },
        ),
        defaults={f"ipConfigurations[].subnet.{name}": value for name, value in _SUBNET_DEFAULTS.items()},
    ),
    _network(
        "NetworkSecurityGroup",
        "networkSecurityGroups/{networkSecurityGroupName}",
        "location tags flushConnection securityRules",
        layout=flat(*_TOP, members={"securityRules": SECURITY_RULE, "defaultSecurityRules": SECURITY_RULE}),
        kept=("properties.securityRules",),
    ),
    _network(
        "PrivateDnsZoneGroup",
        "privateEndpoints/{privateEndpointName}/privateDnsZoneGroups/{privateDnsZoneGroupName}",
        "name privateDnsZoneConfigs",
        layout=flat(*_OWN, members={"privateDnsZoneConfigs": flat("name", computed=("recordSets",))}),
        autoname="same",
    ),
    _network(
        "PrivateEndpoint",
        "privateEndpoints/{privateEndpointName}",
        "location tags extendedLocation applicationSecurityGroups customDnsConfigs "
        "customNetworkInterfaceName ipConfigurations manualPrivateLinkServiceConnections "
        "privateLinkServiceConnections subnet",
        layout=flat(
            *_TOP,
            members={
                "applicationSecurityGroups": REFERENCE,
                "ipConfigurations": flat("name", "type", "etag", computed=("type", "etag")),
                "manualPrivateLinkServiceConnections": LINK_CONNECTION,
                "networkInterfaces": REFERENCE,
                "privateLinkServiceConnections": LINK_CONNECTION,
                "subnet": REFERENCE,
            },
        ),
        shortest=2,
        longest=64,
        replaces="subnet",
        defaults={f"subnet.{name}": value for name, value in _SUBNET_DEFAULTS.items()},
    ),
    _network(
        "PublicIPAddress",
        "publicIPAddresses/{publicIpAddressName}",
        "location tags extendedLocation sku zones ddosSettings deleteOption dnsSettings "
        "idleTimeoutInMinutes ipAddress ipTags linkedPublicIPAddress migrationPhase natGateway "
        "publicIPAddressVersion publicIPAllocationMethod publicIPPrefix servicePublicIPAddress",
        layout=flat(
            *_TOP,
            members={
                "ipConfiguration": REFERENCE,
                "linkedPublicIPAddress": REFERENCE,
                "natGateway": REFERENCE,
                "servicePublicIPAddress": REFERENCE,
                "sku": plain(filled=("tier",)),
            },
        ),
        replaces="location publicIPAddressVersion publicIPPrefix sku",
    ),
    _network(
        "Subnet",
        "virtualNetworks/{virtualNetworkName}/subnets/{subnetName}",
        "name addressPrefix addressPrefixes applicationGatewayIPConfigurations "
        "defaultOutboundAccess delegations ipAllocations ipamPoolPrefixAllocations natGateway "
        "networkSecurityGroup privateEndpointNetworkPolicies privateLinkServiceNetworkPolicies routeTable "
        "serviceEndpointPolicies serviceEndpoints sharingScope type",
        layout=SUBNET,
        autoname="same",
        defaults=_SUBNET_DEFAULTS,
    ),
    _network(
        "VirtualNetwork",
        "virtualNetworks/{virtualNetworkName}",
        "location tags extendedLocation addressSpace bgpCommunities ddosProtectionPlan dhcpOptions "
        "enableDdosProtection enableVmProtection encryption flowTimeoutInMinutes ipAllocations "
        "privateEndpointVNetPolicies subnets virtualNetworkPeerings",
        layout=flat(*_TOP, members={"subnets": SUBNET, "virtualNetworkPeerings": PEERING}),
        shortest=2,
        longest=64,
        replaces="location",
        kept=("properties.subnets", "properties.virtualNetworkPeerings"),
        defaults={
            "enableDdosProtection": False,
            "enableVmProtection": False,
            **{f"subnets[].{name}": value for name, value in _SUBNET_DEFAULTS.items()},
        },
    ),
    _network(
        "VirtualNetworkPeering",
        "virtualNetworks/{virtualNetworkName}/virtualNetworkPeerings/{virtualNetworkPeeringName}",
        "name allowForwardedTraffic allowGatewayTransit allowVirtualNetworkAccess "
        "doNotVerifyRemoteGateways enableOnlyIPv6Peering localAddressSpace localSubnetNames "
        "localVirtualNetworkAddressSpace peerCompleteVnets peeringState peeringSyncLevel "
        "remoteAddressSpace remoteBgpCommunities remoteSubnetNames remoteVirtualNetwork "
        "remoteVirtualNetworkAddressSpace type useRemoteGateways",
        layout=PEERING,
        autoname="same",
    ),
    Shape(
        pulumi_type="azure-native:privatedns:PrivateRecordSet",
        path=group_path(
            "Microsoft.Network/privateDnsZones/{privateZoneName}/{recordType}/{relativeRecordSetName}"
        ),
        version=DNS_VERSION,
        inputs="aRecords aaaaRecords cnameRecord metadata mxRecords ptrRecords soaRecord srvRecords ttl "
        "txtRecords",
        layout=flat(*_OWN),
        name=Name(pattern=r"@|\*|(\*\.)?[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*", maximum=253),
        autoname="same",
    ),
    Shape(
        pulumi_type="azure-native:privatedns:PrivateZone",
        path=group_path("Microsoft.Network/privateDnsZones/{privateZoneName}"),
        version=DNS_VERSION,
        inputs="location tags",
        layout=flat(*_TOP),
        name=Name(pattern=r"[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63}){1,33}", maximum=253),
        replaces="location",
    ),
    Shape(
        pulumi_type="azure-native:privatedns:VirtualNetworkLink",
        path=group_path(
            "Microsoft.Network/privateDnsZones/{privateZoneName}/virtualNetworkLinks/{virtualNetworkLinkName}"
        ),
        version=DNS_VERSION,
        inputs="location tags registrationEnabled resolutionPolicy virtualNetwork",
        layout=flat(*_TOP),
        name=Name(pattern=_WORD, maximum=80),
        replaces="location",
        autoname="same",
    ),
)
