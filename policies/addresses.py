"""Which addresses never leave an organisation's own networks.

`ipaddress.IPv4Address.is_private` says more than that (documentation ranges, for example), so it is not used.
"""

from ipaddress import IPv4Address, IPv4Network
from typing import Final

INTERNAL: Final = tuple(
    map(
        IPv4Network,
        ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "127.0.0.0/8"),
    )
)
"""RFC 1918, RFC 6598, link-local and loopback."""


def is_internal(address: IPv4Address) -> bool:
    """Say whether an address cannot be one of the internet."""
    return any(address in network for network in INTERNAL)
