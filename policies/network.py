"""Networks: closed by default, hub and spokes only, nothing forwarded, nothing public.

Which port is open from whom to whom is compared with the statement of intent by ``./fed verify``; these
rules stop the properties that no federation of this kind may have, whatever its addresses are.
"""

import ipaddress
from collections.abc import Iterator
from typing import Any

from federation.azure_facts import POWER_BI_GATEWAY
from policies.addresses import is_internal
from policies.planned import Planned, at, each
from policies.rule import Fault, demand, demand_empty, demand_set, rule, stack_rule
from pulumi_wire.values import has_unknown

NIC = "azure-native:network:NetworkInterface"
PUBLIC_IP = "azure-native:network:PublicIPAddress"
NAT_GATEWAY = "azure-native:network:NatGateway"
VNET = "azure-native:network:VirtualNetwork"
SUBNET = "azure-native:network:Subnet"
NSG = "azure-native:network:NetworkSecurityGroup"
SECURITY_RULE = "azure-native:network:SecurityRule"
PEERING = "azure-native:network:VirtualNetworkPeering"
PRIVATE_ENDPOINT = "azure-native:network:PrivateEndpoint"
ROUTE_TABLE = "azure-native:network:RouteTable"
ROUTE = "azure-native:network:Route"
DNS_LINK = "azure-native:privatedns:VirtualNetworkLink"
DNS_RECORD = "azure-native:privatedns:PrivateRecordSet"

HUB = "centre"
"""The party whose network is the hub."""

ANYWHERE = {"*", "0.0.0.0/0", "::/0", "any", "internet"}
PLATFORM_TAGS = {"azuremonitor", "azureresourcemanager", "azureactivedirectory", "azureplatformdns"}
WEB_PORTS = {"80", "443"}


@rule(
    "nic-no-public-ip",
    NIC,
    why="a public address makes the VM a target for the whole internet.",
    fix="remove publicIPAddress from the ipConfiguration; operators reach the VM through ARM runCommand.",
)
def nic_has_no_public_ip(nic: Planned) -> Iterator[str]:
    """A network interface has no public address."""
    for configuration in each(nic.props, "ipConfigurations"):
        if at(configuration, "publicIPAddress") is not None:
            yield f"ipConfiguration {at(configuration, 'name')} has a publicIPAddress"


@stack_rule(
    "public-ip-only-for-nat",
    why="the only thing here that needs a public address is the NAT gateway, which lets nothing in.",
    fix="remove the PublicIPAddress, or attach it to a NatGateway.",
)
def public_ips_belong_to_nat_gateways(resources: list[Planned]) -> Iterator[Fault]:
    """A public address exists only as the outgoing address of a NAT gateway."""
    addresses = [r for r in resources if r.type == PUBLIC_IP]
    attached = {
        address.urn
        for gateway in resources
        if gateway.type == NAT_GATEWAY
        for address in gateway.refers_to("publicIpAddresses[].id", addresses)
    }
    for address in addresses:
        if address.urn not in attached:
            yield Fault(urn=address.urn, what="this public address belongs to no NAT gateway")


@rule(
    "nic-no-forwarding",
    NIC,
    why="an interface that forwards turns its VM into a router, and hospitals could reach each other "
    "through it.",
    fix="remove enableIPForwarding.",
)
def nic_does_not_forward(nic: Planned) -> Iterator[str]:
    """A network interface does not forward packets of others."""
    yield from demand(nic.props, "enableIPForwarding", False, None)


@rule(
    "subnet-closed",
    VNET,
    why="a subnet without a security group, or with Azure's default outbound access, is open; one with a NAT "
    "gateway and routes of its own has two ways out, of which only one was meant; "
    "without network policies the security group does not apply to private endpoints; and a service that a "
    "subnet is delegated to puts machines of its own there.",
    fix="give the subnet networkSecurityGroup, defaultOutboundAccess false and "
    "privateEndpointNetworkPolicies Enabled; delegate only the centre's gateway subnet, to "
    "Power BI.",
)
def subnets_are_closed(vnet: Planned) -> Iterator[str]:
    """Every subnet has a security group, no default way out, and policies on private endpoints."""
    for subnet in each(vnet.props, "subnets"):
        name = at(subnet, "name")
        if at(subnet, "networkSecurityGroup") is None:
            yield f"subnet {name} has no networkSecurityGroup"
        if at(subnet, "natGateway") is not None and at(subnet, "routeTable") is not None:
            yield f"subnet {name} has a natGateway and a routeTable"
        for fault in (
            *demand(subnet, "defaultOutboundAccess", False),
            *demand(subnet, "privateEndpointNetworkPolicies", "Enabled"),
            *demand_empty(subnet, "serviceEndpoints"),
        ):
            yield f"subnet {name}: {fault}"
        for delegation in each(subnet, "delegations"):
            service = at(delegation, "serviceName")
            if service != POWER_BI_GATEWAY or vnet.party != HUB:
                yield f"subnet {name} is delegated to {service}"


@rule(
    "subnets-inline",
    SUBNET,
    SECURITY_RULE,
    ROUTE,
    why="inline and separate children overwrite each other in turn (azure-native#611): a rule can vanish "
    "without a change in the program.",
    fix="declare it inside its VirtualNetwork, NetworkSecurityGroup or RouteTable.",
)
def children_are_inline(child: Planned) -> Iterator[str]:
    """Subnets, security rules and routes are part of their parent's own declaration."""
    yield f"{child.type.rsplit(':', 1)[-1]} is declared as a resource of its own"


def _sides(entry: Any, side: str) -> list[Any]:
    return [v for v in (at(entry, f"{side}Prefix"), *each(entry, f"{side}Prefixes")) if v is not None]


def _ports(entry: Any) -> list[str]:
    """Return the ports that are known."""
    found = (at(entry, "destinationPortRange"), *each(entry, "destinationPortRanges"))
    return [port for port in found if isinstance(port, str)]


def _allows(nsg: Planned, direction: str) -> Iterator[Any]:
    for entry in each(nsg.props, "securityRules"):
        if at(entry, "access") == "Allow" and at(entry, "direction") == direction:
            yield entry


def _broad(source: Any) -> bool:
    if not isinstance(source, str):
        return False
    try:
        return ipaddress.ip_network(source).prefixlen < 16
    except ValueError:
        return True


@rule(
    "nsg-inbound-named",
    NSG,
    why="whoever is not named must not be able to open a connection; a tag such as VirtualNetwork means "
    "every peered network, the hospitals included.",
    fix="name the source as address prefixes of one party (at most a /16), and the port.",
)
def inbound_names_its_sources(nsg: Planned) -> Iterator[str]:
    """An inbound rule allows named addresses and named ports only."""
    for entry in _allows(nsg, "Inbound"):
        name = at(entry, "name")
        for source in _sides(entry, "sourceAddress"):
            if _broad(source):
                yield f"inbound rule {name} allows {source}"
        if "*" in _ports(entry) or "0-65535" in _ports(entry):
            yield f"inbound rule {name} allows every port"


@rule(
    "nsg-outbound-named",
    NSG,
    why="an open way out is how a hospital's data would leave.",
    fix="name the destination addresses and ports; to Internet only 80 and 443, and only where "
    "egress is nat.",
)
def outbound_names_its_destinations(nsg: Planned) -> Iterator[str]:
    """An outbound rule allows named addresses, platform tags, or the web where egress is wanted."""
    for entry in _allows(nsg, "Outbound"):
        name, ports = at(entry, "name"), _ports(entry)
        web_only = set(ports) <= WEB_PORTS
        for target in _sides(entry, "destinationAddress"):
            if not isinstance(target, str) or target.lower() in PLATFORM_TAGS:
                continue
            if target.lower() == "internet":
                if not web_only:
                    yield f"outbound rule {name} allows ports {', '.join(ports)} to the internet"
            elif _broad(target):
                yield f"outbound rule {name} allows {target}"
        if "*" in ports or "0-65535" in ports:
            yield f"outbound rule {name} allows every port"


@rule(
    "nsg-denies-rest",
    NSG,
    why="Azure's own last rules allow everything between peered networks and to the internet.",
    fix="end each direction with a rule that denies any protocol from * to * (priority at most 4096).",
)
def the_rest_is_denied(nsg: Planned) -> Iterator[str]:
    """Both directions end with a rule that denies everything."""
    entries = at(nsg.props, "securityRules")
    if has_unknown(entries):
        return
    for direction in ("Inbound", "Outbound"):
        ordered = sorted(
            (e for e in entries or () if at(e, "direction") == direction),
            key=lambda e: float(at(e, "priority") or 0),
        )
        last = ordered[-1] if ordered else None
        if last is None or at(last, "access") != "Deny" or not _matches_everything(last):
            yield f"{direction.lower()} does not end with a rule that denies everything"


def _matches_everything(entry: Any) -> bool:
    return (
        at(entry, "protocol") == "*"
        and _sides(entry, "sourceAddress") == ["*"]
        and _sides(entry, "destinationAddress") == ["*"]
        and _ports(entry) == ["*"]
    )


@rule(
    "peering-flags",
    PEERING,
    why="forwarded traffic or a shared gateway would let one hospital's packets travel on to another.",
    fix="set allowForwardedTraffic, allowGatewayTransit and useRemoteGateways to false.",
)
def peering_forwards_nothing(peering: Planned) -> Iterator[str]:
    """A peering carries only what starts and ends in its two networks."""
    yield from demand(peering.props, "allowForwardedTraffic", False)
    yield from demand(peering.props, "allowGatewayTransit", False)
    yield from demand(peering.props, "useRemoteGateways", False)
    yield from demand_set(peering.props, "allowVirtualNetworkAccess")


@stack_rule(
    "peering-hub-only",
    why="two peered hospitals could open connections to each other, which the federation promises "
    "not to allow.",
    fix="peer each hospital with the centre only, both halves in one HubSpokePeering.",
)
def peerings_join_hub_and_hospital(resources: list[Planned]) -> Iterator[Fault]:
    """Every peering joins the centre with one hospital, and both halves exist."""
    vnets = [r for r in resources if r.type == VNET]
    pairs: dict[tuple[str | None, str | None], Planned] = {}
    for peering in (r for r in resources if r.type == PEERING):
        local = next((v for v in vnets if _is_local(peering, v)), None)
        remote = next(iter(peering.refers_to("remoteVirtualNetwork.id", vnets)), None)
        if local is None or remote is None:
            yield Fault(urn=peering.urn, what="one side is not a network of this stack")
            continue
        if (local.party == HUB) == (remote.party == HUB):
            yield Fault(urn=peering.urn, what=f"it joins {local.party} with {remote.party}")
        pairs[local.party, remote.party] = peering
    for (here, there), peering in pairs.items():
        if (there, here) not in pairs:
            yield Fault(urn=peering.urn, what=f"the half of {there} towards {here} is missing")


def _is_local(peering: Planned, vnet: Planned) -> bool:
    if peering.id and vnet.id:
        return vnet.has_id(peering.id)
    return (
        vnet.urn in peering.refers.get("virtualNetworkName", ()) and vnet.subscription == peering.subscription
    )


@rule(
    "routes-stay-inside",
    ROUTE_TABLE,
    why="a route through an appliance or a gateway carries traffic past the security groups that "
    "were checked.",
    fix="remove the route; hub and spokes need only Azure's own routes (nextHopType None may drop traffic), "
    "and egress: firewall one for 0.0.0.0/0, over which Azure prefers those.",
)
def routes_lead_nowhere_else(table: Planned) -> Iterator[str]:
    """A route may drop traffic, keep it in its network, or lead what has no network here to a firewall."""
    for route in each(table.props, "routes"):
        prefix = at(route, "addressPrefix")
        if at(route, "nextHopType") == "VirtualAppliance" and (prefix == "0.0.0.0/0" or has_unknown(prefix)):
            continue
        for fault in demand(route, "nextHopType", "None", "VnetLocal"):
            yield f"route {at(route, 'name')}: {fault}"


@rule(
    "endpoint-approved",
    PRIVATE_ENDPOINT,
    why="a manual connection waits for somebody's approval outside this program, and belongs to "
    "somebody else's "
    "resource.",
    fix="use privateLinkServiceConnections towards a resource of the same party.",
)
def endpoints_connect_by_themselves(endpoint: Planned) -> Iterator[str]:
    """A private endpoint connects to a resource of its own party."""
    yield from demand_empty(endpoint.props, "manualPrivateLinkServiceConnections")
    for connection in each(endpoint.props, "privateLinkServiceConnections"):
        target = at(connection, "privateLinkServiceId")
        if isinstance(target, str) and endpoint.subscription is not None:
            steps = target.lower().strip("/").split("/")
            if len(steps) < 2 or steps[1] != endpoint.subscription.lower():
                yield f"connection {at(connection, 'name')} leads to another subscription: {target}"


@rule(
    "dns-records-private",
    DNS_RECORD,
    why="a name of the federation that resolves to a public address sends data out of its network.",
    fix="point the record at the private endpoint's address.",
)
def records_are_private(record: Planned) -> Iterator[str]:
    """A record of a private zone holds private addresses."""
    for entry in each(record.props, "aRecords"):
        address = at(entry, "ipv4Address")
        if isinstance(address, str) and not is_internal(ipaddress.IPv4Address(address)):
            yield f"it points at the public address {address}"


@stack_rule(
    "dns-own-network",
    why="a zone linked to a foreign network decides where that party's connections go.",
    fix="give each party its own zone and link it to that party's network only.",
)
def links_stay_with_their_party(resources: list[Planned]) -> Iterator[Fault]:
    """A DNS zone is linked to its own party's network only."""
    vnets = [r for r in resources if r.type == VNET]
    for link in (r for r in resources if r.type == DNS_LINK):
        if at(link.props, "registrationEnabled") is True:
            yield Fault(urn=link.urn, what="registrationEnabled is true, it must be false")
        target = at(link.props, "virtualNetwork.id")
        for vnet in link.refers_to("virtualNetwork.id", vnets):
            if vnet.subscription != link.subscription:
                yield Fault(urn=link.urn, what=f"it is linked to the network of {vnet.party}")
        if (
            isinstance(target, str)
            and link.subscription
            and f"/{link.subscription.lower()}/" not in target.lower()
        ):
            yield Fault(urn=link.urn, what=f"it is linked to {target}, in another subscription")
