"""Ways to break a deployment's isolation, each once: what is changed, and who must be named as the culprit.

A mutation edits an exported state, so it stands for a change in the program and for one made behind the
engine's back alike. ``kind`` and ``where`` (a pattern) are what verification must find.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from automation.verify.facts.finding import Kind

Export = dict[str, Any]
Change = Callable[[Export], None]

NETWORK = "Microsoft.Network"
NSG = "network:NetworkSecurityGroup"
VNET = "network:VirtualNetwork"
NIC = "network:NetworkInterface"
PEERING = "network:VirtualNetworkPeering"
ENDPOINT = "network:PrivateEndpoint"
ACCOUNT = "storage:StorageAccount"
CONTAINER = "storage:BlobContainer"
REGISTRY = "containerregistry:Registry"
VAULT = "keyvault:Vault"
VM = "compute:VirtualMachine"
DISK = "compute:Disk"
ROLE = "authorization:RoleAssignment"
IDENTITY = "managedidentity:UserAssignedIdentity"
LINK = "privatedns:VirtualNetworkLink"
RECORD = "privatedns:PrivateRecordSet"
ZONE = "privatedns:PrivateZone"

OWNER_ROLE = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"
READER = "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1"
CONTRIBUTOR = "ba92f5b4-2d11-453d-a403-e96b0029c9fe"
ACR_PUSH = "8311e382-0749-4cb8-b61a-304f252e45ec"
STRANGER = "deadbeef-0000-4000-8000-000000000000"


@dataclass(frozen=True, kw_only=True)
class Mutation:
    """One break: its name says what was done to which party."""

    name: str
    change: Change
    kind: Kind
    where: str
    stack: str = "dev"
    what: str = ""


def entry(export: Export, kind: str, word: str) -> dict[str, Any]:
    """Return the one resource of a type whose Pulumi name contains a word."""
    found = [
        r
        for r in export["deployment"]["resources"]
        if r["type"] == f"azure-native:{kind}" and word in r["urn"].rsplit("::", 1)[-1]
    ]
    assert len(found) == 1, (kind, word, [r["urn"].rsplit("::", 1)[-1] for r in found])
    return found[0]


def outputs(export: Export, kind: str, word: str) -> dict[str, Any]:
    result: dict[str, Any] = entry(export, kind, word)["outputs"]
    return result


def remove(kind: str, word: str) -> Change:
    return lambda export: export["deployment"]["resources"].remove(entry(export, kind, word))


def put(kind: str, word: str, path: str, value: Any) -> Change:
    """Return a change of one property of one resource, at a dotted path."""

    def change(export: Export) -> None:
        *above, last = path.split(".")
        here = outputs(export, kind, word)
        for step in above:
            here = here[int(step)] if isinstance(here, list) else here.setdefault(step, {})
        if isinstance(here, list):
            here[int(last)] = value
        else:
            here[last] = value

    return change


def move(interface: str, vnet: str, subnet: str, address: str) -> Change:
    """Return a change that moves an interface to another subnet (the end of its name) of a network."""

    def change(export: Export) -> None:
        network = entry(export, VNET, vnet)
        (name,) = [one["name"] for one in network["outputs"]["subnets"] if one["name"].endswith(subnet)]
        configuration = outputs(export, NIC, interface)["ipConfigurations"][0]
        configuration.update(subnet={"id": f"{network['id']}/subnets/{name}"}, privateIPAddress=address)

    return change


def add(kind: str, arm_id: str, props: dict[str, Any]) -> Change:
    """Return a change that adds a resource nobody's program made."""

    def change(export: Export) -> None:
        name = arm_id.rsplit("/", 1)[-1]
        export["deployment"]["resources"].append(
            {
                "urn": f"urn:pulumi:dev::fed::azure-native:{kind}::stranger-{name}",
                "type": f"azure-native:{kind}",
                "id": arm_id,
                "inputs": {},
                "outputs": {"name": name, **props},
            }
        )

    return change


def both(*changes: Change) -> Change:
    def change(export: Export) -> None:
        for one in changes:
            one(export)

    return change


def without_rule(group: str, rule: str) -> Change:
    def change(export: Export) -> None:
        rules = outputs(export, NSG, group)["securityRules"]
        kept = [r for r in rules if r["name"] != rule]
        assert len(kept) == len(rules) - 1
        rules[:] = kept

    return change


def with_rule(group: str, **rule: Any) -> Change:
    def change(export: Export) -> None:
        outputs(export, NSG, group)["securityRules"].append(
            {
                "name": "stranger",
                "access": "Allow",
                "protocol": "Tcp",
                "priority": 4000,
                "sourcePortRange": "*",
                "sourceAddressPrefix": "*",
                "destinationAddressPrefix": "*",
                "destinationPortRange": "22",
                **rule,
            }
        )

    return change


def edit_rule(group: str, rule: str, **changes: Any) -> Change:
    def change(export: Export) -> None:
        (found,) = (r for r in outputs(export, NSG, group)["securityRules"] if r["name"] == rule)
        for name, value in changes.items():
            if value is None:
                found.pop(name, None)
            else:
                found[name] = value

    return change


def subnet(vnet: str, number: int = 0, **changes: Any) -> Change:
    def change(export: Export) -> None:
        found = outputs(export, VNET, vnet)["subnets"][number]
        for name, value in changes.items():
            if value is None:
                found.pop(name, None)
            else:
                found[name] = value

    return change


def peer(here: str, there: str, **flags: Any) -> Change:
    """Return a change that adds one half of a peering between two hospitals."""

    def change(export: Export) -> None:
        local, remote = entry(export, VNET, f"-{here}"), entry(export, VNET, f"-{there}")
        add(
            PEERING,
            f"{local['id']}/virtualNetworkPeerings/peer-{there}",
            {
                "remoteVirtualNetwork": {"id": remote["id"]},
                "peeringState": "Connected",
                "allowVirtualNetworkAccess": True,
                "allowForwardedTraffic": False,
                "allowGatewayTransit": False,
                "useRemoteGateways": False,
                **flags,
            },
        )(export)

    return change


def role(holder: str, guid: str, scope: Callable[[Export], str]) -> Change:
    """Return a change that gives a role: to a party's machine, or to a principal id."""

    def change(export: Export) -> None:
        principal = holder if holder == STRANGER else outputs(export, IDENTITY, f"{holder}-vm")["principalId"]
        at = scope(export)
        add(
            ROLE,
            f"{at}/providers/Microsoft.Authorization/roleAssignments/00000000-0000-4000-8000-000000000bad",
            {
                "principalId": principal,
                "principalType": "ServicePrincipal",
                "roleDefinitionId": f"/providers/Microsoft.Authorization/roleDefinitions/{guid}",
                "scope": at,
            },
        )(export)

    return change


def id_of(kind: str, word: str) -> Callable[[Export], str]:
    return lambda export: str(entry(export, kind, word)["id"])


def route(party: str, prefix: str, hop: str, address: str | None = None) -> Change:
    """Return a change that gives a party's first subnet a route table with one route."""

    def change(export: Export) -> None:
        vnet = entry(export, VNET, f"-{party}")
        table = vnet["id"].replace("virtualNetworks/", "routeTables/rt-")
        entry_ = {
            "name": "stranger",
            "addressPrefix": prefix,
            "nextHopType": hop,
            "nextHopIpAddress": address,
        }
        add("network:RouteTable", table, {"routes": [entry_], "tags": vnet["outputs"]["tags"]})(export)
        vnet["outputs"]["subnets"][0]["routeTable"] = {"id": table}

    return change


def public_address(party: str) -> Change:
    def change(export: Export) -> None:
        nic = entry(export, NIC, f"-{party}-vm")
        address = nic["id"].replace("networkInterfaces/", "publicIPAddresses/")
        add("network:PublicIPAddress", address, {"tags": nic["outputs"]["tags"]})(export)
        nic["outputs"]["ipConfigurations"][0]["publicIPAddress"] = {"id": address}

    return change


def zone_for(party: str, name: str, relative: str, address: str) -> Change:
    """Return a change that links a new zone with one record to a party's network."""

    def change(export: Export) -> None:
        vnet = entry(export, VNET, f"-{party}")
        group = vnet["id"].split("/providers/")[0]
        zone = f"{group}/providers/Microsoft.Network/privateDnsZones/{name}"
        add(ZONE, zone, {"tags": vnet["outputs"]["tags"]})(export)
        add(LINK, f"{zone}/virtualNetworkLinks/stranger", {"virtualNetwork": {"id": vnet["id"]}})(export)
        add(RECORD, f"{zone}/A/{relative}", {"aRecords": [{"ipv4Address": address}]})(export)

    return change


def foreign_link(export: Export) -> None:
    """Link a zone of hungary to the network of cleveland."""
    zone, vnet = entry(export, ZONE, "hungary-internal"), entry(export, VNET, "-cleveland")
    add(LINK, f"{zone['id']}/virtualNetworkLinks/stranger", {"virtualNetwork": {"id": vnet["id"]}})(export)


def borrowed_identity(export: Export) -> None:
    """Run hungary's VM with cleveland's identity."""
    identity = entry(export, IDENTITY, "cleveland-vm")
    outputs(export, VM, "hungary")["identity"]["userAssignedIdentities"] = {identity["id"]: {}}


def swapped_endpoint(export: Export) -> None:
    """Let cleveland's storage endpoint lead to hungary's account."""
    target = entry(export, ACCOUNT, "hungary-data")["id"]
    outputs(export, ENDPOINT, "cleveland-storage")["privateLinkServiceConnections"][0][
        "privateLinkServiceId"
    ] = target


def widened_role(export: Export) -> None:
    """Move cleveland's role from its container to the whole account of the centre."""
    found = entry(export, ROLE, "client-cleveland-cleveland")
    found["outputs"]["scope"] = entry(export, ACCOUNT, "centre-data")["id"]
    found["propertyDependencies"] = {}


def promoted_reader(export: Export) -> None:
    found = outputs(export, ROLE, "data-cleveland-storage-blob-data-reader")
    found["roleDefinitionId"] = found["roleDefinitionId"].replace(READER, CONTRIBUTOR)


def transit(export: Export) -> None:
    """Make the centre's VM a router between cleveland and hungary, with every rule that this needs."""
    for party, other in (("cleveland", "10.10.2.0/27"), ("hungary", "10.10.1.0/27")):
        route(party, other, "VirtualAppliance", "10.10.0.4")(export)
        group = f"-{party}-workload"
        with_rule(group, name="out", direction="Outbound", destinationAddressPrefix=other)(export)
        with_rule(group, name="in", direction="Inbound", sourceAddressPrefix=other)(export)
    with_rule("-centre-server", name="out", direction="Outbound")(export)
    with_rule("-centre-server", name="in", direction="Inbound")(export)
    put(NIC, "-centre-vm", "enableIPForwarding", True)(export)
    for party in ("cleveland", "hungary"):
        (half,) = [
            r
            for r in export["deployment"]["resources"]
            if r["type"].endswith("VirtualNetworkPeering")
            and r["urn"].endswith(f"peer-fed-dev-{party}-centre")
        ]
        half["outputs"]["allowForwardedTraffic"] = True


def _open_pair(export: Export) -> None:
    """Open SSH from the centre to cleveland, on both sides."""
    with_rule(
        "-centre-server", name="ssh-out", direction="Outbound", destinationAddressPrefix="10.10.1.0/27"
    )(export)
    with_rule("-cleveland-workload", name="ssh-in", direction="Inbound", sourceAddressPrefix="10.10.0.0/24")(
        export
    )


WORKLOAD, SERVER, ENDPOINTS = "-cleveland-workload", "-centre-server", "-centre-endpoints"
DENY_IN, DENY_OUT = "deny-inbound-everything-else", "deny-outbound-everything-else"
FL_IN = "allow-inbound-federated-learning"
OPEN, WEAK, MISSING, UNKNOWN = Kind.OPEN, Kind.WEAKENED, Kind.MISSING, Kind.UNKNOWN

MUTATIONS = [
    # Security rules
    Mutation(
        name="a hospital's outbound denial is deleted",
        change=without_rule(WORKLOAD, DENY_OUT),
        kind=OPEN,
        where="nsg-fed-dev-cleveland-workload: Azure's default rule AllowInternetOutBound",
    ),
    Mutation(
        name="a hospital's inbound denial is deleted",
        change=without_rule(WORKLOAD, DENY_IN),
        kind=WEAK,
        where="nsg-fed-dev-cleveland-workload: Azure's default rule AllowVnetInBound",
    ),
    Mutation(
        name="the centre's inbound denial is deleted",
        change=without_rule(SERVER, DENY_IN),
        kind=WEAK,
        where="nsg-fed-dev-centre-server: Azure's default rule AllowVnetInBound",
    ),
    Mutation(
        name="the endpoints' inbound denial is deleted",
        change=without_rule(ENDPOINTS, DENY_IN),
        kind=WEAK,
        where="nsg-fed-dev-centre-endpoints: Azure's default rule AllowVnetInBound",
    ),
    Mutation(
        name="a hospital may open SSH anywhere",
        change=with_rule(WORKLOAD, direction="Outbound"),
        kind=OPEN,
        where="nsg-fed-dev-cleveland-workload: rule stranger",
    ),
    Mutation(
        name="SSH is open from centre to hospital on both sides",
        change=_open_pair,
        kind=OPEN,
        where="nsg-fed-dev-centre-server: rule ssh-out .*nsg-fed-dev-cleveland-workload: rule ssh-in",
        what="centre/server .* can open Tcp 22 at cleveland/machine",
    ),
    Mutation(
        name="the FL port is open to everybody",
        change=edit_rule(SERVER, FL_IN, sourceAddressPrefix="*", sourceAddressPrefixes=None),
        kind=WEAK,
        where=f"nsg-fed-dev-centre-server: rule {FL_IN}",
    ),
    Mutation(
        name="the FL rule opens every port",
        change=edit_rule(SERVER, FL_IN, destinationPortRange="*"),
        kind=WEAK,
        where=f"nsg-fed-dev-centre-server: rule {FL_IN}",
    ),
    Mutation(
        name="the FL rule opens one port more",
        change=edit_rule(SERVER, FL_IN, destinationPortRange="8002-8003"),
        kind=WEAK,
        where=f"nsg-fed-dev-centre-server: rule {FL_IN}",
        what="Tcp 8003",
    ),
    Mutation(
        name="the FL rule allows every protocol",
        change=edit_rule(SERVER, FL_IN, protocol="*"),
        kind=WEAK,
        where=f"nsg-fed-dev-centre-server: rule {FL_IN}",
        what="Udp 8002",
    ),
    Mutation(
        name="the FL rule admits the subnet instead of the machine",
        change=edit_rule(SERVER, FL_IN, sourceAddressPrefix="10.10.1.0/27", sourceAddressPrefixes=None),
        kind=WEAK,
        where=f"nsg-fed-dev-centre-server: rule {FL_IN}",
        what="any other address",
    ),
    Mutation(
        name="a rule admits the peered networks by tag",
        change=with_rule(WORKLOAD, direction="Inbound", sourceAddressPrefix="VirtualNetwork"),
        kind=WEAK,
        where="nsg-fed-dev-cleveland-workload: rule stranger",
    ),
    Mutation(
        name="the web rule opens every port of the internet",
        change=edit_rule(
            WORKLOAD, "allow-outbound-internet", destinationPortRange="*", destinationPortRanges=None
        ),
        kind=OPEN,
        where="nsg-fed-dev-cleveland-workload: rule allow-outbound-internet",
    ),
    Mutation(
        name="data may leave to one public address on any port",
        change=with_rule(
            WORKLOAD, direction="Outbound", destinationAddressPrefix="203.0.113.7", destinationPortRange="*"
        ),
        kind=OPEN,
        where="nsg-fed-dev-cleveland-workload: rule stranger",
    ),
    Mutation(
        name="a denial limited to some source ports stops nobody",
        change=edit_rule(WORKLOAD, DENY_IN, sourcePortRange="1-1023"),
        kind=WEAK,
        where="nsg-fed-dev-cleveland-workload: Azure's default rule AllowVnetInBound",
    ),
    Mutation(
        name="a denial moved above everything",
        change=edit_rule(WORKLOAD, DENY_OUT, priority=100),
        kind=MISSING,
        where=f"nsg-fed-dev-cleveland-workload: rule {DENY_OUT}",
    ),
    Mutation(
        name="an allowed way was closed",
        change=without_rule(ENDPOINTS, "allow-inbound-centre-storage"),
        kind=MISSING,
        where=f"nsg-fed-dev-centre-endpoints: rule {DENY_IN}",
    ),
    # Subnets, routes, interfaces
    Mutation(
        name="a subnet loses its security group",
        change=subnet("-cleveland", networkSecurityGroup=None),
        kind=WEAK,
        where="snet-fed-dev-cleveland-workload: it has no security group",
    ),
    Mutation(
        name="security groups no longer apply to endpoints",
        change=subnet("-centre", 1, privateEndpointNetworkPolicies="Disabled"),
        kind=WEAK,
        where="snet-fed-dev-centre-endpoints: privateEndpointNetworkPolicies",
    ),
    Mutation(
        name="a subnet gets Azure's default way out",
        change=subnet("-cleveland", defaultOutboundAccess=True),
        kind=WEAK,
        where="vnet-fed-dev-cleveland: subnet snet-fed-dev-cleveland-workload: defaultOutboundAccess",
    ),
    Mutation(
        name="a subnet loses its way to the archives",
        change=subnet("-cleveland", natGateway=None),
        kind=MISSING,
        where="snet-fed-dev-cleveland-workload has no way to the internet",
    ),
    Mutation(
        name="a service endpoint leads past the private endpoint",
        change=subnet("-cleveland", serviceEndpoints=[{"service": "Microsoft.Storage"}]),
        kind=WEAK,
        where="vnet-fed-dev-cleveland: subnet snet-fed-dev-cleveland-workload: serviceEndpoints",
    ),
    Mutation(
        name="a route swallows the way to the centre",
        change=route("cleveland", "10.10.0.0/24", "None"),
        kind=MISSING,
        where="rt-vnet-fed-dev-cleveland: route stranger",
    ),
    Mutation(
        name="a route leads through an appliance",
        change=route("cleveland", "0.0.0.0/0", "VirtualAppliance", "10.10.0.4"),
        kind=WEAK,
        where="vnet-fed-dev-cleveland: subnet snet-fed-dev-cleveland-workload has a natGateway and a route",
    ),
    Mutation(
        name="the centre's VM forwards packets",
        change=put(NIC, "-centre-vm", "enableIPForwarding", True),
        kind=WEAK,
        where="nic-fed-dev-centre-vm: enableIPForwarding",
    ),
    Mutation(
        name="the centre's VM routes between two hospitals",
        change=transit,
        kind=OPEN,
        where="stranger.*nic-fed-dev-centre-vm: enableIPForwarding|route stranger .*enableIPForwarding",
        what="cleveland/machine .* can open Tcp 22 at hungary/machine",
    ),
    Mutation(
        name="a VM gets a public address",
        change=public_address("cleveland"),
        kind=WEAK,
        where="nic-fed-dev-cleveland-vm: ipConfiguration private has a publicIPAddress",
    ),
    Mutation(
        name="a VM with a public address lets the internet in",
        change=both(
            public_address("cleveland"),
            with_rule(WORKLOAD, direction="Inbound", sourceAddressPrefix="Internet"),
        ),
        kind=OPEN,
        where="rule stranger .*publicIPAddress",
        what="internet/any .* can open Tcp 22",
    ),
    Mutation(
        name="a hospital's interface moves to another address",
        change=put(NIC, "-cleveland-vm", "ipConfigurations.0.privateIPAddress", "10.10.1.9"),
        kind=MISSING,
        where="nothing has the address of cleveland/machine",
    ),
    Mutation(
        name="the centre's interface moves to the subnet of the endpoints",
        change=move("-centre-vm", "-centre", "-endpoints", "10.10.0.100"),
        kind=MISSING,
        where="nothing has the address of centre/server",
    ),
    # Peerings
    Mutation(
        name="two hospitals are peered",
        change=both(peer("cleveland", "hungary"), peer("hungary", "cleveland")),
        kind=WEAK,
        where="stranger-peer-hungary: it joins cleveland with hungary",
    ),
    Mutation(
        name="two hospitals are peered and admit each other",
        change=both(
            peer("cleveland", "hungary"),
            peer("hungary", "cleveland"),
            with_rule(WORKLOAD, direction="Outbound", destinationAddressPrefix="VirtualNetwork"),
            with_rule("-hungary-workload", direction="Inbound", sourceAddressPrefix="VirtualNetwork"),
        ),
        kind=OPEN,
        where="cleveland-workload: rule stranger .*hungary-workload: rule stranger",
        what="cleveland/machine .* can open Tcp 22 at hungary/machine",
    ),
    Mutation(
        name="a peering accepts forwarded traffic",
        change=put(PEERING, "peer-fed-dev-cleveland-centre", "allowForwardedTraffic", True),
        kind=WEAK,
        where="peer-fed-dev-cleveland-centre: allowForwardedTraffic",
    ),
    Mutation(
        name="the hub offers a gateway",
        change=put(PEERING, "peer-fed-dev-centre-cleveland", "allowGatewayTransit", True),
        kind=WEAK,
        where="peer-fed-dev-centre-cleveland: allowGatewayTransit",
    ),
    Mutation(
        name="one half of a peering is deleted",
        change=remove(PEERING, "peer-fed-dev-centre-cleveland"),
        kind=MISSING,
        where="vnet-fed-dev-cleveland and vnet-fed-dev-centre are not peered",
    ),
    # Endpoints and names
    Mutation(
        name="an endpoint leads to another hospital's account",
        change=swapped_endpoint,
        kind=OPEN,
        where="pep-fed-dev-cleveland-storage: privateLinkServiceConnections",
    ),
    Mutation(
        name="an endpoint's connection is no longer approved",
        change=put(
            ENDPOINT,
            "cleveland-storage",
            "privateLinkServiceConnections.0.privateLinkServiceConnectionState",
            {"status": "Rejected"},
        ),
        kind=MISSING,
        where="pep-fed-dev-cleveland-storage: its connection is not approved",
    ),
    Mutation(
        name="a foreign zone is linked to a hospital",
        change=foreign_link,
        kind=OPEN,
        where="virtual network link .*virtualNetworkLinks/stranger",
    ),
    Mutation(
        name="a record of the centre's storage points to the internet",
        change=put(RECORD, "fed-dev-cleveland-centre-blob", "aRecords", [{"ipv4Address": "52.0.0.1"}]),
        kind=OPEN,
        where=r"record st\w+ in .*privatelink.blob",
    ),
    Mutation(
        name="a record of the centre's storage points to the own machine",
        change=put(RECORD, "fed-dev-cleveland-centre-blob", "aRecords", [{"ipv4Address": "10.10.1.4"}]),
        kind=OPEN,
        where=r"record st\w+ in .*privatelink.blob",
    ),
    Mutation(
        name="a hospital's network is given a zone of someone's own",
        change=zone_for("cleveland", "archive.ubuntu.com", "@", "10.10.0.4"),
        kind=OPEN,
        where="record @ in .*archive.ubuntu.com",
    ),
    Mutation(
        name="a zone loses its link",
        change=remove(LINK, "cleveland-blob"),
        kind=MISSING,
        where="no zone linked",
        what="cleveland does not resolve st",
    ),
    Mutation(
        name="a network asks a foreign name server",
        change=put(VNET, "-cleveland", "dhcpOptions", {"dnsServers": ["8.8.8.8"]}),
        kind=OPEN,
        where="vnet-fed-dev-cleveland: dhcpOptions.dnsServers",
    ),
    # Storage, registry, vault
    Mutation(
        name="a hospital's account is opened to the internet",
        change=both(
            put(ACCOUNT, "cleveland-data", "publicNetworkAccess", "Enabled"),
            put(ACCOUNT, "cleveland-data", "networkRuleSet.defaultAction", "Allow"),
        ),
        kind=OPEN,
        where="publicNetworkAccess Enabled, networkRuleSet.defaultAction Allow",
    ),
    Mutation(
        name="a hospital's account admits one address",
        change=both(
            put(ACCOUNT, "cleveland-data", "publicNetworkAccess", "Enabled"),
            put(ACCOUNT, "cleveland-data", "networkRuleSet.ipRules", [{"iPAddressOrRange": "203.0.113.7"}]),
        ),
        kind=OPEN,
        where="publicNetworkAccess Enabled",
        what="203.0.113.7 can open Tcp 443",
    ),
    Mutation(
        name="shared keys are enabled",
        change=put(ACCOUNT, "cleveland-data", "allowSharedKeyAccess", True),
        kind=WEAK,
        where="st-fed-dev-cleveland-data: allowSharedKeyAccess is true",
    ),
    Mutation(
        name="anonymous blobs are allowed",
        change=put(ACCOUNT, "centre-data", "allowBlobPublicAccess", True),
        kind=WEAK,
        where="st-fed-dev-centre-data: allowBlobPublicAccess is true",
    ),
    Mutation(
        name="a container is public",
        change=put(CONTAINER, "cleveland-data", "publicAccess", "Blob"),
        kind=WEAK,
        where="container-fed-dev-cleveland-data: publicAccess is Blob",
    ),
    Mutation(
        name="old TLS is accepted",
        change=put(ACCOUNT, "hungary-data", "minimumTlsVersion", "TLS1_0"),
        kind=WEAK,
        where="st-fed-dev-hungary-data: minimumTlsVersion is TLS1_0",
    ),
    Mutation(
        name="copies to other tenants are allowed",
        change=put(ACCOUNT, "hungary-data", "allowCrossTenantReplication", True),
        kind=WEAK,
        where="st-fed-dev-hungary-data: allowCrossTenantReplication is true",
    ),
    Mutation(
        name="SFTP with local users is enabled",
        change=put(ACCOUNT, "hungary-data", "isLocalUserEnabled", True),
        kind=WEAK,
        where="st-fed-dev-hungary-data: isLocalUserEnabled is true",
    ),
    Mutation(
        name="the registry has an admin password",
        change=put(REGISTRY, "centre", "adminUserEnabled", True),
        kind=WEAK,
        where="cr-fed-dev-centre: adminUserEnabled is true",
    ),
    Mutation(
        name="the registry is open in mvp",
        stack="mvp",
        change=both(
            put(REGISTRY, "centre", "publicNetworkAccess", "Enabled"),
            put(REGISTRY, "centre", "networkRuleSet.defaultAction", "Allow"),
        ),
        kind=OPEN,
        where=r"crfedmvp\w+: publicNetworkAccess Enabled",
    ),
    Mutation(
        name="a vault is opened",
        stack="mvp",
        change=put(VAULT, "cleveland", "properties.publicNetworkAccess", "Enabled"),
        kind=WEAK,
        where="kv-fed-mvp-cleveland: properties.publicNetworkAccess is Enabled",
    ),
    Mutation(
        name="an account loses the hospital's own key",
        stack="mvp",
        change=put(ACCOUNT, "cleveland-data", "encryption.keySource", "Microsoft.Storage"),
        kind=WEAK,
        where="st-fed-mvp-cleveland-data: encryption.keySource is Microsoft.Storage",
    ),
    Mutation(
        name="a vault can be purged",
        stack="prod",
        change=put(VAULT, "hungary", "properties.enablePurgeProtection", False),
        kind=WEAK,
        where="kv-fed-prod-hungary: properties.enablePurgeProtection is false",
    ),
    Mutation(
        name="a hospital's data lock is removed",
        stack="prod",
        change=remove("authorization:ManagementLockByScope", "cleveland-data"),
        kind=WEAK,
        where="fed-prod-cleveland.*: neither it nor its resource group is locked",
    ),
    # Identities
    Mutation(
        name="a hospital's role reaches the whole account",
        change=widened_role,
        kind=OPEN,
        where="role assignment .*Storage Blob Data Contributor on .*/storageaccounts/",
        what="cleveland's machine may .*delete.* client-hungary of centre",
    ),
    Mutation(
        name="a hospital gets another's container",
        change=role("cleveland", READER, id_of(CONTAINER, "client-hungary")),
        kind=OPEN,
        where="role assignment 00000000-0000-4000-8000-000000000bad",
        what="cleveland's machine may list, read client-hungary",
    ),
    Mutation(
        name="the centre may read a hospital's data",
        change=role("centre", READER, id_of(CONTAINER, "fed-dev-cleveland-data")),
        kind=OPEN,
        where="role assignment 00000000-0000-4000-8000-000000000bad",
        what="centre's machine may list, read data of cleveland",
    ),
    Mutation(
        name="a hospital's VM may change its data",
        change=promoted_reader,
        kind=OPEN,
        where="role assignment .*Storage Blob Data Contributor",
        what="cleveland's machine may delete, write data of cleveland",
    ),
    Mutation(
        name="a stranger may read a hospital's data",
        change=role(STRANGER, READER, id_of(CONTAINER, "fed-dev-cleveland-data")),
        kind=OPEN,
        where="role assignment 00000000",
        what="unknown principal deadbeef",
    ),
    Mutation(
        name="a hospital's VM owns its resource group",
        change=role("cleveland", OWNER_ROLE, id_of("resources:ResourceGroup", "cleveland-data")),
        kind=OPEN,
        where="role assignment 00000000.*Owner",
        what="cleveland's machine may .*data of cleveland",
    ),
    Mutation(
        name="a hospital may push images",
        change=role("cleveland", ACR_PUSH, id_of(REGISTRY, "centre")),
        kind=OPEN,
        where="role assignment 00000000.*AcrPush",
        what="cleveland's machine may push registry",
    ),
    Mutation(
        name="a role nobody knows",
        change=role("cleveland", STRANGER, id_of(REGISTRY, "centre")),
        kind=UNKNOWN,
        where="role assignment 00000000",
    ),
    Mutation(
        name="a role is missing",
        change=remove(ROLE, "data-cleveland-storage-blob-data-reader"),
        kind=MISSING,
        where="no role assignment gives it",
        what="cleveland's machine may not list, read data",
    ),
    Mutation(
        name="a VM runs with another hospital's identity",
        change=borrowed_identity,
        kind=OPEN,
        where="vm-fed-dev-hungary: identity.userAssignedIdentities",
    ),
    # Machines, logs, placement, the unknown
    Mutation(
        name="a VM accepts passwords",
        change=put(VM, "cleveland", "osProfile.linuxConfiguration.disablePasswordAuthentication", False),
        kind=WEAK,
        where="vm-fed-dev-cleveland: osProfile.linuxConfiguration.disablePasswordAuthentication",
    ),
    Mutation(
        name="a script extension runs on a VM",
        change=lambda export: add(
            "compute:VirtualMachineExtension",
            entry(export, VM, "cleveland")["id"] + "/extensions/script",
            {"publisher": "Microsoft.Azure.Extensions", "type": "CustomScript"},
        )(export),
        kind=WEAK,
        where="stranger-script: Microsoft.Azure.Extensions/CustomScript",
    ),
    Mutation(
        name="a disk can be exported",
        change=put(DISK, "cleveland", "networkAccessPolicy", "AllowAll"),
        kind=WEAK,
        where="disk-fed-dev-cleveland-data: networkAccessPolicy is AllowAll",
    ),
    Mutation(
        name="nobody logs who reads a hospital's blobs",
        change=remove("monitor:DiagnosticSetting", "cleveland-data"),
        kind=WEAK,
        where="st-fed-dev-cleveland-data: no diagnostic setting",
    ),
    Mutation(
        name="a hospital's data is in another region",
        change=put(ACCOUNT, "cleveland-data", "location", "eastus"),
        kind=WEAK,
        where="st-fed-dev-cleveland-data: it is in eastus",
    ),
    Mutation(
        name="a gateway appears whose effect is not known",
        change=lambda export: add(
            "network:VirtualNetworkGateway",
            entry(export, VNET, "-centre")["id"].replace("virtualNetworks", "virtualNetworkGateways"),
            {},
        )(export),
        kind=UNKNOWN,
        where="azure-native:network:VirtualNetworkGateway is not a type",
    ),
]
