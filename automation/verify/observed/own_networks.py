"""What of a subscription is not the federation's: the network of a hospital's door, and what is attached to
that; an organisation's private DNS zones (docs/adr/0017).

The program did not make it, does not judge it and cannot do without it. Only what has nothing to do with this
stack counts: an endpoint of the stack's data, a peering or a zone that reaches into its networks stays
a stranger.
"""

from collections.abc import Iterator, Mapping

from automation.verify.facts.resources import AZURE, Resource, key_of, reference
from federation.stated import Door, Intent


def without(resources: Mapping[str, Resource], meant: Intent) -> dict[str, Resource]:
    """Return `resources` (by key) without the hospitals' and the organisation's own."""
    own = {key for door in meant.doors for key in _own(resources, door)}
    for zone in map(key_of, meant.zones or ()):
        own |= {key for key in resources if key == zone or key.startswith(f"{zone}/")}
    return {key: r for key, r in resources.items() if r.urn or key not in own}


def _own(resources: Mapping[str, Resource], door: Door) -> Iterator[str]:
    network = key_of(door.network_id)
    yield network
    ours = {key for key, r in resources.items() if r.urn}
    yield from _attached(resources, network)
    for key, resource in resources.items():
        kind = resource.type.removeprefix(AZURE)
        if kind == "network:VirtualNetworkPeering" and key.startswith(f"{network}/"):
            if key_of(reference(resource.at("remoteVirtualNetwork")) or "") not in ours:
                yield key
        elif kind == "network:PrivateEndpoint" and _is_below(resource.at("subnet"), network):
            targets = {
                key_of(str(c.get("privateLinkServiceId")))
                for c in resource.each("privateLinkServiceConnections")
            }
            if targets.isdisjoint(ours):
                yield key
    if door.zone_id is not None:
        yield from _zone(resources, key_of(door.zone_id), ours)


def _attached(resources: Mapping[str, Resource], network: str) -> Iterator[str]:
    """Yield security groups and route tables of the network's subnets, and the machines in them."""
    vnet = resources.get(network)
    for subnet in vnet.each("subnets") if vnet else ():
        for name in ("networkSecurityGroup", "routeTable", "natGateway"):
            yield key_of(reference(subnet.get(name)) or "")
    interfaces = {
        key
        for key, r in resources.items()
        if r.type == f"{AZURE}network:NetworkInterface" and _is_inside(r, network)
    }
    yield from interfaces
    for key, machine in resources.items():
        if machine.type != f"{AZURE}compute:VirtualMachine":
            continue
        its = {key_of(reference(n) or "") for n in machine.each("networkProfile.networkInterfaces")}
        if its and its <= interfaces:
            yield key
            yield from (
                disk
                for disk, r in resources.items()
                if r.type == f"{AZURE}compute:Disk" and key_of(str(r.at("managedBy"))) == key
            )


def _zone(resources: Mapping[str, Resource], zone: str, ours: set[str]) -> Iterator[str]:
    """Yield a hospital's own zone with its links and records, unless a network of the stack asks it."""
    below = [key for key in resources if key.startswith(f"{zone}/")]
    asking = {key_of(reference(resources[key].at("virtualNetwork")) or "") for key in below}
    if asking.isdisjoint(ours):
        yield zone
        yield from below


def _is_inside(interface: Resource, network: str) -> bool:
    subnets = [configuration.get("subnet") for configuration in interface.each("ipConfigurations")]
    return bool(subnets) and all(_is_below(subnet, network) for subnet in subnets)


def _is_below(subnet: object, network: str) -> bool:
    return key_of(reference(subnet) or "").startswith(f"{network}/")
