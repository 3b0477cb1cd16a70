"""Address arithmetic of virtual networks: prefixes as Azure accepts them, and who gets which address."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_network

from emulator.arm.errors import ArmError, bad_request

Network = IPv4Network | IPv6Network

RESERVED_FIRST = 4
"""Azure keeps the first four addresses of a subnet (network, gateway, two for DNS) and the last."""

FORBIDDEN = tuple(
    IPv4Network(prefix)
    for prefix in ("224.0.0.0/4", "255.255.255.255/32", "127.0.0.0/8", "169.254.0.0/16", "168.63.129.16/32")
)
"""Ranges that no virtual network may use.
https://learn.microsoft.com/azure/virtual-network/virtual-networks-faq"""


def parse_prefix(prefix: object, owner: str) -> Network:
    """Return a prefix as a network; raise the provider's error for a malformed one or one with host bits."""
    text = str(prefix)
    try:
        network = ip_network(text, strict=False)
        bare = "/" not in text or not text.rpartition("/")[2].isdigit()
    except ValueError:
        bare = True
    if bare:
        raise bad_request(
            "InvalidAddressPrefixFormat",
            f"Address prefix {text} of resource {owner} is not formatted correctly. It should follow CIDR "
            "notation, for example 10.0.0.0/24.",
        )
    if str(network.network_address) != text.rpartition("/")[0]:
        raise bad_request(
            "InvalidCIDRNotation",
            f"The address prefix {text} in resource {owner} has an invalid CIDR notation. For the given "
            f"prefix length, the address prefix should be {network}.",
        )
    return network


def overlap(one: Network, other: Network) -> bool:
    """Say whether two networks share an address."""
    return one.version == other.version and one.overlaps(other)


def inside(part: Network, whole: Network) -> bool:
    """Say whether one network is in another."""
    return part.version == whole.version and part.subnet_of(whole)  # type: ignore[arg-type]


def forbidden(network: Network) -> bool:
    """Say whether a network touches a range that Azure keeps for itself."""
    return any(overlap(network, range_) for range_ in FORBIDDEN)


def usable(subnet: IPv4Network) -> range:
    """Return the addresses (as integers) of a subnet that interfaces may have."""
    first = int(subnet.network_address)
    return range(first + RESERVED_FIRST, first + subnet.num_addresses - 1)


def first_free(subnet: IPv4Network, taken: Iterable[int]) -> int | None:
    """Return the lowest usable address that is not taken, None when the subnet is full."""
    occupied = set(taken)
    return next((address for address in usable(subnet) if address not in occupied), None)


def check_static(subnet: IPv4Network, prefix: str, text: str) -> int:
    """Return a requested address as an integer; raise when it is not one of the subnet's usable addresses."""
    try:
        address = int(IPv4Address(text))
    except ValueError as malformed:
        raise bad_request(
            "InvalidIPAddressFormat", f"IP address {text} is not formatted correctly."
        ) from malformed
    if IPv4Address(address) not in subnet:
        raise bad_request(
            "PrivateIPAddressNotInSubnet",
            f"Private static IP address {text} does not belong to the range of subnet prefix {prefix}.",
        )
    if address not in usable(subnet):
        raise bad_request(
            "PrivateIPAddressInReservedRange",
            f"Private static IP address {text} falls within reserved IP range of subnet prefix {prefix}.",
        )
    return address


def subnet_full(name: str, prefix: str, wanted: int = 1) -> ArmError:
    """Return the refusal of a subnet without a free address."""
    return bad_request(
        "SubnetIsFull",
        f"Subnet {name} with address prefix {prefix} does not have enough capacity for {wanted} IP "
        "addresses.",
    )
